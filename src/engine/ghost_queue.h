#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "engine/position.h"

namespace varve::engine {

// Remembers which rows were evicted lately, by 16 bits of their positions, which also say where to
// look: buckets of a cache line, each of which forgets its oldest row for a new one. One answer in
// some 2,000 is wrong, which only costs a row a better place than it has earned.
// Owns:    its memory, about two bytes for each row of the cache that it is for.
// Threads: under the command lock.
class GhostQueue {
 public:
  GhostQueue() = default;
  ~GhostQueue() { FitTo(0); }
  GhostQueue(const GhostQueue&) = delete;
  GhostQueue& operator=(const GhostQueue&) = delete;

  // To remember between half as many and twice as many rows as that, and none if they are few.
  // Forgets all when its size has to change, which takes time only when it shrinks.
  void FitTo(uint64_t row_count);
  // Hides the cache miss of a coming Add().
  void Prefetch(Position position) const {
    if (bucket_count_ > 0) __builtin_prefetch(&BucketOf(position), /*for writing*/ 1);
  }
  void Add(Position position);
  bool Contains(Position position) const;
  uint64_t memory_bytes() const { return bucket_count_ * sizeof(Bucket); }

 private:
  using Tag = uint16_t;
  static constexpr size_t kBucketTags = 32;
  static constexpr uint64_t kBucketsMin = 64;  // a page; a smaller cache does without
  struct alignas(64) Bucket {
    std::array<Tag, kBucketTags> tags;  // newest first; 0: none
  };
  static_assert(sizeof(Bucket) == 64);

  // Of the bits that do not choose the bucket.
  static Tag TagOf(Position position) {
    const Tag tag = static_cast<Tag>(position);
    return tag == 0 ? 1 : tag;
  }
  Bucket& BucketOf(Position position) const {
    return buckets_[(position >> 32) * bucket_count_ >> 32];
  }

  Bucket* buckets_ = nullptr;
  uint64_t bucket_count_ = 0;  // a power of two, or 0
};

}  // namespace varve::engine
