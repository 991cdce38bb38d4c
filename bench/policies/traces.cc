#include "policies/traces.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>

#include "key_choice.h"

namespace varve::bench {
namespace {

constexpr uint64_t kSeed = 1;

}  // namespace

Trace ZipfTrace(double exponent, uint32_t key_count, size_t length) {
  Trace trace{"Zipf " + std::to_string(exponent).substr(0, 4), {}, key_count, length / 3, exponent};
  const auto choice = NewKeyChoice("zipf", {0, key_count}, 0, exponent, kSeed);
  for (size_t i = 0; i < length; ++i) trace.keys.push_back(static_cast<uint32_t>(choice->Next()));
  return trace;
}

Trace ScanTrace(uint32_t hot_count, size_t length) {
  Trace trace{"a scan through a hot set", {}, hot_count, length / 3};
  std::mt19937_64 random(kSeed);
  for (size_t i = 0; i < length; ++i) {
    const bool is_hot = random() % 4 != 0;
    trace.keys.push_back(is_hot ? static_cast<uint32_t>(random() % hot_count) : trace.key_count++);
  }
  return trace;
}

Trace ShiftingTrace(uint32_t key_count, size_t length, size_t period) {
  Trace trace{"a shifting hot set", {}, key_count, length / 3};
  const uint32_t hot_count = key_count / 20;
  std::mt19937_64 random(kSeed);
  for (size_t i = 0; i < length; ++i) {
    const uint64_t first = i / period * hot_count;
    const bool is_hot = random() % 10 != 0;
    const uint64_t key = is_hot ? first + random() % hot_count : random();
    trace.keys.push_back(static_cast<uint32_t>(key % key_count));
  }
  return trace;
}

Trace RecordedTrace(const std::string& path) {
  Trace trace{std::filesystem::path(path).stem().string(), {}};
  std::ifstream file(path, std::ios::binary);
  uint32_t key = 0;
  while (file.read(reinterpret_cast<char*>(&key), sizeof(key))) {
    trace.keys.push_back(key);
    trace.key_count = std::max(trace.key_count, key + 1);
  }
  trace.first_counted = trace.keys.size() / 3;
  return trace;
}

double ZipfShare(double exponent, uint32_t key_count, size_t capacity) {
  double share = 0;
  double all = 0;
  for (uint32_t rank = 1; rank <= key_count; ++rank) {
    all += std::pow(rank, -exponent);
    if (rank == capacity) share = all;
  }
  return capacity >= key_count ? 1 : share / all;
}

}  // namespace varve::bench
