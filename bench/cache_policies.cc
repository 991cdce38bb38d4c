// Which rows a cache should keep: runs traces through Varve's rows in memory and through other
// policies, and prints their hit ratios beside the best possible. scripts/bench-cache calls it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "policies/best_possible.h"
#include "policies/row_policies.h"
#include "policies/traces.h"
#include "policies/varve_rows.h"

namespace varve::bench {
namespace {

// A row of Varve's in memory, with its part of the table.
constexpr uint64_t kBytesPerRow = 157;
// Varve gives memory out in segments, of which a smaller cache would have but a few.
constexpr size_t kRowsMin = 3000;

struct Figures {
  double hit_ratio = 0;
  double ns_per_access = 0;
  size_t rows = 0;  // that it held, on average
};

// Calls sample() now and then while the accesses count.
template <typename Sample>
Figures Run(const Trace& trace, CachePolicy& policy, Sample sample) {
  constexpr size_t kSamplePeriod = 1024;
  uint64_t hits = 0;
  for (size_t i = 0; i < trace.first_counted; ++i) policy.Access(trace.keys[i]);
  const auto started = std::chrono::steady_clock::now();
  for (size_t i = trace.first_counted; i < trace.keys.size(); ++i) {
    hits += policy.Access(trace.keys[i]) ? 1 : 0;
    if (i % kSamplePeriod == 0) sample();
  }
  const std::chrono::duration<double, std::nano> elapsed =
      std::chrono::steady_clock::now() - started;
  const auto counted = static_cast<double>(trace.keys.size() - trace.first_counted);
  return {static_cast<double>(hits) / counted, elapsed.count() / counted};
}

Figures RunVarve(const Trace& trace, size_t capacity) {
  VarveRows rows(capacity * kBytesPerRow);
  uint64_t sum = 0;
  uint64_t samples = 0;
  Figures figures = Run(trace, rows, [&] {
    sum += rows.row_count();
    ++samples;
  });
  figures.rows = sum / samples;
  return figures;
}

Figures RunRowPolicy(const Trace& trace, CachePolicy&& policy) {
  return Run(trace, policy, [] {});
}

struct Column {
  std::string name;
  Figures figures;
};

// One line of the table: all of them with as many rows as Varve holds in the bytes of `capacity`.
std::vector<Column> Compare(const Trace& trace, size_t capacity) {
  const Figures varve = RunVarve(trace, capacity);
  const size_t rows = varve.rows;
  const auto counted = static_cast<double>(trace.keys.size() - trace.first_counted);
  const uint64_t best = BestPossibleHits(trace.keys, trace.key_count, trace.first_counted, rows);
  return {
      {"Varve", varve},
      {"LRU", RunRowPolicy(trace, Lru(trace.key_count, rows))},
      {"SIEVE", RunRowPolicy(trace, Sieve(trace.key_count, rows))},
      {"S3-FIFO", RunRowPolicy(trace, S3Fifo(trace.key_count, rows, {}))},
      {"MIN", {static_cast<double>(best) / counted, 0, rows}},
  };
}

void PrintHeadings(const std::vector<Column>& columns) {
  std::string names;
  std::string times;
  for (const Column& column : columns) {
    names += fmt::format(" {} |", column.name);
    if (column.figures.ns_per_access > 0) times += fmt::format(" {}, ns |", column.name);
  }
  fmt::print("| trace | rows | cached |{} most frequent |{}\n", names, times);
  fmt::print("|---|--:|--:|--:|");
  for (size_t i = 1; i < 2 * columns.size(); ++i) fmt::print("--:|");
  fmt::print("\n");
}

void PrintLine(const Trace& trace, const std::vector<Column>& columns) {
  const size_t rows = columns.front().figures.rows;
  std::string ratios;
  std::string times;
  for (const Column& column : columns) {
    ratios += fmt::format(" {:.1f} |", column.figures.hit_ratio * 100);
    if (column.figures.ns_per_access > 0) {
      times += fmt::format(" {:.0f} |", column.figures.ns_per_access);
    }
  }
  const std::string most_frequent =
      trace.exponent == 0
          ? ""
          : fmt::format("{:.1f}", ZipfShare(trace.exponent, trace.key_count, rows) * 100);
  fmt::print("| {} | {} | {} |{} {} |{}\n", trace.name, trace.key_count, rows, ratios,
             most_frequent, times);
  std::fflush(stdout);
}

int Main(int argc, char** argv) {
  CLI::App app{"Hit ratios of cache policies on traces."};
  uint32_t key_count = 2'000'000;
  size_t length = 6'000'000;
  std::vector<std::string> recordings;
  app.add_option("--keys", key_count, "rows of the synthetic traces");
  app.add_option("--length", length, "accesses of each synthetic trace, of which two thirds count");
  app.add_option("--recorded", recordings, "files of 32-bit numbers, each the number of a row");
  CLI11_PARSE(app, argc, argv);

  bool first = true;
  const auto show = [&](const Trace& trace, size_t capacity) {
    const std::vector<Column> columns = Compare(trace, capacity);
    if (first) PrintHeadings(columns);
    first = false;
    PrintLine(trace, columns);
  };
  for (const double exponent : {0.8, 0.99, 1.2}) {
    const Trace trace = ZipfTrace(exponent, key_count, length);
    for (const size_t part : {100, 10}) show(trace, key_count / part);
  }
  const size_t capacity = key_count / 10;
  show(ScanTrace(static_cast<uint32_t>(capacity * 4 / 5), length), capacity);
  show(ShiftingTrace(key_count, length, length / 6), capacity);
  for (const std::string& path : recordings) {
    const Trace trace = RecordedTrace(path);
    if (trace.keys.empty()) {
      fmt::print(stderr, "cache_policies: {}: no accesses\n", path);
      return 1;
    }
    for (const size_t part : {100, 10}) {
      const size_t cached = trace.key_count / part;
      if (cached >= kRowsMin) show(trace, cached);
    }
  }
  return 0;
}

}  // namespace
}  // namespace varve::bench

int main(int argc, char** argv) { return varve::bench::Main(argc, argv); }
