#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/level_shape.h"
#include "engine/version.h"

namespace varve::engine {

// One step of compaction: all tables of `level` and `output_level` that share positions with
// `range`, which lie within it, are merged, and become tables of `output_level`. Levels between the
// two have no table.
struct Compaction {
  int level = 0;
  int output_level = 0;
  DyadicRange range;

  // Two steps that share no table, and of which neither may change what the other one rests on.
  bool IsApartFrom(const Compaction& other) const {
    return level > other.output_level || other.level > output_level || !range.Overlaps(other.range);
  }
  bool operator==(const Compaction&) const = default;
};

// Constant. Bytes of a level are those of keys and values before compression: the work of a merge
// follows them, not what compression leaves.
struct CompactionLimits {
  uint64_t write_buffer_bytes = 64ull
                                << 20;  // about what one flush brings; a table has at most as many
  size_t level0_flushes = 8;            // so many of that size are merged out of L0 at a time
  size_t level0_depth_max = 24;         // tables over one position, small ones too
};

// How far compaction is behind. Writers are slowed down by the pressure.
struct CompactionDebt {
  double pressure = 0;  // of the tree and level that are worst; from 1.0 on a step is due
  uint64_t bytes = 0;   // beyond the targets
  size_t running = 0;   // steps
};

enum class CompactionGoal {
  kKeepPace,  // levels within their targets, garbage bounded
  kTidyUp,    // nobody writes: less garbage
  kWhole,     // everything to the last level
};

// What one tree's levels are, beside what they should be; made anew for each decision.
//
// The last level (L6) has nearly all rows. The level above it may hold an eighth of it, the next
// one an eighth of that: so what newer rows hide stays near an eighth, however large the tree is.
// L0 is merged into the uppermost level whose share is worth the step, the base level; levels above
// the base are empty (or being emptied). Sources: Dong et al., "Optimizing Space Amplification in
// RocksDB" (CIDR 2017), for targets that follow the last level.
// Lifetime: the shape outlives it. Threads: one.
class CompactionPlan {
 public:
  // `live_rows`: of the tree as of its last flush, if known: rows in tables beyond that are
  // garbage.
  CompactionPlan(const LevelShape& shape, const CompactionLimits& limits,
                 std::optional<uint64_t> live_rows);

  int base_level() const { return base_level_; }
  uint64_t target_bytes(int level) const {
    return targets_[level];
  }  // base level to the last but 1
  // Where rows of L0 go: the base level, or one above it that has not been emptied yet.
  int level0_output() const;
  // How far writers are ahead: 1.0 and more calls for a compaction of that level.
  double Pressure(int level) const;
  double pressure() const;  // the highest of them
  // The same for writers: it moves little by little, as flushes and steps move rows.
  double SmoothPressure() const;
  // Rows that newer ones hide, over live rows; 0 when it is not known.
  double garbage_share() const { return garbage_share_; }
  // Bytes beyond the targets.
  uint64_t debt_bytes() const;

  // The most urgent step that is apart from those that are running, or nothing.
  std::optional<Compaction> Pick(std::span<const Compaction> running, CompactionGoal goal) const;

 private:
  struct Candidate {
    Compaction step;
    double urgency;  // of L0's ranges, each by itself
    double gain;     // what the step moves or frees for each byte that it rewrites
  };

  int FindBaseLevel() const;
  bool IsDrained(int level) const;
  bool HasGarbage(CompactionGoal goal) const;
  Compaction Widened(Compaction step) const;
  void MeasureLevel0();
  std::vector<Candidate> CandidatesOfLevel0(double urgency_min) const;
  std::vector<Candidate> CandidatesOf(int level, double urgency_min) const;
  std::optional<Compaction> Best(std::vector<Candidate> candidates,
                                 std::span<const Compaction> running) const;
  std::vector<uint64_t> BytesBelow(int level) const;
  double Gain(uint64_t rows, uint64_t bytes, uint64_t bytes_below) const;

  const LevelShape& shape_;
  const CompactionLimits limits_;
  std::array<uint64_t, kLevelCount> bytes_{};
  std::array<uint64_t, kLevelCount> targets_{};
  std::array<double, kLevel0Ranges> urgency_{};  // of each range of L0
  int base_level_ = kLastLevel;
  double row_bytes_ = 0;  // of a row on the average, its separated value included
  double garbage_max_ = 0;
  double garbage_share_ = 0;
  uint64_t garbage_bytes_ = 0;
};

// The dyadic ranges of the tables that a merge of these inputs writes: `range`, cut in halves until
// none has more than `table_bytes_max` of the inputs' bytes, as their indexes tell. So no table
// gets larger, however unevenly large rows lie (rows of one block apart). Blocks when an index has
// to be loaded first.
Result<std::vector<DyadicRange>> OutputRanges(const DyadicRange& range,
                                              const Version::Tables& inputs,
                                              uint64_t table_bytes_max);

// Whether a tombstone at `position`, written to `output_level`, hides nothing any more: no table
// below may have a row of its key. Precondition: the merge holds every row of the key in the
// levels from its inputs to `output_level`. Blocks when an index has to be loaded first.
Result<bool> CanDropTombstone(const Version& version, int output_level, Position position);

}  // namespace varve::engine
