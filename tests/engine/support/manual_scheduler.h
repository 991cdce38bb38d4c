#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <utility>
#include <vector>

#include "engine/env.h"

namespace varve::engine::testing {

// Executors whose work runs when the test says so, one task at a time, on the test's thread, in an
// order that only the seed decides; and a clock that stands still until it is moved, by the test or
// by a SleepUs() of the code under test, which is an AdvanceUs(). Seed 0: always the task that was
// posted first. A serial executor that is in the middle of a task which sleeps starts no other.
// Threads: Post() from any; all else from one.
class ManualScheduler {
 public:
  explicit ManualScheduler(uint64_t seed = 0);
  ~ManualScheduler();

  // Serial: tasks in the order of their posting. Parallel: any of the posted ones comes next.
  Executor* serial_executor();    // one more at each call; lives as long as the scheduler
  Executor* parallel_executor();  // likewise
  Clock* clock();

  // Runs one task that is ready. False: none is.
  bool RunOne();
  // Runs until none is ready, timers untouched. Returns the number of tasks; more than `task_max`
  // ends the process, since the tasks post each other for ever.
  size_t RunReady(size_t task_max = 1'000'000);
  // Moves the clock on, running what becomes due on the way, then RunReady().
  void AdvanceUs(uint64_t us);
  // Runs tasks, and moves the clock to the next timer when none is ready, until `done()` holds.
  // False: nothing is left to run, or the time passed the limit, before that.
  bool RunUntil(const std::function<bool()>& done, uint64_t limit_us = 3'600'000'000);

  size_t ready_count() const;
  size_t timer_count() const;
  // Forgets all work and timers without running them, as a killed process would.
  void Drop();

 private:
  class ManualExecutor;
  class ManualClock;
  struct Timer {
    ManualExecutor* executor;
    Work work;
  };

  Executor* NewExecutor(bool serial);
  ManualExecutor* TakeOne(Work& work);  // a ready task, by the seed; null: none
  void FireDue();                       // needs mutex_

  mutable std::mutex mutex_;
  const bool random_order_;
  std::mt19937_64 random_;
  uint64_t now_us_ = 1'000'000;
  uint64_t next_order_ = 0;
  std::vector<std::unique_ptr<ManualExecutor>> executors_;
  std::map<std::pair<uint64_t, uint64_t>, Timer> timers_;  // by (due, order of posting)
  std::unique_ptr<ManualClock> clock_;
};

}  // namespace varve::engine::testing
