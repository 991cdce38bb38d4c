#include "resp/number.h"

#include <cstring>
#include <limits>

namespace varve::resp {
namespace {

// Two digits at a time: half the divisions of one at a time.
constexpr char kDigitPairs[] =
    "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546"
    "4748495051525354555657585960616263646566676869707172737475767778798081828384858687888990919293"
    "949596979899";

}  // namespace

std::optional<int64_t> ParseInteger(std::string_view text) {
  if (text.empty() || text.size() > kIntegerBytesMax) return std::nullopt;
  const bool negative = text[0] == '-';
  std::string_view digits = text.substr(negative ? 1 : 0);
  if (digits.empty() || digits.size() > kIntegerBytesMax - 1) return std::nullopt;
  if (digits[0] == '0' && (negative || digits.size() > 1)) return std::nullopt;
  uint64_t value = 0;  // 19 digits cannot overflow it
  for (const char digit : digits) {
    if (digit < '0' || digit > '9') return std::nullopt;
    value = value * 10 + static_cast<uint64_t>(digit - '0');
  }
  constexpr uint64_t kMax = std::numeric_limits<int64_t>::max();
  if (value > kMax + (negative ? 1 : 0)) return std::nullopt;
  return static_cast<int64_t>(negative ? 0 - value : value);
}

char* FormatUnsigned(char* out, uint64_t value) {
  if (value < 10) {  // most lengths and counts
    *out = static_cast<char>('0' + value);
    return out + 1;
  }
  char digits[kIntegerBytesMax];
  char* begin = digits + sizeof digits;
  while (value >= 100) {
    begin -= 2;
    std::memcpy(begin, kDigitPairs + 2 * (value % 100), 2);
    value /= 100;
  }
  if (value >= 10) {
    begin -= 2;
    std::memcpy(begin, kDigitPairs + 2 * value, 2);
  } else {
    *--begin = static_cast<char>('0' + value);
  }
  const auto size = static_cast<size_t>(digits + sizeof digits - begin);
  std::memcpy(out, begin, size);
  return out + size;
}

char* FormatInteger(char* out, int64_t value) {
  if (value >= 0) return FormatUnsigned(out, static_cast<uint64_t>(value));
  *out = '-';
  return FormatUnsigned(out + 1, 0 - static_cast<uint64_t>(value));
}

}  // namespace varve::resp
