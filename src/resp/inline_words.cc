#include "resp/inline_words.h"

#include <cstddef>
#include <optional>

namespace varve::resp {
namespace {

bool IsBlank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\v' || c == '\f' || c == '\r';
}

// \v and \f are blanks between words but do not end one; Redis has it so.
bool EndsWord(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

std::optional<int> HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

char Unescape(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'b':
      return '\b';
    case 'a':
      return '\a';
    default:
      return c;
  }
}

// One word: reads at `in`, writes at `out`, which never overtakes it.
class WordReader {
 public:
  WordReader(char* begin, char* end) : in_(begin), end_(end), out_(begin) {}

  // False if a quote is not closed, or something follows the closing one.
  bool Read() {
    while (in_ < end_ && !EndsWord(*in_)) {
      const char c = *in_++;
      if (c == '"') return ReadDoubleQuoted();
      if (c == '\'') return ReadSingleQuoted();
      *out_++ = c;
    }
    return true;
  }
  char* in() const { return in_; }
  char* out() const { return out_; }

 private:
  bool AtWordEnd() const { return in_ == end_ || IsBlank(*in_); }

  bool ReadDoubleQuoted() {
    while (in_ < end_) {
      const char c = *in_++;
      if (c == '"') return AtWordEnd();
      if (c != '\\' || in_ == end_) {
        *out_++ = c;
      } else if (!ReadHexEscape()) {
        *out_++ = Unescape(*in_++);
      }
    }
    return false;
  }

  // Behind a backslash: xHH.
  bool ReadHexEscape() {
    if (end_ - in_ < 3 || in_[0] != 'x') return false;
    const std::optional<int> high = HexDigit(in_[1]);
    const std::optional<int> low = HexDigit(in_[2]);
    if (!high || !low) return false;
    *out_++ = static_cast<char>(*high * 16 + *low);
    in_ += 3;
    return true;
  }

  bool ReadSingleQuoted() {
    while (in_ < end_) {
      const char c = *in_++;
      if (c == '\'') return AtWordEnd();
      if (c == '\\' && in_ < end_ && *in_ == '\'') {
        *out_++ = *in_++;
      } else {
        *out_++ = c;
      }
    }
    return false;
  }

  char* in_;
  char* end_;
  char* out_;
};

}  // namespace

bool SplitInlineWords(char* begin, char* end, std::vector<std::string_view>& words) {
  while (true) {
    while (begin < end && IsBlank(*begin)) ++begin;
    if (begin == end) return true;
    WordReader reader(begin, end);
    if (!reader.Read()) return false;
    words.emplace_back(begin, static_cast<size_t>(reader.out() - begin));
    begin = reader.in();
  }
}

}  // namespace varve::resp
