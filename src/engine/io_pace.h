#pragma once

#include <cstdint>
#include <mutex>

#include "engine/env.h"

namespace varve::engine {

// Shares so many bytes a second among those who read and write in the background.
// Threads: any.
class IoPace {
 public:
  // 0: no limit. The clock outlives it.
  IoPace(const Clock* clock, uint64_t bytes_per_second)
      : clock_(clock), bytes_per_us_(static_cast<double>(bytes_per_second) / 1e6) {}

  // Somebody has moved so many bytes. Returns how long to wait before going on.
  uint64_t Charge(uint64_t bytes) {
    if (bytes_per_us_ <= 0) return 0;
    const uint64_t now_us = clock_->MonotonicUs();
    const std::lock_guard lock(mutex_);
    if (paid_until_us_ < now_us) paid_until_us_ = now_us;
    paid_until_us_ += static_cast<uint64_t>(static_cast<double>(bytes) / bytes_per_us_);
    return paid_until_us_ - now_us;
  }

 private:
  const Clock* const clock_;
  const double bytes_per_us_;
  std::mutex mutex_;
  uint64_t paid_until_us_ = 0;
};

}  // namespace varve::engine
