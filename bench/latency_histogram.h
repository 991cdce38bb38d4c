#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace varve::bench {

// Counts latencies in buckets that are less than 1 % wide, in constant memory; the maximum is
// exact.
class LatencyHistogram {
 public:
  void Add(uint64_t ns) {
    ++buckets_[BucketOf(ns)];
    ++count_;
    max_ns_ = std::max(max_ns_, ns);
  }

  void Merge(const LatencyHistogram& other) {
    for (size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
      buckets_[bucket] += other.buckets_[bucket];
    }
    count_ += other.count_;
    max_ns_ = std::max(max_ns_, other.max_ns_);
  }

  uint64_t count() const { return count_; }
  uint64_t max_ns() const { return max_ns_; }

  // The latency that the share `quantile` of all did not exceed, e.g. 0.99; 0 when there are none.
  uint64_t Quantile(double quantile) const {
    const auto wanted = static_cast<uint64_t>(quantile * static_cast<double>(count_));
    uint64_t seen = 0;
    for (size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
      seen += buckets_[bucket];
      if (seen > wanted) return std::min(UpperEnd(bucket), max_ns_);
    }
    return max_ns_;
  }

  // Calls `visit(up_to_ns, count)` for each bucket that is not empty, from the lowest on.
  template <typename Visit>
  void ForEachBucket(const Visit& visit) const {
    for (size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
      if (buckets_[bucket] != 0) visit(std::min(UpperEnd(bucket), max_ns_), buckets_[bucket]);
    }
  }

 private:
  // A bucket is the position of the highest bit and the kBits bits behind it.
  static constexpr int kBits = 7;
  static constexpr uint64_t kExact = uint64_t{1} << kBits;  // below it each number is a bucket

  static size_t BucketOf(uint64_t ns) {
    const int shift = std::bit_width(ns | kExact) - 1 - kBits;
    return static_cast<size_t>(shift) * kExact + (ns >> shift);
  }
  static uint64_t UpperEnd(size_t bucket) {
    if (bucket < 2 * kExact) return bucket;
    const size_t shift = bucket / kExact - 1;
    return ((bucket - shift * kExact + 1) << shift) - 1;
  }

  std::array<uint64_t, (64 - kBits + 1) * kExact> buckets_{};
  uint64_t count_ = 0;
  uint64_t max_ns_ = 0;
};

}  // namespace varve::bench
