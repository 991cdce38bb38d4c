#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/position.h"

namespace varve::engine {

// A set of positions that never says no to one that is in it, and yes to about 1 % of the others
// at 10 bits a position.
// Source:  cache-line blocked Bloom filter (Putze, Sanders, Singler: Cache-, Hash- and
//          Space-Efficient Bloom Filters, 2007): all bits of a position lie in one line of 512, so
//          a question costs one cache miss. The position is itself a hash; it is only mixed, since
//          the positions of a table share their top bits.
// Format:  payload v1: lines, each 64 bytes | probe_count u8 (1..16), the bits set per position.
//          The line is the high half of (position * kLineMultiplier)'s top 32 bits times the line
//          count; bit i is the top 9 bits of the i-th number of the sequence in filter.cc.
// Threads: any, once built.
class Filter {
 public:
  static constexpr size_t kLineBytes = 64;
  static constexpr int kProbesMax = 16;
  static constexpr size_t kLinesMax = 0xffff'ffff;

  // The payload of a filter with `bits_per_key` (1..24) bits for each of `positions`.
  static std::string Build(const std::vector<Position>& positions, int bits_per_key);
  // False: these bytes are no filter.
  [[nodiscard]] bool Decode(std::string_view payload);

  bool MayContain(Position position) const;
  size_t memory_bytes() const { return lines_.size() * kLineBytes; }

 private:
  struct alignas(kLineBytes) Line {
    std::array<uint64_t, kLineBytes / sizeof(uint64_t)> words{};
  };

  size_t LineOf(Position position) const;

  std::vector<Line> lines_;
  int probe_count_ = 0;
};

}  // namespace varve::engine
