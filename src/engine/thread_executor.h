#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/env.h"

namespace varve::engine {

// Runs work on up to `thread_count_max` threads, first come first served: with one thread it is
// serial. One thread is there from the start, the others come when work finds none of them idle.
// Threads: Post() and PostAfter() from any. Signals are blocked in all threads of the executor.
// Errors:  the constructor throws std::system_error without a thread. When a further one cannot be
//          had, those that there are do the work.
class ThreadExecutor : public Executor {
 public:
  // `name` is what tools show for the threads (cut to 15 bytes).
  ThreadExecutor(std::string name, size_t thread_count_max);
  // Waits for work that runs; drops what has not started.
  ~ThreadExecutor() override;

  void Post(Work work) override;
  void PostAfter(uint64_t delay_us, Work work) override;

  size_t thread_count() const;

 private:
  using Time = std::chrono::steady_clock::time_point;

  void StartThread();  // needs mutex_
  // Adds to queue_ and finds a thread for it; needs mutex_.
  void Enqueue(Work work);
  void Run();
  void EnqueueDue();                               // needs mutex_
  void Sleep(std::unique_lock<std::mutex>& lock);  // until there may be something to do

  const std::string name_;
  const size_t thread_count_max_;
  mutable std::mutex mutex_;  // guards all below
  std::condition_variable wake_;
  std::deque<Work> queue_;
  std::map<std::pair<Time, uint64_t>, Work> timers_;  // by (due, order of posting)
  uint64_t next_order_ = 0;
  size_t sleeping_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace varve::engine
