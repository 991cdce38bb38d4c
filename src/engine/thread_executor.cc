#include "engine/thread_executor.h"

#include <system_error>

#include "engine/invariant.h"
#include "engine/posix_thread.h"

namespace varve::engine {

ThreadExecutor::ThreadExecutor(std::string name, size_t thread_count_max)
    : name_(name.substr(0, 15)), thread_count_max_(thread_count_max) {
  INVARIANT(thread_count_max > 0);
  threads_.reserve(thread_count_max);
  const std::lock_guard lock(mutex_);
  StartThread();
}

ThreadExecutor::~ThreadExecutor() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  // threads_ does not grow any more: only Post() adds to it, and work that still runs may call it,
  // but it starts nothing when stopping_ is set.
  for (std::thread& thread : threads_) thread.join();
}

void ThreadExecutor::Post(Work work) {
  const std::lock_guard lock(mutex_);
  Enqueue(std::move(work));
}

void ThreadExecutor::PostAfter(uint64_t delay_us, Work work) {
  const Time due = std::chrono::steady_clock::now() + std::chrono::microseconds(delay_us);
  const std::lock_guard lock(mutex_);
  const auto added = timers_.emplace(std::pair(due, next_order_++), std::move(work)).first;
  // One of the sleepers has to wait for a shorter time than it does.
  if (added == timers_.begin() && sleeping_ > 0) wake_.notify_one();
}

size_t ThreadExecutor::thread_count() const {
  const std::lock_guard lock(mutex_);
  return threads_.size();
}

void ThreadExecutor::StartThread() {
  try {
    threads_.push_back(engine::StartThread(name_, [this] { Run(); }));
  } catch (const std::system_error&) {
    if (threads_.empty()) throw;
  }
}

void ThreadExecutor::Enqueue(Work work) {
  queue_.push_back(std::move(work));
  if (stopping_) return;
  if (sleeping_ > 0) wake_.notify_one();  // a system call; not made while all threads are at work
  if (queue_.size() > sleeping_ && threads_.size() < thread_count_max_) StartThread();
}

void ThreadExecutor::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    EnqueueDue();
    if (queue_.empty()) {
      Sleep(lock);
      continue;
    }
    Work work = std::move(queue_.front());
    queue_.pop_front();
    // This thread may have been the one that waited for the next timer.
    if (!timers_.empty()) {
      if (sleeping_ > 0) {
        wake_.notify_one();
      } else if (threads_.size() < thread_count_max_) {
        StartThread();  // else the timer would wait until this work ends
      }
    }
    lock.unlock();
    work();
    work = nullptr;  // what it holds may call Post() when destroyed
    lock.lock();
  }
}

void ThreadExecutor::EnqueueDue() {
  if (timers_.empty()) return;
  const Time now = std::chrono::steady_clock::now();
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    Work work = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    Enqueue(std::move(work));
  }
}

void ThreadExecutor::Sleep(std::unique_lock<std::mutex>& lock) {
  ++sleeping_;
  if (timers_.empty()) {
    wake_.wait(lock);
  } else {
    const Time due = timers_.begin()->first.first;  // a copy: the timer may go while we wait
    wake_.wait_until(lock, due);
  }
  --sleeping_;
}

}  // namespace varve::engine
