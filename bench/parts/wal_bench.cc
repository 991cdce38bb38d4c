#include <benchmark/benchmark.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/null_sink.h>

#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "engine/posix_env.h"
#include "engine/wal.h"
#include "rows.h"

namespace varve::bench {
namespace {

constexpr uint64_t kSegmentBytes = 64ull << 20;
constexpr size_t kRecordBytes = kKeyBytes + kValueBytes + 8;

// A log in a directory of its own, which goes with it.
class LogDirectory {
 public:
  LogDirectory() : path_(std::filesystem::temp_directory_path() / "varve-wal-bench") {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~LogDirectory() { std::filesystem::remove_all(path_); }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

void WaitForNextSegment(engine::Wal& wal) {
  std::mutex mutex;
  std::condition_variable wake;
  while (!wal.NextFits(kRecordBytes)) {
    bool done = false;
    wal.PrepareNext(kRecordBytes, false, [&] {
      const std::lock_guard lock(mutex);
      done = true;
      wake.notify_one();
    });
    std::unique_lock lock(mutex);
    wake.wait(lock, [&] { return done; });
  }
}

// One row's record appended, and written with each `range(0)`th: a pipeline of so many SETs.
void BM_WalAppendAndWrite(benchmark::State& state) {
  const LogDirectory directory;
  const engine::PosixEnv env(1);
  engine::Options options;
  options.directory = directory.path();
  options.logger = std::make_shared<spdlog::logger>(
      "wal_bench", std::make_shared<spdlog::sinks::null_sink_mt>());
  options.sync_mode = engine::SyncMode::kNever;
  auto opened =
      engine::Wal::Open(env.env(), options, kSegmentBytes, 1, 0, {},
                        std::make_shared<engine::SpaceReserve>(env.env(), options, kSegmentBytes));
  if (!opened.has_value()) return state.SkipWithError(opened.error().context.c_str());
  engine::Wal& wal = **opened;
  const std::string payload(kRecordBytes, 'r');
  int64_t unwritten = 0;
  for (auto _ : state) {
    if (!wal.Fits(payload.size())) {
      state.PauseTiming();
      WaitForNextSegment(wal);
      wal.Release(wal.Rotate());
      state.ResumeTiming();
    }
    const engine::Lsn end = wal.Append({.head = payload, .large_values = {}});
    if (++unwritten < state.range(0)) continue;
    unwritten = 0;
    if (!wal.WriteUpTo(end).has_value()) return state.SkipWithError("write failed");
  }
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(kRecordBytes));
  if (!wal.Close().has_value()) state.SkipWithError("close failed");
}
BENCHMARK(BM_WalAppendAndWrite)->Arg(1)->Arg(16)->Arg(64);

}  // namespace
}  // namespace varve::bench
