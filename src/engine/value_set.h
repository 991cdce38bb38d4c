#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "engine/value_file.h"
#include "engine/value_runs.h"

namespace varve::engine {

// Which open file has which value run: the part of a Version that separated values are found by.
// Immutable. Threads: any.
class ValueSet {
 public:
  using Files = std::vector<std::shared_ptr<ValueFile>>;

  ValueSet() = default;
  // What `runs` says. Each of its files is in `before` or in `added`.
  ValueSet(const ValueRuns& runs, const ValueSet& before, const Files& added);

  // Null if no file has it.
  const ValueFile* Find(uint64_t run) const;
  const Files& files() const { return files_; }  // by number
  // Those that `after` does not have any more.
  Files FilesNotIn(const ValueSet& after) const;
  uint64_t file_bytes() const { return totals_.file_bytes; }
  uint64_t live_bytes() const { return totals_.live_bytes; }

 private:
  struct Run {
    uint64_t number;
    const ValueFile* file;
  };

  Files files_;
  std::vector<Run> runs_;  // by number
  ValueRuns::Totals totals_;
};

}  // namespace varve::engine
