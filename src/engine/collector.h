#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "engine/maintenance_context.h"
#include "engine/value_collection.h"
#include "engine/value_collector.h"

namespace varve::engine {

// Gives back the space of dead separated values: copies what lives in a few value files into a new
// one, one tree's at a time. Planned and installed on the strand; the copying runs on env.workers
// and gives way every few hundred KB.
// Threads: on the strand.
// Errors:  those of MaintenanceContext.
class Collector {
 public:
  // The context outlives it.
  explicit Collector(MaintenanceContext& context) : context_(context) {}

  // Starts what is due, and tells the store how far it is behind. To be called when values died.
  void Start();
  // There were few writes lately, or (again) there are: how much garbage is worth a collection.
  void SetTidiesUp(bool tidies_up) { tidies_up_ = tidies_up; }
  bool is_copying() const { return is_copying_; }
  // Something is being collected, or would be if there were few writes.
  bool has_idle_work() const;

 private:
  struct Job {
    std::shared_ptr<Tree> tree;
    std::vector<std::shared_ptr<ValueFile>> files;
  };

  // A tree that has separated values.
  struct TreeState {
    std::shared_ptr<Tree> tree;
    std::shared_ptr<const Version> version;
    const ValueRuns* values;   // in the manifest's state
    ValueRuns::Totals totals;  // of them
    uint64_t hidden_bytes;     // of live ones, by rows that no merge has met yet
  };

  std::vector<TreeState> TreesNow() const;
  CollectionLimits limits() const;
  void UpdatePressure();
  std::optional<Job> PickNext(bool idle) const;
  Task<bool> RunJobs();
  Task<Result<void>> RunJob(Job job);
  Task<Result<void>> Run(const Job& job);
  Task<Result<void>> Copy(ValueCollector& collector);
  Result<void> Install(const Job& job, ValueCollector& collector);

  MaintenanceContext& context_;
  bool tidies_up_ = false;
  bool is_copying_ = false;
  Task<bool> running_;
};

}  // namespace varve::engine
