#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "engine/compaction_picker.h"
#include "engine/maintenance_context.h"

namespace varve::engine {

// Moves rows down the levels: as many merges at once as there are background threads, each over a
// range of its own. A step is planned and installed on the strand; its merge runs on env.workers
// and gives way every few hundred rows, so that a flush gets its turn on a single thread too.
// Threads: on the strand.
// Errors:  those of MaintenanceContext.
class Compactor {
 public:
  // The context outlives it. `values_died`: called when a step has left separated values without
  // rows.
  Compactor(MaintenanceContext& context, Work values_died);

  // Starts what is due, and tells the store how much that is. To be called when a version changed.
  void Start();
  // There were few writes lately, or (again) there are: how much garbage is worth a step.
  void SetTidiesUp(bool tidies_up) { tidies_up_ = tidies_up; }
  // Everything that tables have now to the last level, then Start().
  void CompactWhole();
  bool is_merging() const { return !running_.empty(); }
  // Something is being merged, or would be if there were few writes.
  bool has_idle_work() const;

 private:
  struct Job {
    std::shared_ptr<Tree> tree;
    std::shared_ptr<const Version> version;  // as of the planning
    Compaction step;
    Version::Tables upper;  // newest first
    Version::Tables lower;
  };
  struct TreePlan {
    std::shared_ptr<Tree> tree;
    std::shared_ptr<const Version> version;  // holds the shape that the plan is of
    CompactionPlan plan;
  };

  std::vector<TreePlan> Plans() const;
  void UpdateDebt();
  std::optional<Job> PickNext();
  std::optional<Compaction> PickFor(const Tree& tree, const CompactionPlan& plan);
  Task<bool> RunJobs();
  Task<Result<void>> RunJob(Job job);
  Task<Result<void>> Run(const Job& job);
  Task<Result<void>> Rewrite(const Job& job);
  Task<Result<void>> Merge(const Job& job, RangeWriter& writer, std::vector<ValueReference>& dead);
  Result<void> Move(const Job& job);
  Result<void> Install(const Job& job, VersionEdit::Tree changed,
                       const std::vector<std::pair<int, std::shared_ptr<Table>>>& added,
                       uint64_t bytes_read, uint64_t bytes_written);
  uint64_t TableBytesMax(const Version& version) const;

  MaintenanceContext& context_;
  const Work values_died_;
  std::vector<Task<bool>> slots_;  // one for each thread
  std::vector<std::pair<TreeId, Compaction>> running_;
  std::set<TreeId> whole_;  // trees that are to have all in the last level
  bool tidies_up_ = false;
  bool has_idle_work_ = false;
};

}  // namespace varve::engine
