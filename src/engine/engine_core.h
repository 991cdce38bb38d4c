#pragma once

#include <atomic>
#include <memory>

#include "engine/env.h"
#include "engine/error.h"
#include "engine/maintenance.h"
#include "engine/options.h"
#include "engine/space_reserve.h"
#include "engine/store.h"
#include "engine/wal.h"

namespace varve::engine {

// The parts of an open engine, and how they come up and go down.
class EngineCore {
 public:
  static Result<std::unique_ptr<EngineCore>> Open(const Env& env, Options options);
  ~EngineCore();

  Result<void> Close();  // once; see Engine::Close()

  Store& store() { return *store_; }
  Wal& wal() { return *wal_; }
  const Options& options() const { return options_; }
  SyncMode sync_mode() const { return sync_mode_.load(std::memory_order_relaxed); }
  void SetSyncMode(SyncMode mode);
  void Compact() { maintenance_->ScheduleWholeCompaction(); }
  void SetLastLevelCompression(LastLevelCompression compression) {
    maintenance_->SetLastLevelCompression(compression);
  }
  Stats CollectStats();

 private:
  EngineCore(const Env& env, Options options);

  Result<void> Recover();
  Result<std::unique_ptr<Manifest>> OpenManifest();
  Result<void> ForgetEmptyLog(const WalRecovery& recovery, Manifest& manifest);
  Result<void> RemoveOrphans(const ManifestState& state);
  Result<void> OpenTrees(const ManifestState& state);
  void WaitForLoads();
  // Blocks until all that was posted to the background so far has run.
  void DrainBackground();
  // Blocks until `done` answers true, while the executors work.
  template <typename Done>
  void WaitUntil(Done done) {
    while (!done()) env_.clock->SleepUs(200);
  }

  const Env env_;
  const Options options_;
  std::atomic<SyncMode> sync_mode_;
  std::unique_ptr<DirectoryLock> lock_;  // the last to go
  const std::shared_ptr<SpaceReserve> reserve_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Wal> wal_;
  std::unique_ptr<Maintenance> maintenance_;
  bool closed_ = false;
  uint64_t recovered_records_ = 0, recovered_bytes_ = 0, recovery_us_ = 0;
};

}  // namespace varve::engine
