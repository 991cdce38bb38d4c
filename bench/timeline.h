#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "latency_histogram.h"

namespace varve::bench {

// Nanoseconds of the steady clock.
uint64_t NowNs();

// The latencies of a run: all of them together, and what each second by itself had. A request
// counts for the second in which it ended, so a pause shows as seconds without requests and then as
// a long one.
// Threads: one at a time; several threads have one each, merged when they have ended.
class Timeline {
 public:
  void Start(uint64_t now_ns) { started_ns_ = now_ns; }
  // A request that ended at `now_ns`, which is at or after the last one's.
  void Add(uint64_t now_ns, uint64_t latency_ns);
  void End() { EndSecond(); }
  // Adds what another one had that started at the same time. Both are at their end. A second's p99
  // is then the largest of the parts'.
  void Merge(const Timeline& other);

  const LatencyHistogram& all() const { return all_; }

  // CSV files with a line of headings; nothing for an empty path. The second that the end cut off
  // is among them, as the last line. Errors: end the process.
  void WriteSeconds(const std::string& path) const;    // second, requests, p99_us, max_us
  void WriteHistogram(const std::string& path) const;  // up_to_us, requests

 private:
  struct Second {
    uint64_t requests = 0;
    uint64_t p99_ns = 0;
    uint64_t max_ns = 0;
  };

  void EndSecond();

  uint64_t started_ns_ = 0;
  LatencyHistogram all_;
  std::vector<Second> seconds_;
  LatencyHistogram last_;  // of the last one of them
};

}  // namespace varve::bench
