#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <span>
#include <utility>

#include "engine/env.h"
#include "engine/support/fault_file_system.h"
#include "engine/support/manual_scheduler.h"
#include "engine/support/mem_file_system.h"

namespace varve::engine::testing {

// The same bytes for the same seed. Threads: any.
class SeededRandom : public Random {
 public:
  explicit SeededRandom(uint64_t seed) : random_(seed) {}
  void Fill(std::span<char> out) override {
    const std::lock_guard lock(mutex_);
    for (char& byte : out) byte = static_cast<char>(random_());
  }

 private:
  std::mutex mutex_;
  std::mt19937_64 random_;
};

// A whole simulated machine: disk, faults, clock, randomness, scheduler, all from one seed. The
// usual crash test runs on one machine and recovers on the next:
//
//   SimulatedEnv first(seed);
//   auto engine = Open(first.env());  ...  first.scheduler.RunReady();
//   SimulatedEnv second(seed, first.disk().CrashClone(seed));
//   engine.reset();  // the old process ends at leisure, on its own disk; it needs its scheduler
//   auto recovered = Open(second.env());
class SimulatedEnv {
 public:
  explicit SimulatedEnv(uint64_t seed = 0,
                        std::unique_ptr<MemFileSystem> disk = std::make_unique<MemFileSystem>())
      : scheduler(seed),
        random(seed),
        disk_(std::move(disk)),
        files_(disk_.get(), &faults),
        reads_(scheduler.parallel_executor()),
        blocks_(reads_),
        env_{&files_,
             scheduler.clock(),
             &random,
             scheduler.serial_executor(),
             scheduler.parallel_executor(),
             scheduler.serial_executor(),
             reads_,
             &blocks_} {}

  const Env& env() const { return env_; }
  MemFileSystem& disk() { return *disk_; }

  FaultPlan faults;
  ManualScheduler scheduler;
  SeededRandom random;

 private:
  const std::unique_ptr<MemFileSystem> disk_;
  FaultFileSystem files_;
  Executor* const reads_;
  PoolBlockReader blocks_;
  const Env env_;
};

}  // namespace varve::engine::testing
