#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "engine/background_scheduler.h"
#include "engine/env.h"
#include "engine/posix_file_system.h"
#include "engine/thread_executor.h"

namespace varve::engine {

class PosixClock : public Clock {
 public:
  uint64_t UnixMs() const override;
  uint64_t MonotonicUs() const override;
  void SleepUs(uint64_t us) override;
};

// getrandom(2). Throws std::system_error where a sandbox forbids it: nothing may start without it.
class SystemRandom : public Random {
 public:
  void Fill(std::span<char> out) override;
};

// The real world, for the server. Where io_uring can't be had, threads read the blocks, and with 32
// the disk sees enough requests at once (60 k reads/s of 4 KiB where 8 threads reach 46 k).
inline constexpr size_t kReadThreadsDefault = 32;

// Owns: all that its Env points to. Lifetime: outlives the engine that was opened with it.
class PosixEnv {
 public:
  explicit PosixEnv(size_t read_threads = kReadThreadsDefault, bool io_uring = true,
                    size_t background_threads = 1);
  PosixEnv(const PosixEnv&) = delete;
  PosixEnv& operator=(const PosixEnv&) = delete;

  const Env& env() const { return env_; }
  bool uses_io_uring() const { return uses_io_uring_; }

 private:
  std::unique_ptr<BlockReader> NewBlockReader(bool io_uring);

  PosixFileSystem files_;
  PosixClock clock_;
  SystemRandom random_;
  BackgroundScheduler background_;
  ThreadExecutor log_;
  ThreadExecutor reads_;
  bool uses_io_uring_ = false;
  const std::unique_ptr<BlockReader> blocks_;
  const Env env_;
};

}  // namespace varve::engine
