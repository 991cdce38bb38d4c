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
//          a question costs one cache miss. The position is itself a hash. It chooses the line by
//          its bits behind those that the whole table shares, in order: who builds or asks in order
//          of positions goes through memory in order. The bits in the line come from all of it,
//          mixed.
// Format:  payload v1: lines, each 64 bytes | shared_bits u8 (0..63), the top bits that all
// positions
//          share | probe_count u8 (1..16), the bits set per position. See docs/formats.md.
// Limits:  positions that are not uniform in their range make more wrong answers.
// Threads: any, once built.
class Filter {
 public:
  static constexpr size_t kLineBytes = 64;
  static constexpr int kProbesMax = 16;
  static constexpr size_t kTrailerBytes = 2;
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
  int shared_bits_ = 0;
  int probe_count_ = 0;
};

}  // namespace varve::engine
