#include "engine/wal_syncer.h"

#include <utility>

namespace varve::engine {

namespace {

constexpr uint64_t kSyncPeriodUs = 1'000'000;

}  // namespace

void WalSyncer::WhenDurable(Lsn lsn, std::function<void(Result<void>)> done) {
  if (writer_->durable() >= lsn) {
    done({});
    return;
  }
  const std::lock_guard lock(mutex_);
  waiters_.push_back({lsn, std::move(done)});
  if (!std::exchange(is_sync_posted_, true)) PostSync();
}

Result<void> WalSyncer::SyncUpTo(Lsn lsn) {
  if (writer_->durable() >= lsn) return {};
  const Result<void> result = writer_->Sync();
  Answer(result);
  return writer_->durable() >= lsn ? Result<void>() : result;
}

void WalSyncer::PostSync() {
  log_->Post([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->SyncOnce();
  });
}

void WalSyncer::SyncOnce() {
  const Result<void> result = writer_->Sync();
  Answer(result);
  const std::lock_guard lock(mutex_);
  // Posted, not looped: preparing a segment may have its turn in between.
  is_sync_posted_ = !waiters_.empty();
  if (is_sync_posted_) PostSync();
}

void WalSyncer::Answer(const Result<void>& result) {
  const Lsn durable = writer_->durable();
  std::vector<Waiter> answered;
  {
    const std::lock_guard lock(mutex_);
    std::vector<Waiter> still_waiting;
    for (Waiter& waiter : waiters_) {
      auto& to = result && waiter.lsn > durable ? still_waiting : answered;
      to.push_back(std::move(waiter));
    }
    waiters_ = std::move(still_waiting);
  }
  for (const Waiter& waiter : answered) {
    waiter.done(waiter.lsn <= durable ? Result<void>() : result);
  }
}

void WalSyncer::SetMode(SyncMode mode) {
  const std::lock_guard lock(mutex_);
  mode_ = mode;
  if (mode == SyncMode::kEverySecond && !std::exchange(is_tick_posted_, true)) PostTick();
}

void WalSyncer::PostTick() {
  log_->PostAfter(kSyncPeriodUs, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->Tick();
  });
}

void WalSyncer::Tick() {
  {
    const std::lock_guard lock(mutex_);
    is_tick_posted_ = mode_ == SyncMode::kEverySecond && !is_closed_;
    if (!is_tick_posted_) return;
    PostTick();
  }
  Answer(writer_->Sync());
}

Result<void> WalSyncer::Close() {
  {
    const std::lock_guard lock(mutex_);
    is_closed_ = true;
  }
  Result<void> result = writer_->WriteEnd();
  if (result) result = writer_->Sync();
  Answer(result);
  return result;
}

}  // namespace varve::engine
