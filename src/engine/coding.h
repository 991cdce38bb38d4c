#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

// Integers in our files: fixed width little-endian, and varints (LEB128: seven bits a byte, low
// ones first, the high bit set on all bytes but the last), each in exactly one spelling.
namespace varve::engine {

static_assert(std::endian::native == std::endian::little, "the files are little-endian");

inline constexpr size_t kVarint64BytesMax = 10;

// At `to` / `from`, which have room for the integer; any alignment.
inline void EncodeFixed32(char* to, uint32_t value) { std::memcpy(to, &value, sizeof value); }
inline void EncodeFixed64(char* to, uint64_t value) { std::memcpy(to, &value, sizeof value); }
inline uint32_t DecodeFixed32(const char* from) {
  uint32_t value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
inline uint64_t DecodeFixed64(const char* from) {
  uint64_t value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// Append to `out`.
inline void PutFixed32(std::string& out, uint32_t value) {
  char bytes[sizeof value];
  EncodeFixed32(bytes, value);
  out.append(bytes, sizeof bytes);
}
inline void PutFixed64(std::string& out, uint64_t value) {
  char bytes[sizeof value];
  EncodeFixed64(bytes, value);
  out.append(bytes, sizeof bytes);
}
void PutVarint64(std::string& out, uint64_t value);

// At `to`, which has room for kVarint64BytesMax bytes; returns the end of what was written.
inline char* EncodeVarint64(char* to, uint64_t value) {
  while (value >= 0x80) {
    *to++ = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  *to++ = static_cast<char>(value);
  return to;
}

// Take one integer off the front of `input`. False: it is too short, or the varint is longer than
// it needs to be or does not fit 64 bits; `input` and `value` are then unspecified.
[[nodiscard]] inline bool GetFixed32(std::string_view& input, uint32_t& value) {
  if (input.size() < sizeof value) return false;
  value = DecodeFixed32(input.data());
  input.remove_prefix(sizeof value);
  return true;
}
[[nodiscard]] inline bool GetFixed64(std::string_view& input, uint64_t& value) {
  if (input.size() < sizeof value) return false;
  value = DecodeFixed64(input.data());
  input.remove_prefix(sizeof value);
  return true;
}
[[nodiscard]] bool GetVarint64Long(std::string_view& input, uint64_t& value);
[[nodiscard]] inline bool GetVarint64(std::string_view& input, uint64_t& value) {
  if (!input.empty() && static_cast<uint8_t>(input[0]) < 0x80) [[likely]] {  // most lengths
    value = static_cast<uint8_t>(input[0]);
    input.remove_prefix(1);
    return true;
  }
  return GetVarint64Long(input, value);
}

}  // namespace varve::engine
