#pragma once

#include <atomic>
#include <cstdint>

namespace varve::server {

// A count that one thread adds to and others read, without the bus lock of fetch_add.
class Figure {
 public:
  void Add(uint64_t amount) { Set(value() + amount); }
  void Set(uint64_t value) { value_.store(value, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// What an event loop counts for INFO. Threads: written by the loop's thread, read by any.
struct alignas(64) LoopFigures {
  Figure commands;
  Figure reads;
  Figure writes;
  Figure input_bytes;
  Figure output_bytes;
  Figure output_limit_disconnections;
  // As of the last sweep, about a second old.
  Figure client_memory;
  Figure input_bytes_max;
  Figure output_bytes_max;
};

}  // namespace varve::server
