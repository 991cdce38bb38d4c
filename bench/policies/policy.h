#pragma once

#include <cstdint>

namespace varve::bench {

// A cache of rows under one policy: what bench/cache_policies.cc compares. The caches other than
// Varve's own hold at most so many rows, all of one size.
class CachePolicy {
 public:
  virtual ~CachePolicy() = default;
  // True: a hit. After a miss the key's row is in the cache.
  virtual bool Access(uint32_t key) = 0;
};

}  // namespace varve::bench
