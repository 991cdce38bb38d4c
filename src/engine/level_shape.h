#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "engine/manifest.h"

namespace varve::engine {

inline constexpr int kFanoutBits = 3;  // a level is 8 times the one above it
inline constexpr int kLastLevel = kLevelCount - 1;
inline constexpr size_t kLevel0Ranges = size_t{1} << kFanoutBits;  // that L0 is cut into

// The n-th of the ranges that L0 is cut into.
inline DyadicRange Level0Range(size_t index) {
  return DyadicRange::Of(Position{index} << (64 - kFanoutBits), kFanoutBits);
}

// A tree's tables as planning sees them: what the manifest knows of each, no open file.
struct LevelShape {
  // L0 newest first; the others sorted by range, in which no two overlap.
  std::array<std::vector<const TableInfo*>, kLevelCount> levels;

  uint64_t row_bytes(int level) const;  // of keys and values, before compression
};

}  // namespace varve::engine
