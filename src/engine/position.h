#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "engine/invariant.h"

namespace varve::engine {

// Where a key stands in the order of everything: a 64-bit hash of it. Rows are ordered by
// (position, key bytes). Source: XXH3-64 of the key, with the database's own secret.
using Position = uint64_t;

// 192 random bytes, made with the database and kept in its manifest, so that nobody outside can
// make keys collide.
class PositionSecret {
 public:
  static constexpr size_t kBytes = 192;

  explicit PositionSecret(const std::array<char, kBytes>& bytes) : bytes_(bytes) {}
  Position Of(std::string_view key) const;
  const std::array<char, kBytes>& bytes() const { return bytes_; }

 private:
  std::array<char, kBytes> bytes_;
};

// All positions whose top `bits` bits are those of `begin`. Any two such ranges are disjoint, or
// one holds the other.
struct DyadicRange {
  Position begin = 0;  // the bits below the top `bits` are 0
  int bits = 0;        // 0..63; 0 is the whole space

  Position last() const { return begin | (~Position{0} >> bits); }
  bool Contains(Position position) const { return position >= begin && position <= last(); }
  bool Contains(const DyadicRange& other) const {
    return other.bits >= bits && Contains(other.begin);
  }
  bool Overlaps(const DyadicRange& other) const { return Contains(other) || other.Contains(*this); }
  // The range of `range_bits` bits that `position` lies in.
  static DyadicRange Of(Position position, int range_bits) {
    INVARIANT(range_bits >= 0 && range_bits < 64);
    return {range_bits == 0 ? 0 : position & ~(~Position{0} >> range_bits), range_bits};
  }
  bool operator==(const DyadicRange&) const = default;
};

}  // namespace varve::engine
