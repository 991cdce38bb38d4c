#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/compaction_picker.h"
#include "engine/env.h"
#include "engine/manifest.h"
#include "engine/range_writer.h"
#include "engine/store.h"
#include "engine/task.h"
#include "engine/wal.h"

namespace varve::engine {

// The background work: flushes sealed generations, merges levels, makes FLUSHDB durable and deletes
// what nobody needs. Each is a coroutine on env.background, a strand: one step runs at a time, and
// each gives way to the others every few thousand rows, so that a flush never waits for a long
// compaction. All changes of what is on disk go through here, and each through the manifest first.
// Threads: Schedule...() from any thread, they only post; all else on env.background.
// Errors:  a failed flush or compaction is logged, its files are removed, and it is tried again
//          with a growing pause, since most of what fails (a full disk, too many open files)
//          passes. A failed write of the manifest is final for writes, for want of room apart:
//          nothing can be installed any more.
class Maintenance {
 public:
  // All of these outlive it.
  Maintenance(const Env& env, const Options& options, Store& store, Wal& wal,
              std::unique_ptr<Manifest> manifest);
  // Nothing of its work is running or posted: Stop(), then idle().
  ~Maintenance() = default;

  void ScheduleFlush();
  void ScheduleCompaction();
  // Once the WAL is durable up to `lsn`, the trees that were dropped until then leave the manifest.
  void ScheduleDrops(Lsn lsn);
  // Brings the rows in memory within their budget, a little at a time.
  void ScheduleTrim();
  // What runs ends at its next step; nothing new begins.
  void Stop() { stopping_ = true; }
  bool idle() const { return pending_ == 0; }

 private:
  // Posts `work` to the strand and counts it in pending_ until it is done.
  void Post(Work work);
  Task<bool> FlushAll();
  Task<bool> CompactAll();
  Task<Result<void>> Flush(std::shared_ptr<Generation> generation);
  Task<Result<void>> WriteMemtable(const TreeMemtable& memtable, RangeWriter& writer);
  Task<Result<void>> Compact(std::shared_ptr<Tree> tree, std::shared_ptr<const Version> version,
                             Compaction compaction);
  Task<Result<void>> Merge(const Version& version, const Compaction& compaction,
                           RangeWriter& writer);
  Task<bool> Trim();
  Task<bool> Pause(uint64_t us);
  void PersistDrops(Lsn lsn);

  uint64_t LiveKeyCount(const Tree& tree, const TreeMemtable& memtable) const;
  Result<void> AppendEdit(VersionEdit edit);
  std::unique_ptr<RangeWriter> NewWriter(int range_bits);
  std::vector<std::pair<int, std::shared_ptr<Table>>> TablesAt(int level,
                                                               const RangeWriter& writer) const;
  void AddDrops(const std::vector<TreeDrop>& drops, VersionEdit& edit);
  void FinishDrops(const std::vector<TreeDrop>& drops);
  void ReportFailure(const char* what, const Error& error);
  void ReportSuccess();
  std::optional<std::pair<std::shared_ptr<Tree>, Compaction>> PickNext(
      std::shared_ptr<const Version>* version);
  tl::unexpected<Error> Stopped() const;

  const Env env_;
  const Options options_;
  Store& store_;
  Wal& wal_;
  const std::unique_ptr<Manifest> manifest_;

  std::atomic<bool> stopping_{false};
  std::atomic<size_t> pending_{0};
  bool manifest_failed_ = false;
  bool failing_ = false;  // the last flush or compaction failed
  // The outermost coroutines; done() when there is nothing to do.
  Task<bool> flush_;
  Task<bool> compaction_;
  Task<bool> trim_;
};

}  // namespace varve::engine
