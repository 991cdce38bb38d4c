#include "engine/support/manual_scheduler.h"

#include <algorithm>

#include "engine/invariant.h"

namespace varve::engine::testing {

class ManualScheduler::ManualExecutor : public Executor {
 public:
  ManualExecutor(ManualScheduler* scheduler, bool serial)
      : scheduler_(scheduler), serial_(serial) {}

  void Post(Work work) override {
    const std::lock_guard lock(scheduler_->mutex_);
    Add(std::move(work));
  }
  void PostAfter(uint64_t delay_us, Work work) override {
    const std::lock_guard lock(scheduler_->mutex_);
    scheduler_->timers_[{scheduler_->now_us_ + delay_us, scheduler_->next_order_++}] = {
        this, std::move(work)};
  }

  // The scheduler's mutex is held for these.
  void Add(Work work) { ready_.emplace_back(scheduler_->next_order_++, std::move(work)); }
  size_t ready_count() const { return ready_.size(); }
  bool can_start() const { return !ready_.empty() && !(serial_ && running_ > 0); }
  void AddRunning(int change) { running_ += change; }
  uint64_t first_order() const { return ready_.front().first; }
  Work Take(size_t index) {
    if (serial_) index = 0;
    Work work = std::move(ready_[index].second);
    ready_.erase(ready_.begin() + static_cast<ptrdiff_t>(index));
    return work;
  }
  std::deque<std::pair<uint64_t, Work>> TakeAll() { return std::exchange(ready_, {}); }

 private:
  ManualScheduler* const scheduler_;
  const bool serial_;
  int running_ = 0;
  std::deque<std::pair<uint64_t, Work>> ready_;  // order of posting, task
};

class ManualScheduler::ManualClock : public Clock {
 public:
  explicit ManualClock(ManualScheduler* scheduler) : scheduler_(scheduler) {}
  uint64_t UnixMs() const override { return 1'700'000'000'000 + MonotonicUs() / 1000; }
  uint64_t MonotonicUs() const override {
    const std::lock_guard lock(scheduler_->mutex_);
    return scheduler_->now_us_;
  }
  void SleepUs(uint64_t us) override { scheduler_->AdvanceUs(us); }

 private:
  ManualScheduler* const scheduler_;
};

ManualScheduler::ManualScheduler(uint64_t seed)
    : random_order_(seed != 0), random_(seed), clock_(std::make_unique<ManualClock>(this)) {}

ManualScheduler::~ManualScheduler() { Drop(); }

Executor* ManualScheduler::serial_executor() { return NewExecutor(true); }
Executor* ManualScheduler::parallel_executor() { return NewExecutor(false); }
Clock* ManualScheduler::clock() { return clock_.get(); }

Executor* ManualScheduler::NewExecutor(bool serial) {
  const std::lock_guard lock(mutex_);
  executors_.push_back(std::make_unique<ManualExecutor>(this, serial));
  return executors_.back().get();
}

ManualScheduler::ManualExecutor* ManualScheduler::TakeOne(Work& work) {
  const std::lock_guard lock(mutex_);
  FireDue();
  ManualExecutor* chosen = nullptr;
  uint64_t seen = 0;
  for (const auto& executor : executors_) {
    if (!executor->can_start()) continue;
    ++seen;
    const bool better = random_order_
                            ? random_() % seen == 0
                            : seen == 1 || executor->first_order() < chosen->first_order();
    if (better) chosen = executor.get();
  }
  if (chosen == nullptr) return nullptr;
  work = chosen->Take(random_order_ ? random_() % chosen->ready_count() : 0);
  chosen->AddRunning(1);
  return chosen;
}

bool ManualScheduler::RunOne() {
  Work work;
  ManualExecutor* const executor = TakeOne(work);
  if (executor == nullptr) return false;
  work();
  work = nullptr;
  const std::lock_guard lock(mutex_);
  executor->AddRunning(-1);
  return true;
}

size_t ManualScheduler::RunReady(size_t task_max) {
  size_t count = 0;
  while (RunOne()) INVARIANT(++count <= task_max);
  return count;
}

void ManualScheduler::FireDue() {
  while (!timers_.empty() && timers_.begin()->first.first <= now_us_) {
    Timer timer = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    timer.executor->Add(std::move(timer.work));
  }
}

void ManualScheduler::AdvanceUs(uint64_t us) {
  const uint64_t end = clock_->MonotonicUs() + us;
  for (;;) {
    RunReady();
    const std::lock_guard lock(mutex_);
    if (timers_.empty() || timers_.begin()->first.first > end) break;
    now_us_ = std::max(now_us_, timers_.begin()->first.first);
  }
  {
    const std::lock_guard lock(mutex_);
    now_us_ = std::max(now_us_, end);
  }
  RunReady();
}

bool ManualScheduler::RunUntil(const std::function<bool()>& done, uint64_t limit_us) {
  const uint64_t end = clock_->MonotonicUs() + limit_us;
  while (!done()) {
    if (RunOne()) continue;
    const std::lock_guard lock(mutex_);
    if (timers_.empty() || timers_.begin()->first.first > end) return false;
    now_us_ = timers_.begin()->first.first;
  }
  return true;
}

size_t ManualScheduler::ready_count() const {
  const std::lock_guard lock(mutex_);
  size_t count = 0;
  for (const auto& executor : executors_) count += executor->ready_count();
  return count;
}

size_t ManualScheduler::timer_count() const {
  const std::lock_guard lock(mutex_);
  return timers_.size();
}

void ManualScheduler::Drop() {
  // Destroyed outside the mutex: what a task holds may post from its destructor.
  std::vector<std::deque<std::pair<uint64_t, Work>>> tasks;
  std::map<std::pair<uint64_t, uint64_t>, Timer> timers;
  const std::lock_guard lock(mutex_);
  for (const auto& executor : executors_) tasks.push_back(executor->TakeAll());
  timers = std::exchange(timers_, {});
}

}  // namespace varve::engine::testing
