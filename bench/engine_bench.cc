// db_bench's workloads on Varve's engine, through its public interface as the server uses it.
#include <fmt/core.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <thread>

#include "engine/engine.h"
#include "engine/posix_env.h"
#include "workloads.h"

namespace varve::bench {
namespace {

constexpr int kDb = 0;
constexpr uint64_t kSleepUs = 1000;  // the least that is worth a sleep

template <typename T>
T OrExit(engine::Result<T> result) {
  if (!result.has_value()) {
    fmt::print(stderr, "engine_bench: {}\n", result.error().context);
    std::exit(1);
  }
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

// Where a thread waits for its fault.
class Resumption {
 public:
  engine::Work Callback() {
    return [this] {
      const std::lock_guard lock(mutex_);
      resumed_ = true;
      wake_.notify_one();
    };
  }
  void Wait() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return resumed_; });
    resumed_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool resumed_ = false;
};

class EngineSession : public Session {
 public:
  explicit EngineSession(engine::Engine& engine) : engine_(engine) {}

  void Put(std::string_view key, std::string_view value) override {
    Run([&](engine::Guard& guard) { guard.Put(kDb, key, {.bytes = value, .owner = nullptr}); });
    OrExit(engine_.WriteLog(log_end_));
    PauseAsAsked();
  }

  bool Get(std::string_view key) override {
    bool found = false;
    Run([&](engine::Guard& guard) {
      const engine::Lookup lookup = guard.Get(kDb, key);
      found = lookup.presence == engine::Presence::kPresent;
      if (found) value_.assign(lookup.value.bytes);
    });
    return found;
  }

  uint64_t Scan() override {
    uint64_t count = 0;
    engine::ScanToken token = 0;
    do {
      engine::ScanPage page;
      Run([&](engine::Guard& guard) {
        if (auto part = guard.Scan(kDb, token, engine::kScanCountMax)) page = *std::move(part);
      });
      count += page.keys.size();
      token = page.next;
    } while (token != 0);
    return count;
  }

 private:
  // Runs `command`, again after each fault.
  template <typename Command>
  void Run(const Command& command) {
    for (;;) {
      {
        engine::Guard guard(engine_, transaction_);
        guard.Begin();
        command(guard);
        const engine::Outcome outcome = guard.Commit();
        if (outcome == engine::Outcome::kDone) {
          log_end_ = guard.log_end();
          return;
        }
        if (outcome == engine::Outcome::kRefused) {
          OrExit<void>(engine::Fail(guard.refusal()));
        }
        guard.Wait(resumption_.Callback());
      }
      resumption_.Wait();
    }
  }

  // The server pauses a connection; this thread adds the pauses up, since it cannot sleep for less
  // than some 50 us.
  void PauseAsAsked() {
    pause_us_ += engine_.write_delay_us();
    if (pause_us_ < kSleepUs) return;
    std::this_thread::sleep_for(std::chrono::microseconds(pause_us_));
    pause_us_ = 0;
  }

  engine::Engine& engine_;
  engine::Transaction transaction_;
  Resumption resumption_;
  engine::Lsn log_end_ = 0;
  uint64_t pause_us_ = 0;
  std::string value_;
};

class EngineStore : public Store {
 public:
  explicit EngineStore(const Flags& flags) {
    engine::Options options;
    options.directory = flags.db;
    options.logger = spdlog::stderr_logger_mt("engine_bench");
    options.logger->set_level(spdlog::level::warn);
    options.sync_mode = engine::SyncMode::kNever;
    options.write_buffer_bytes = flags.write_buffer_size;
    options.memory_bytes_max = flags.cache_size;
    options.value_threshold_bytes = flags.value_log_threshold;
    engine_ = OrExit(engine::Engine::Open(env_.env(), std::move(options)));
  }

  std::unique_ptr<Session> NewSession() override {
    return std::make_unique<EngineSession>(*engine_);
  }

  void WaitForCompaction() override {
    using std::chrono_literals::operator""ms;
    uint64_t last = UINT64_MAX;
    for (int same = 0; same < 10;) {  // nothing installed for a second
      const engine::Stats stats = engine_->stats();
      const uint64_t now = stats.flushes + stats.compactions + stats.compaction_bytes_written +
                           stats.value_bytes_written + stats.sealed_memtables;
      same = now == last && stats.compaction_debt == 0 ? same + 1 : 0;
      last = now;
      std::this_thread::sleep_for(100ms);
    }
  }

  void PrintStats() override {
    const engine::Stats stats = engine_->stats();
    for (size_t level = 0; level < stats.levels.size(); ++level) {
      fmt::print("L{}: {} tables, {} bytes\n", level, stats.levels[level].tables,
                 stats.levels[level].bytes);
    }
    fmt::print("faults {}, loads {}, blocks read {}, row cache hits {}, rows {}, bytes {}\n",
               stats.faults, stats.loads, stats.load_blocks_read, stats.memory_hits,
               stats.row_cache_rows, stats.row_cache_bytes);
    fmt::print("flushed {} bytes, compacted {} to {}, write delay {} us, waits {}\n",
               stats.flush_bytes_written, stats.compaction_bytes_read,
               stats.compaction_bytes_written, stats.write_delay_us, stats.write_waits);
    fmt::print("values: {} files, {} bytes, {} live, {} written, {} read, {} collected by {}\n",
               stats.value_files, stats.value_file_bytes, stats.value_live_bytes,
               stats.value_bytes_written, stats.value_bytes_read, stats.value_bytes_collected,
               stats.value_collections);
  }

 private:
  engine::PosixEnv env_;
  std::unique_ptr<engine::Engine> engine_;
};

}  // namespace
}  // namespace varve::bench

int main(int argc, char** argv) {
  varve::bench::Flags flags;
  CLI::App app("db_bench's workloads on Varve's engine");
  flags.AddTo(app);
  CLI11_PARSE(app, argc, argv);
  if (!flags.use_existing_db) std::filesystem::remove_all(flags.db);
  varve::bench::EngineStore store(flags);
  varve::bench::RunWorkloads(store, flags);
  return 0;
}
