#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "engine/level_shape.h"
#include "engine/manifest.h"
#include "engine/position.h"
#include "engine/table.h"
#include "engine/value_set.h"

namespace varve::engine {

// The same table or value file, let go of on `executor`: the last reference may close or remove the
// file, and it may be dropped under the command lock.
template <typename File>
std::shared_ptr<File> ReleasedOn(Executor* executor, std::shared_ptr<File> file) {
  File* const address = file.get();
  return {address, [executor, file = std::move(file)](File*) mutable {
            executor->Post([last = std::move(file)] {});
          }};
}

// An immutable set of tables per level, and of the files with their separated values: what one tree
// has on disk. Whoever holds it keeps the files. Threads: any; all members are const.
class Version {
 public:
  using Tables = std::vector<std::shared_ptr<Table>>;

  Version() = default;
  // `level0` newest first (by table number), the others are sorted here by range.
  explicit Version(std::array<Tables, kLevelCount> levels,
                   std::shared_ptr<const ValueSet> values = std::make_shared<const ValueSet>());
  Version(const Version&) = delete;  // its shape points into its tables
  Version& operator=(const Version&) = delete;

  const Tables& level(int index) const { return levels_[index]; }
  const ValueSet& values() const { return *values_; }
  bool empty() const { return table_count_ == 0; }
  size_t table_count() const { return table_count_; }
  uint64_t level_bytes(int index) const;  // of the files
  const LevelShape& shape() const { return shape_; }

  // Calls `visit(const std::shared_ptr<Table>&)` for each table whose range holds `position`,
  // newest data first, until it returns false.
  template <typename Visit>
  void ForEachCovering(Position position, Visit visit) const {
    for (const uint32_t index : level0_covering_[position >> (64 - kFanoutBits)]) {
      if (!visit(levels_[0][index])) return;
    }
    for (int level = 1; level < kLevelCount; ++level) {
      const std::shared_ptr<Table>* table = FindCovering(level, position);
      if (table != nullptr && !visit(*table)) return;
    }
  }

  // The table of `level` >= 1 whose range holds `position`, or null.
  const std::shared_ptr<Table>* FindCovering(int level, Position position) const;
  // The tables of `level` that share positions with `range`; of L0 newest first.
  Tables Overlapping(int level, const DyadicRange& range) const;

  // A copy without the tables numbered in `removed` and with `added`; with `values`, unless null.
  std::shared_ptr<const Version> Edited(
      const std::vector<uint64_t>& removed,
      const std::vector<std::pair<int, std::shared_ptr<Table>>>& added,
      std::shared_ptr<const ValueSet> values = nullptr) const;

 private:
  std::array<Tables, kLevelCount> levels_;
  LevelShape shape_;
  // For each of L0's ranges the L0 tables over it, newest first.
  std::array<std::vector<uint32_t>, kLevel0Ranges> level0_covering_;
  size_t table_count_ = 0;
  std::shared_ptr<const ValueSet> values_ = std::make_shared<const ValueSet>();
};

}  // namespace varve::engine
