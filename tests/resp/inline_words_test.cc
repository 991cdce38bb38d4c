#include "resp/inline_words.h"

#include <catch2/catch.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace varve::resp {
namespace {

using Words = std::vector<std::string>;

std::optional<Words> Split(std::string line) {
  std::vector<std::string_view> views;
  if (!SplitInlineWords(line.data(), line.data() + line.size(), views)) return std::nullopt;
  return Words(views.begin(), views.end());
}

TEST_CASE("Inline words: blanks and quotes as in Redis", "[resp][inline]") {
  const std::pair<std::string, std::optional<Words>> cases[] = {
      {"", Words{}},
      {" \t\v\f ", Words{}},
      {"a", Words{"a"}},
      {"  set  key value ", Words{"set", "key", "value"}},
      {"a\tb\rc", Words{"a", "b", "c"}},
      {"a\vb", Words{"a\vb"}},  // separates nothing within a word
      {"\"\"", Words{""}},
      {"''", Words{""}},
      {"\"a b\" 'c d'", Words{"a b", "c d"}},
      {"a\"b c\"", Words{"ab c"}},
      {R"("\x41\x7a\xfF")", Words{"Az\xff"}},
      {R"("\n\r\t\b\a\\\"\q")", Words{"\n\r\t\b\a\\\"q"}},
      {R"("\xg1\x4")", Words{"xg1x4"}},
      {R"('\n\'x')", Words{"\\n'x"}},
      {R"(\x41)", Words{"\\x41"}},
      {std::string("a\0b", 3), Words{std::string("a\0b", 3)}},
      {"\"a", std::nullopt},
      {"'a", std::nullopt},
      {"\"a\"b", std::nullopt},
      {"'a'b", std::nullopt},
      {"\"a\\\"", std::nullopt},
      {"\"\\", std::nullopt},
      {"a '", std::nullopt},
  };
  for (const auto& [line, words] : cases) {
    CAPTURE(line);
    CHECK(Split(line) == words);
  }
}

}  // namespace
}  // namespace varve::resp
