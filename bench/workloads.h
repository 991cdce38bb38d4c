#pragma once

#include <cstdint>
#include <string>

#include "store.h"

namespace CLI {
class App;
}

// db_bench's workloads under db_bench's names and flags, and its output lines, so that one script
// reads the results of all:
//   fillrandom, overwrite  num Puts of random keys out of num; overwrite: for `duration` seconds,
//                          when that is not 0
//   filluniquerandom       num Puts of each of num keys, scattered; one thread
//   readrandom             `reads` Gets of random keys out of num
//   readmissing            the same with keys that are not there, each between two that may be
//   scan                   one walk over everything (db_bench: readseq)
//   waitforcompaction, stats
// Keys are `key_size` bytes: the number as 8 bytes big-endian, then zeros. Values are slices of a
// megabyte that compresses to about half.
namespace varve::bench {

struct Flags {
  std::string benchmarks = "fillrandom,waitforcompaction,readrandom,readmissing,scan,overwrite";
  std::string db = "/tmp/varve-bench";
  uint64_t num = 1'000'000;
  uint64_t reads = 0;  // 0: num
  size_t key_size = 16;
  size_t value_size = 100;
  int threads = 1;
  uint64_t duration = 0;
  std::string report_file;  // of the last workload: Timeline's seconds
  uint64_t seed = 301;
  uint64_t write_buffer_size = 64ull << 20;
  uint64_t cache_size = 1ull << 30;
  uint64_t value_log_threshold = 4096;  // 0: values stay in tables
  bool use_existing_db = false;

  void AddTo(CLI::App& app);
};

// Runs `flags.benchmarks` in turn and prints a line for each. Exits on an unknown name.
void RunWorkloads(Store& store, const Flags& flags);

}  // namespace varve::bench
