#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/version.h"

namespace varve::engine {

// One step of compaction: `upper` (of `level`) and `lower` (of `level` + 1) are all the tables of
// these levels that share positions with `range`, and lie within it; merged, they become tables of
// `level` + 1.
struct Compaction {
  int level = 0;
  DyadicRange range;
  Version::Tables upper;  // of L0 newest first
  Version::Tables lower;
};

// When a level is full, and what that says about the next step. Constant. Bytes are those of keys
// and values before compression: the work of a merge follows them, not what compression leaves.
struct CompactionLimits {
  uint64_t table_bytes = 32ull << 20;  // L1 may hold 8 tables of this size, each level below 8x
  size_t level0_depth = 4;             // tables of L0 over one position before they are merged

  uint64_t LevelBytesMax(int level) const {
    return table_bytes << (kFanoutBits * level);  // of L1..L5; L6 takes what comes
  }
};

// How far the tree is over its limits; 1.0 and more asks for a compaction of that level.
double CompactionScore(const Version& version, int level, const CompactionLimits& limits);

// The step that the most overdue level needs, or nothing when all are within their limits. Within
// a level, the range whose merge rewrites the least of the next level for what it brings there.
std::optional<Compaction> PickCompaction(const Version& version, const CompactionLimits& limits);

// Bytes that stand above their level's limit: what compaction still has to move.
uint64_t CompactionDebt(const Version& version, const CompactionLimits& limits);

// Whether a tombstone at `position`, written to `output_level`, hides nothing any more: no table
// below may have a row of its key. Precondition: the merge holds every row of the key in the
// levels from its inputs to `output_level`. Blocks when an index has to be loaded first.
Result<bool> CanDropTombstone(const Version& version, int output_level, Position position);

}  // namespace varve::engine
