#include "commands/glob.h"

#include <catch2/catch.hpp>
#include <string>
#include <string_view>

namespace varve::commands {
namespace {

struct GlobCase {
  std::string_view pattern;
  std::string_view text;
  bool matches;
};

TEST_CASE("Glob: the answers of Redis", "[commands][glob]") {
  constexpr GlobCase kCases[] = {
      {"", "", true},
      {"", "a", false},
      {"a", "", false},
      {"*", "", true},
      {"*", "anything", true},
      {"**", "x", true},
      {"a*", "a", true},
      {"a*", "ba", false},
      {"*a", "cba", true},
      {"*a*b*", "xxaxxbxx", true},
      {"*a*b*", "xxbxxaxx", false},
      {"a**b", "ab", true},
      {"h?llo", "hello", true},
      {"h?llo", "hllo", false},
      {"?", "", false},
      {"h[ae]llo", "hallo", true},
      {"h[ae]llo", "hillo", false},
      {"h[^e]llo", "hallo", true},
      {"h[^e]llo", "hello", false},
      {"h[a-c]llo", "hbllo", true},
      {"h[c-a]llo", "hbllo", true},
      {"h[a-c]llo", "hdllo", false},
      {"[a\\]b]", "]", true},
      {"[\\-x]", "-", true},
      {"[]", "a", false},
      {"[^]", "a", true},
      {"[ab", "b", true},
      {"[", "a", false},
      {"a[", "a", false},
      {"[a-]", "b", false},
      {"\\*", "*", true},
      {"\\*", "a", false},
      {"\\?x", "?x", true},
      {"a\\", "a\\", true},
      {"A", "a", false},
      {"*ab", "aab", true},
      {"*aab", "aaab", true},
      {"a*[b]c*?", "axxbcd", true},
  };
  for (const GlobCase& each : kCases) {
    CAPTURE(each.pattern, each.text);
    CHECK(GlobMatch(each.pattern, each.text) == each.matches);
  }
}

TEST_CASE("Glob: case is ignored on request", "[commands][glob]") {
  CHECK(GlobMatch("MAX*", "maxmemory", true));
  CHECK(GlobMatch("[A-C]x", "BX", true));
  CHECK_FALSE(GlobMatch("MAX*", "maxmemory"));
}

TEST_CASE("Glob: many stars do not take exponential time", "[commands][glob]") {
  std::string pattern;
  for (int star = 0; star < 1000; ++star) pattern += "a*";
  CHECK_FALSE(GlobMatch(pattern + "b", std::string(5000, 'a')));
}

TEST_CASE("Glob: what has no wildcard is known", "[commands][glob]") {
  CHECK_FALSE(HasGlob("plain:key"));
  for (const std::string_view pattern : {"a*", "?", "[a]", "\\a"}) CHECK(HasGlob(pattern));
}

}  // namespace
}  // namespace varve::commands
