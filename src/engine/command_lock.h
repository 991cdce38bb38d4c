#pragma once

#include <atomic>
#include <mutex>
#include <thread>

namespace varve::engine {

// The lock that all commands run under. A plain mutex lets whoever runs take it again before the
// one that it has woken is there: a flush, or the thread that brings in rows, takes the lock a
// thousand times for a moment each and would keep commands out for as long as all of it lasts. So
// the background stands back while a command waits. Threads: lock() and unlock() for commands;
// Background is what all others lock it with, through std::lock_guard.
class CommandLock {
 public:
  void lock() {
    if (mutex_.try_lock()) return;
    commands_waiting_.fetch_add(1, std::memory_order_relaxed);
    mutex_.lock();
    commands_waiting_.fetch_sub(1, std::memory_order_relaxed);
  }
  void unlock() { mutex_.unlock(); }

  class Background {
   public:
    explicit Background(CommandLock& lock) : lock_(lock) {}
    void lock() {
      // Trying costs the holder nothing; to be waited for costs it a system call when it lets go.
      // But not for ever: where commands always hold or await it, the background must get on too.
      for (int i = 0; i < kPatience; ++i) {
        if (lock_.commands_waiting_.load(std::memory_order_relaxed) == 0 &&
            lock_.mutex_.try_lock()) {
          return;
        }
        std::this_thread::yield();
      }
      lock_.lock();
    }
    void unlock() { lock_.unlock(); }

   private:
    static constexpr int kPatience = 300;  // some 100 us, a few batches of commands
    CommandLock& lock_;
  };
  Background& background() { return background_; }

 private:
  std::mutex mutex_;
  std::atomic<int> commands_waiting_{0};
  Background background_{*this};
};

}  // namespace varve::engine
