#include "commands/glob.h"

#include <cstddef>
#include <utility>

namespace varve::commands {
namespace {

unsigned char Fold(char c, bool ignore_case) {
  if (ignore_case && c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return static_cast<unsigned char>(c);
}

// Matches `c` against the bracket that opens at pattern[at], and moves `at` behind it.
bool MatchBracket(std::string_view pattern, size_t& at, char c, bool ignore_case) {
  const unsigned char folded = Fold(c, ignore_case);
  ++at;
  const bool negated = at < pattern.size() && pattern[at] == '^';
  if (negated) ++at;
  bool found = false;
  while (at < pattern.size() && pattern[at] != ']') {
    if (pattern[at] == '\\' && at + 1 < pattern.size()) {
      ++at;
      found = found || Fold(pattern[at], ignore_case) == folded;
      ++at;
    } else if (at + 2 < pattern.size() && pattern[at + 1] == '-') {
      unsigned char low = Fold(pattern[at], ignore_case);
      unsigned char high = Fold(pattern[at + 2], ignore_case);
      if (low > high) std::swap(low, high);
      found = found || (low <= folded && folded <= high);
      at += 3;
    } else {
      found = found || Fold(pattern[at], ignore_case) == folded;
      ++at;
    }
  }
  if (at < pattern.size()) ++at;  // the closing one
  return found != negated;
}

// Matches `c` against the one-byte item at pattern[at], and moves `at` behind it.
bool MatchItem(std::string_view pattern, size_t& at, char c, bool ignore_case) {
  if (pattern[at] == '?') {
    ++at;
    return true;
  }
  if (pattern[at] == '[') return MatchBracket(pattern, at, c, ignore_case);
  if (pattern[at] == '\\' && at + 1 < pattern.size()) ++at;
  return Fold(pattern[at++], ignore_case) == Fold(c, ignore_case);
}

}  // namespace

bool GlobMatch(std::string_view pattern, std::string_view text, bool ignore_case) {
  constexpr size_t kNone = static_cast<size_t>(-1);
  size_t at = 0;
  size_t done = 0;
  size_t behind_star = kNone;
  size_t star_end = 0;  // the last star stands for the text up to here
  while (true) {
    if (at < pattern.size() && pattern[at] == '*') {
      behind_star = ++at;
      star_end = done;
      continue;
    }
    if (done == text.size()) {
      return at == pattern.size();
    }
    if (at < pattern.size() && MatchItem(pattern, at, text[done], ignore_case)) {
      ++done;
      continue;
    }
    if (behind_star == kNone) return false;
    at = behind_star;  // the star takes one byte more
    done = ++star_end;
  }
}

bool HasGlob(std::string_view pattern) {
  return pattern.find_first_of("*?[\\") != std::string_view::npos;
}

}  // namespace varve::commands
