#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "engine/env.h"
#include "engine/io_pace.h"
#include "engine/manifest.h"
#include "engine/options.h"
#include "engine/range_writer.h"
#include "engine/space_reserve.h"
#include "engine/store.h"
#include "engine/task.h"
#include "engine/value_builder.h"

namespace varve::engine {

// What all background work has in common: its surroundings, the manifest, through which each change
// of what is on disk goes first, and what is told when work fails or is to end.
// Threads: on env.background, the strand, except where said otherwise.
// Errors:  a failed flush or compaction is logged, its files are removed, and it is tried again
// with
//          a growing pause, since most of what fails (a full disk, too many open files) passes. A
//          failed write of the manifest is final for writes, for want of room apart: nothing can be
//          installed any more.
class MaintenanceContext {
 public:
  // All of these outlive it.
  MaintenanceContext(const Env& env, const Options& options, Store& store, SpaceReserve& reserve,
                     std::unique_ptr<Manifest> manifest);

  const Env& env() const { return env_; }              // any thread
  const Options& options() const { return options_; }  // any thread
  Store& store() { return store_; }                    // any thread, which takes the lock
  SpaceReserve& reserve() { return reserve_; }         // any thread
  spdlog::logger& log() const { return *options_.logger; }
  const ManifestState& manifest_state() const { return manifest_->state(); }

  // Posts `work` to the strand, and counts it as pending until it is done. Any thread.
  void Post(Work work);
  // Work that goes on beyond its first step counts itself. Any thread.
  void BeginWork() { ++pending_; }
  void EndWork() { --pending_; }
  bool idle() const { return pending_ == 0; }
  void Stop() { stopping_ = true; }
  bool stopping() const { return stopping_; }
  // Nothing can be written any more: the engine is closing, or the manifest failed.
  bool ended() const { return stopping_ || manifest_failed_; }
  bool manifest_failed() const { return manifest_failed_; }
  // A flush has met a full disk: what else writes gives way, and leaves it the room. Any thread.
  bool flush_needs_room() const { return flush_needs_room_; }
  void SetFlushNeedsRoom(bool needs_room) { flush_needs_room_ = needs_room; }
  tl::unexpected<Error> Stopped() const;
  // Ends early when the engine closes.
  Task<bool> Pause(uint64_t us);
  // Gives way to others, for so long at least, on env().workers; ends early likewise.
  Task<bool> WaitOnWorkers(uint64_t us);
  IoPace& pace() { return pace_; }  // any thread

  // Makes the edit durable, the next number with it. When that fails for good, writes are refused.
  Result<void> AppendEdit(VersionEdit edit);
  // For tables of `level`. Any thread.
  std::unique_ptr<RangeWriter> NewWriter(const Tree& tree, int level,
                                         std::vector<DyadicRange> ranges);
  // Tables of `level` that are written now are to be other than those that come from above.
  bool Recompresses(int level) const;
  void SetLastLevelCompression(LastLevelCompression compression) {  // any thread
    last_level_compression_ = compression;
  }
  // What the writer has written, for a version.
  std::vector<std::pair<int, std::shared_ptr<Table>>> TablesAt(int level,
                                                               const RangeWriter& writer) const;
  // Any thread.
  Result<std::unique_ptr<ValueFileBuilder>> NewValueFile();
  // What the manifest says now of a tree's separated values, of which those in `added` are new.
  // Files that it does not name any more go when the last reader lets go.
  std::shared_ptr<const ValueSet> ValuesNow(const Tree& tree,
                                            std::shared_ptr<ValueFile> added) const;
  // Runs what `next` hands out, one after the other, until it has nothing: merges or collections. A
  // flush that has met a full disk ends it (and starts it again); they borrow from the reserve
  // then, and what fails otherwise is tried again after a pause.
  Task<bool> RunRewrites(const char* what, std::function<std::optional<Task<Result<void>>>()> next);
  void ReportFailure(const char* what, const Error& error);
  void ReportSuccess();

 private:
  const Env env_;
  const Options options_;
  Store& store_;
  SpaceReserve& reserve_;
  const std::unique_ptr<Manifest> manifest_;
  IoPace pace_;
  std::atomic<LastLevelCompression> last_level_compression_;
  std::atomic<bool> stopping_{false};
  std::atomic<size_t> pending_{0};
  std::atomic<bool> flush_needs_room_{false};
  bool manifest_failed_ = false;
  bool failing_ = false;  // the last flush or compaction failed
};

// The pause after a failure: the next one is twice as long, up to a limit.
class RetryPause {
 public:
  uint64_t Next() {
    const uint64_t pause_us = next_us_;
    next_us_ = next_us_ < kMaxUs / 2 ? 2 * next_us_ : kMaxUs;
    return pause_us;
  }
  void Reset() { next_us_ = kMinUs; }

 private:
  static constexpr uint64_t kMinUs = 100'000;
  static constexpr uint64_t kMaxUs = 5'000'000;
  uint64_t next_us_ = kMinUs;
};

}  // namespace varve::engine
