#include "workloads.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <random>
#include <sstream>
#include <string_view>
#include <thread>
#include <vector>

namespace varve::bench {
namespace {

constexpr size_t kValuePoolBytes = 1 << 20;
constexpr size_t kValuePieceBytes = 100;

class Keys {
 public:
  Keys(uint64_t count, size_t key_bytes, uint64_t seed)
      : random_(seed), count_(count), key_(key_bytes, '0') {}

  std::string_view Next() {
    const uint64_t number = random_() % count_;
    for (size_t i = 0; i < sizeof(number) && i < key_.size(); ++i) {
      key_[i] = static_cast<char>(number >> (8 * (sizeof(number) - 1 - i)));
    }
    return key_;
  }
  // A key that no fill writes.
  std::string_view NextMissing() {
    missing_.assign(Next()).push_back('.');
    return missing_;
  }

 private:
  std::mt19937_64 random_;
  const uint64_t count_;
  std::string key_;
  std::string missing_;
};

class Values {
 public:
  explicit Values(size_t value_bytes) : value_bytes_(value_bytes) {
    std::minstd_rand random(301);
    while (pool_.size() < kValuePoolBytes + value_bytes) {
      std::string half(kValuePieceBytes / 2, ' ');
      for (char& byte : half) byte = static_cast<char>(' ' + random() % 95);
      pool_ += half + half;
    }
  }
  std::string_view Next() {
    if (offset_ + value_bytes_ > pool_.size()) offset_ = 0;
    offset_ += value_bytes_;
    return std::string_view(pool_).substr(offset_ - value_bytes_, value_bytes_);
  }

 private:
  const size_t value_bytes_;
  std::string pool_;
  size_t offset_ = 0;
};

struct Counts {
  uint64_t operations = 0;
  uint64_t found = 0;
};

Counts RunOne(const std::string& name, Session& session, const Flags& flags, uint64_t seed) {
  Keys keys(flags.num, flags.key_size, seed);
  Counts counts;
  if (name == "fillrandom" || name == "overwrite") {
    Values values(flags.value_size);
    for (; counts.operations < flags.num; ++counts.operations) {
      session.Put(keys.Next(), values.Next());
    }
  } else if (name == "readrandom" || name == "readmissing") {
    const uint64_t reads = flags.reads == 0 ? flags.num : flags.reads;
    const bool missing = name == "readmissing";
    for (; counts.operations < reads; ++counts.operations) {
      counts.found += session.Get(missing ? keys.NextMissing() : keys.Next()) ? 1 : 0;
    }
  } else if (name == "scan") {
    counts.operations = counts.found = session.Scan();
  } else {
    fmt::print(stderr, "unknown benchmark '{}'\n", name);
    std::exit(2);
  }
  return counts;
}

void RunOnThreads(const std::string& name, Store& store, const Flags& flags, uint64_t seed) {
  std::atomic<uint64_t> operations = 0;
  std::atomic<uint64_t> found = 0;
  std::vector<std::thread> threads;
  const auto started = std::chrono::steady_clock::now();
  for (int i = 0; i < flags.threads; ++i) {
    threads.emplace_back([&, i] {
      const auto session = store.NewSession();
      const Counts counts = RunOne(name, *session, flags, seed + static_cast<uint64_t>(i));
      operations += counts.operations;
      found += counts.found;
    });
  }
  for (auto& thread : threads) thread.join();
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - started;
  const double rate = static_cast<double>(operations) / elapsed.count();
  fmt::print("{:<12} : {:11.3f} micros/op {:.0f} ops/sec {:.3f} seconds {} operations;", name,
             1e6 * flags.threads / rate, rate, elapsed.count(), operations.load());
  if (found != 0 || name.starts_with("read")) {
    fmt::print(" ({} of {} found)", found.load(), operations.load());
  }
  fmt::print("\n");
  std::fflush(stdout);
}

}  // namespace

void Flags::AddTo(CLI::App& app) {
  app.add_option("--benchmarks", benchmarks, "names, separated by commas")->capture_default_str();
  app.add_option("--db", db, "directory")->capture_default_str();
  app.add_option("--num", num, "keys, and operations of each thread")->capture_default_str();
  app.add_option("--reads", reads, "reads of each thread; 0: num")->capture_default_str();
  app.add_option("--key_size", key_size, "bytes, 8 or more")->check(CLI::Range(8, 1024));
  app.add_option("--value_size", value_size, "bytes")->capture_default_str();
  app.add_option("--threads", threads, "")->check(CLI::Range(1, 256));
  app.add_option("--seed", seed, "")->capture_default_str();
  app.add_option("--write_buffer_size", write_buffer_size, "bytes")->capture_default_str();
  app.add_option("--cache_size", cache_size, "bytes")->capture_default_str();
  app.add_option("--use_existing_db", use_existing_db, "keep what is in --db");
}

void RunWorkloads(Store& store, const Flags& flags) {
  std::istringstream names(flags.benchmarks);
  uint64_t seed = flags.seed;
  for (std::string name; std::getline(names, name, ',');) {
    if (name == "waitforcompaction") {
      store.WaitForCompaction();
    } else if (name == "stats") {
      store.PrintStats();
    } else {
      RunOnThreads(name, store, flags, seed);
    }
    seed += 1000;  // or readrandom would ask in the order of writing, and find all
  }
}

}  // namespace varve::bench
