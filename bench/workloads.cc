#include "workloads.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <numeric>
#include <random>
#include <sstream>
#include <string_view>
#include <thread>
#include <vector>

#include "timeline.h"

namespace varve::bench {
namespace {

constexpr size_t kValuePoolBytes = 1 << 20;
constexpr size_t kValuePieceBytes = 100;

class Keys {
 public:
  Keys(uint64_t count, size_t key_bytes, uint64_t seed)
      : random_(seed), count_(count), key_(key_bytes, '0') {}

  std::string_view Next() { return Key(random_() % count_); }
  // Each key once in `count` calls; a step that shares no factor with the count, near its golden
  // section, so that the keys come scattered.
  std::string_view NextUnique() {
    unique_ = (unique_ + step_) % count_;
    return Key(unique_);
  }
  // A key that no fill writes.
  std::string_view NextMissing() {
    missing_.assign(Next()).push_back('.');
    return missing_;
  }

 private:
  static uint64_t Step(uint64_t count) {
    auto step = static_cast<uint64_t>(static_cast<double>(count) * 0.6180339887) + 1;
    while (std::gcd(step, count) != 1) ++step;
    return step;
  }

  std::string_view Key(uint64_t number) {
    for (size_t i = 0; i < sizeof(number) && i < key_.size(); ++i) {
      key_[i] = static_cast<char>(number >> (8 * (sizeof(number) - 1 - i)));
    }
    return key_;
  }

  std::mt19937_64 random_;
  const uint64_t count_;
  const uint64_t step_ = Step(count_);
  uint64_t unique_ = 0;
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

// Puts of random keys, or of each key once.
uint64_t RunPuts(const std::string& name, Session& session, const Flags& flags, Keys& keys,
                 Timeline& timeline) {
  Values values(flags.value_size);
  const bool unique = name == "filluniquerandom";
  const bool timed = name == "overwrite" && flags.duration > 0;
  const uint64_t count = timed ? UINT64_MAX : flags.num;
  uint64_t now_ns = NowNs();
  const uint64_t deadline_ns = timed ? now_ns + flags.duration * 1'000'000'000 : UINT64_MAX;
  uint64_t written = 0;
  for (; written < count && now_ns < deadline_ns; ++written) {
    const uint64_t sent_ns = now_ns;  // what choosing key and value takes counts, as in db_bench
    session.Put(unique ? keys.NextUnique() : keys.Next(), values.Next());
    now_ns = NowNs();
    timeline.Add(now_ns, now_ns - sent_ns);
  }
  return written;
}

Counts RunOne(const std::string& name, Session& session, const Flags& flags, uint64_t seed,
              Timeline& timeline) {
  Keys keys(flags.num, flags.key_size, seed);
  Counts counts;
  if (name == "fillrandom" || name == "filluniquerandom" || name == "overwrite") {
    counts.operations = RunPuts(name, session, flags, keys, timeline);
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

// Of the threads together; nothing when there were none.
void PrintLatencies(std::vector<Timeline>& timelines, const Flags& flags) {
  Timeline& all = timelines.front();
  for (size_t i = 1; i < timelines.size(); ++i) all.Merge(timelines[i]);
  if (all.all().count() == 0) return;
  const auto us = [](uint64_t ns) { return static_cast<double>(ns) / 1e3; };
  fmt::print("Microseconds: p50 {:.1f} p99 {:.1f} p99.9 {:.1f} max {:.1f}\n",
             us(all.all().Quantile(0.5)), us(all.all().Quantile(0.99)),
             us(all.all().Quantile(0.999)), us(all.all().max_ns()));
  all.WriteSeconds(flags.report_file);
}

void RunOnThreads(const std::string& name, Store& store, const Flags& flags, uint64_t seed) {
  std::atomic<uint64_t> operations = 0;
  std::atomic<uint64_t> found = 0;
  // Each key once is one thread's work.
  const int thread_count = name == "filluniquerandom" ? 1 : flags.threads;
  std::vector<Timeline> timelines(static_cast<size_t>(thread_count));
  for (Timeline& timeline : timelines) timeline.Start(NowNs());
  std::vector<std::thread> threads;
  const auto started = std::chrono::steady_clock::now();
  for (int i = 0; i < thread_count; ++i) {
    threads.emplace_back([&, i] {
      const auto session = store.NewSession();
      Timeline& timeline = timelines[static_cast<size_t>(i)];
      const Counts counts =
          RunOne(name, *session, flags, seed + static_cast<uint64_t>(i), timeline);
      timeline.End();
      operations += counts.operations;
      found += counts.found;
    });
  }
  for (auto& thread : threads) thread.join();
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - started;
  const double rate = static_cast<double>(operations) / elapsed.count();
  fmt::print("{:<12} : {:11.3f} micros/op {:.0f} ops/sec {:.3f} seconds {} operations;", name,
             1e6 * thread_count / rate, rate, elapsed.count(), operations.load());
  if (found != 0 || name.starts_with("read")) {
    fmt::print(" ({} of {} found)", found.load(), operations.load());
  }
  fmt::print("\n");
  PrintLatencies(timelines, flags);
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
  app.add_option("--duration", duration, "seconds of overwrite; 0: num Puts of each thread");
  app.add_option("--report_file", report_file, "CSV: each second's Puts, p99, worst");
  app.add_option("--seed", seed, "")->capture_default_str();
  app.add_option("--write_buffer_size", write_buffer_size, "bytes")->capture_default_str();
  app.add_option("--cache_size", cache_size, "bytes")->capture_default_str();
  app.add_option("--value_log_threshold", value_log_threshold, "bytes")->capture_default_str();
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
