#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/collector.h"
#include "engine/compactor.h"
#include "engine/key_set.h"
#include "engine/maintenance_context.h"
#include "engine/value_builder.h"
#include "engine/wal.h"

namespace varve::engine {

// The background work: flushes sealed generations, has levels merged (compactor.h) and dead values
// collected (collector.h), makes FLUSHDB durable and deletes what nobody needs. Each is a coroutine
// on env.background, a strand: one step runs at a time, and each gives way to the others every few
// thousand rows. All changes of what is on disk go through here, and each through the manifest
// first. Threads: Schedule...() from any thread, they only post; all else on env.background.
// Errors:  those of MaintenanceContext.
class Maintenance {
 public:
  // All of these outlive it.
  Maintenance(const Env& env, const Options& options, Store& store, Wal& wal, SpaceReserve& reserve,
              std::unique_ptr<Manifest> manifest);
  // Nothing of its work is running or posted: Stop(), then idle().
  ~Maintenance() = default;

  void ScheduleFlush();
  void ScheduleCompaction();
  // Once the WAL is durable up to `lsn`, the trees that were dropped until then leave the manifest.
  void ScheduleDrops(Lsn lsn);
  // Brings the rows in memory within their budget, a little at a time.
  void ScheduleTrim();
  // Of tables that are begun from now on. Any thread.
  void SetLastLevelCompression(LastLevelCompression compression) {
    context_.SetLastLevelCompression(compression);
  }
  // As soon as there are few writes for some seconds, space that rows hide is given back.
  void ScheduleTidying();
  // While the disk is full, deletes are flushed soon.
  void ScheduleRelief();
  // Flushes everything and merges it into the last level.
  void ScheduleWholeCompaction();
  // Gives tables the key sets that writes want, where there is memory for them.
  void ScheduleKeySets();
  // What runs ends at its next step; nothing new begins.
  void Stop() { context_.Stop(); }
  bool idle() const { return context_.idle(); }

 private:
  // Starts `make()` as `task`, unless that is still running.
  template <typename Make>
  void PostTask(Task<bool>& task, Make make);
  Task<bool> FlushAll();
  void SetFlushError(std::optional<Error> error);
  bool IsRewriting() const;
  void SetTidiesUp(bool tidies_up);
  void StartRewriting();
  bool GivesRoomToFlush(SpaceReserve::Lease& lease, const Generation& generation);
  Task<Result<void>> Flush(std::shared_ptr<Generation> generation);
  // What the flush of a tree's memtable writes.
  struct FlushOutput {
    std::unique_ptr<RangeWriter> tables;
    std::unique_ptr<ValueFileBuilder> values = nullptr;  // null: no value was large enough
    std::shared_ptr<ValueFile> value_file = nullptr;     // of `values`, when all is written
  };
  Task<Result<void>> WriteMemtable(const TreeMemtable& memtable, FlushOutput& output);
  Result<void> AddFlushedRow(Row row, FlushOutput& output);
  Task<Result<void>> FinishValues(FlushOutput& output);
  bool IsSeparated(const Row& row, const FlushOutput& output) const;
  Task<bool> Trim();
  Task<bool> TidyUp();
  Task<bool> MakeKeySets();
  Task<Result<std::shared_ptr<const KeySet>>> ReadKeySet(std::shared_ptr<const Table> table);
  Task<bool> CompactWhole();
  Task<bool> Relieve();
  Task<bool> PersistDrops();

  uint64_t LiveKeyCount(const Tree& tree, const TreeMemtable& memtable) const;
  void AddDrops(const std::vector<TreeDrop>& drops, VersionEdit& edit);
  void FinishDrops(const std::vector<TreeDrop>& drops);

  MaintenanceContext context_;
  Store& store_;
  Wal& wal_;
  Collector collector_;
  Compactor compactor_;
  // The outermost coroutines; done() when there is nothing to do.
  Task<bool> flush_;
  Task<bool> trim_;
  Task<bool> tidying_;
  Task<bool> whole_;
  Task<bool> key_sets_;
  Task<bool> relief_;
  Task<bool> drop_;
  Lsn dropped_until_ = 0;  // the log is durable up to here: what it drops, the manifest may drop
};

}  // namespace varve::engine
