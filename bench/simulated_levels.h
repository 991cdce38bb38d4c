#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <vector>

#include "engine/compaction_picker.h"
#include "engine/level_shape.h"

namespace varve::bench {

struct SimulationSettings {
  uint64_t rows = 0;       // live ones; all writes overwrite one of them, each equally often
  uint64_t row_bytes = 0;  // key and value
  double compression = 1;  // bytes in files for each byte of rows
  uint64_t block_bytes = 4096;
  int filter_bits_per_key = 10;
  engine::CompactionLimits limits;
};

// The levels of a tree whose tables are counters: how many rows each one has, but not which. The
// steps of compaction are those that the engine's own plan picks, one at a time; what a merge
// leaves follows from the counts, since each table has a random part of the keys of its range: of
// two with the shares a and b, a + b - ab remain. Left out: deletes, rows of several sizes, and
// that steps take time, so that more comes meanwhile.
class SimulatedLevels {
 public:
  explicit SimulatedLevels(const SimulationSettings& settings) : settings_(settings) {}

  // About as after a long time of overwrites: all rows in the last level, the ones above at their
  // targets, where tables have anything between nothing and twice the mean, since the plan takes
  // the fullest first.
  void Fill();
  // A memtable with so many writes.
  void Flush(uint64_t writes);
  // One step; false: none is due.
  bool Compact(engine::CompactionGoal goal);
  void ResetCounters();

  // Bytes of keys and values before compression.
  uint64_t live_bytes() const { return settings_.rows * settings_.row_bytes; }
  uint64_t level_bytes(int level) const { return shape_.row_bytes(level); }
  uint64_t bytes() const { return rows_in_tables_ * settings_.row_bytes; }
  uint64_t bytes_max() const { return bytes_max_; }  // with the inputs of a step that is being done
  uint64_t flushed_bytes() const { return flushed_bytes_; }
  uint64_t merged_bytes(int output_level) const { return merged_bytes_[output_level]; }
  uint64_t merged_bytes() const;
  uint64_t steps() const { return steps_; }
  uint64_t moves() const { return moves_; }
  uint64_t largest_step_bytes() const { return largest_step_bytes_; }
  double pressure_max() const { return pressure_max_; }
  int base_level() const { return base_level_; }

  size_t table_count() const;
  size_t tables_over_a_position() const;
  uint64_t filter_bytes() const;
  uint64_t index_bytes() const;

 private:
  using Tables = std::vector<const engine::TableInfo*>;

  void Add(int level, engine::DyadicRange range, double rows);
  void Release(const engine::TableInfo* table);
  void FillRange(int level, engine::DyadicRange range, double share);
  Tables Take(int level, const engine::DyadicRange& range);
  void Merge(const Tables& inputs, engine::DyadicRange range, int output_level);
  double RowsLeft(const Tables& inputs, engine::DyadicRange range) const;
  uint64_t FileBytes(double rows) const;
  uint64_t TableBytesMax() const;

  const SimulationSettings settings_;
  engine::LevelShape shape_;
  std::deque<engine::TableInfo> infos_;  // what the shape points to, and free ones
  std::vector<engine::TableInfo*> free_infos_;
  uint64_t flush_ = engine::kLevelCount;  // the last one's number
  uint64_t rows_in_tables_ = 0;
  int base_level_ = 0;

  uint64_t bytes_max_ = 0;
  uint64_t flushed_bytes_ = 0;
  std::array<uint64_t, engine::kLevelCount> merged_bytes_{};
  uint64_t steps_ = 0;
  uint64_t moves_ = 0;
  uint64_t largest_step_bytes_ = 0;
  double pressure_max_ = 0;
};

}  // namespace varve::bench
