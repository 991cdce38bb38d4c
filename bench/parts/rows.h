#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <string_view>

#include "engine/position.h"

// The rows that the benchmarks of the engine's parts work on: keys of 16 bytes, values of 100.
namespace varve::bench {

inline constexpr size_t kKeyBytes = 16;
inline constexpr size_t kValueBytes = 100;

inline engine::PositionSecret TestSecret() {
  std::array<char, engine::PositionSecret::kBytes> bytes{};
  std::mt19937 random(1);
  for (char& byte : bytes) byte = static_cast<char>(random());
  return engine::PositionSecret(bytes);
}

// The key of a number, in memory of its own: for use one after the other.
class Key {
 public:
  std::string_view Of(uint64_t number) {
    std::memcpy(bytes_.data(), &number, sizeof(number));
    return {bytes_.data(), bytes_.size()};
  }

 private:
  std::array<char, kKeyBytes> bytes_{};
};

// Values of kValueBytes, one after the other out of a megabyte that compresses to about half, as
// db_bench's. Views live as long as the object.
class Values {
 public:
  Values() {
    std::minstd_rand random(7);
    while (pool_.size() < (size_t{1} << 20)) {
      std::string half(kValueBytes / 2, ' ');
      for (char& byte : half) byte = static_cast<char>(' ' + random() % 95);
      pool_ += half + half;
    }
  }
  std::string_view Next() {
    if (offset_ + kValueBytes > pool_.size()) offset_ = 0;
    offset_ += kValueBytes;
    return std::string_view(pool_).substr(offset_ - kValueBytes, kValueBytes);
  }

 private:
  std::string pool_;
  size_t offset_ = 0;
};

}  // namespace varve::bench
