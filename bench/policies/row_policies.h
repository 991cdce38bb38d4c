#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "policies/policy.h"
#include "policies/row_pool.h"

// The policies that treat each row by itself.
namespace varve::bench {

// Evicts the row whose last visit is the longest ago.
class Lru final : public CachePolicy {
 public:
  Lru(uint32_t key_count, size_t capacity) : rows_(key_count, capacity), list_(rows_) {}
  bool Access(uint32_t key) override;

 private:
  RowPool rows_;
  RowPool::List list_;
};

// Source: "SIEVE is Simpler than LRU" (Zhang et al., NSDI 2024). A hand passes from the oldest row
// to the newest, takes away the mark of those that were visited, and evicts the first without one.
class Sieve final : public CachePolicy {
 public:
  Sieve(uint32_t key_count, size_t capacity) : rows_(key_count, capacity), list_(rows_) {}
  bool Access(uint32_t key) override;

 private:
  void Evict();

  RowPool rows_;
  RowPool::List list_;
  RowPool::Index hand_ = RowPool::kNone;
};

// Source: "FIFO queues are all you need for cache eviction" (Yang et al., SOSP 2023), algorithm 1.
class S3Fifo final : public CachePolicy {
 public:
  struct Options {
    double small_share = 0.1;    // of the capacity
    uint8_t visits_max = 3;      // what a row counts up to
    uint8_t visits_to_stay = 2;  // so many visits in the small queue bring it into the main one
    bool keeps_visits = false;   // it gets there with the visits that it has, less one
    double ghost_share = 0.9;    // of the capacity: how many evicted keys are remembered
  };

  S3Fifo(uint32_t key_count, size_t capacity, const Options& options);
  bool Access(uint32_t key) override;

 private:
  void EvictSmall();
  void EvictMain();
  void Remember(uint32_t key);

  const Options options_;
  const size_t small_max_;
  const uint64_t ghost_max_;
  RowPool rows_;
  RowPool::List small_;
  RowPool::List main_;
  std::vector<uint64_t> forgotten_at_;  // by key: it is remembered until so many were evicted
  uint64_t remembered_ = 0;
};

}  // namespace varve::bench
