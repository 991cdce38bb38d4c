#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/env.h"
#include "engine/options.h"
#include "engine/wal_writer.h"

namespace varve::engine {

// When the WAL is synced: for those who wait, as one group while the sync before it runs, and each
// second in SyncMode::kEverySecond. Syncs run on env.log.
// Threads: any.
class WalSyncer : public std::enable_shared_from_this<WalSyncer> {
 public:
  WalSyncer(Executor* log, std::shared_ptr<WalWriter> writer)
      : log_(log), writer_(std::move(writer)) {}

  // See wal.h.
  // Makes the log durable up to `lsn` on the calling thread. Blocks.
  Result<void> SyncUpTo(Lsn lsn);
  void WhenDurable(Lsn lsn, std::function<void(Result<void>)> done);
  void SetMode(SyncMode mode);
  // Stops the timer, then syncs a last time. Blocks.
  Result<void> Close();

 private:
  struct Waiter {
    Lsn lsn;
    std::function<void(Result<void>)> done;
  };

  void PostSync();
  void PostTick();  // needs mutex_
  void Tick();
  void SyncOnce();
  void Answer(const Result<void>& result);

  Executor* const log_;
  const std::shared_ptr<WalWriter> writer_;

  std::mutex mutex_;  // guards all below
  std::vector<Waiter> waiters_;
  bool is_sync_posted_ = false;
  bool is_tick_posted_ = false;
  bool is_closed_ = false;
  SyncMode mode_ = SyncMode::kNever;
};

}  // namespace varve::engine
