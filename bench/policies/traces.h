#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace varve::bench {

// A sequence of accesses to rows that are named by numbers below `key_count`.
struct Trace {
  std::string name;
  std::vector<uint32_t> keys;
  uint32_t key_count = 0;
  size_t first_counted = 0;  // accesses before this one fill the caches
  double exponent = 0;       // of Zipf's law; 0: another one
};

// Each row of rank r in proportion to r to the power of -exponent.
Trace ZipfTrace(double exponent, uint32_t key_count, size_t length);
// Three of four accesses go to the `hot_count` first rows, each equally often; between them all
// other rows pass once, in order.
Trace ScanTrace(uint32_t hot_count, size_t length);
// Nine of ten accesses go to a twentieth of the rows, each equally often, the others to all. After
// every `period` accesses another twentieth is hot.
Trace ShiftingTrace(uint32_t key_count, size_t length, size_t period);
// From a file of 32-bit numbers, little-endian, of which each is a row. Empty if it can't be read.
Trace RecordedTrace(const std::string& path);

// Which share of all accesses the `capacity` most frequent of the rows get.
double ZipfShare(double exponent, uint32_t key_count, size_t capacity);

}  // namespace varve::bench
