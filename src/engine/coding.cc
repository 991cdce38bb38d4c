#include "engine/coding.h"

namespace varve::engine {

void PutVarint64(std::string& out, uint64_t value) {
  char bytes[kVarint64BytesMax];
  out.append(bytes, EncodeVarint64(bytes, value) - bytes);
}

bool GetVarint64Long(std::string_view& input, uint64_t& value) {
  uint64_t result = 0;
  for (size_t i = 0; i < input.size() && i < kVarint64BytesMax; ++i) {
    const auto byte = static_cast<uint8_t>(input[i]);
    if (i == kVarint64BytesMax - 1 && byte > 1) return false;  // more than 64 bits
    result |= uint64_t{byte & 0x7fu} << (7 * i);
    if (byte < 0x80) {
      if (byte == 0 && i > 0) return false;  // a second spelling of a shorter varint
      value = result;
      input.remove_prefix(i + 1);
      return true;
    }
  }
  return false;
}

}  // namespace varve::engine
