#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace varve::resp {

// Digits of the longest integer, "-9223372036854775808".
inline constexpr size_t kIntegerBytesMax = 20;

// The integer that `text` is, in the one form that Redis takes as a number: no plus sign, no
// leading zeros, no "-0", nothing around it, within int64_t.
std::optional<int64_t> ParseInteger(std::string_view text);

// Writes `value` in decimal to `out` (room for kIntegerBytesMax) and returns the end.
char* FormatUnsigned(char* out, uint64_t value);
char* FormatInteger(char* out, int64_t value);

}  // namespace varve::resp
