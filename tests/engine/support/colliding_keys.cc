#include "engine/support/colliding_keys.h"

#include "engine/coding.h"
#include "engine/invariant.h"

namespace varve::engine::testing {

std::array<std::string, 3> CollidingKeys(const PositionSecret& secret, uint64_t variant) {
  const auto word = [&](size_t offset) { return DecodeFixed64(secret.bytes().data() + offset); };
  const auto key = [&](uint64_t low, uint64_t high) {
    std::string bytes;
    PutFixed64(bytes, low ^ word(24) ^ word(32));
    PutFixed64(bytes, high ^ word(40) ^ word(48));
    return bytes;
  };
  const uint64_t sum = (variant + 1) * 0x9e3779b97f4a7c16;  // even
  std::array<std::string, 3> keys = {key(0, sum), key(__builtin_bswap64(sum), 0),
                                     key(1, (sum - __builtin_bswap64(1)) / 2)};
  INVARIANT(secret.Of(keys[0]) == secret.Of(keys[1]));
  INVARIANT(secret.Of(keys[0]) == secret.Of(keys[2]));
  return keys;
}

}  // namespace varve::engine::testing
