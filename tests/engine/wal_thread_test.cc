#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "engine/support/wal_fixture.h"
#include "engine/thread_executor.h"
#include "engine/wal.h"

namespace varve::engine {
namespace {

using testing::MemFileSystem;
using testing::SeededRandom;
using testing::WalPayload;

constexpr int kThreads = 4;
constexpr uint64_t kRecordsPerThread = 2000;

// What the engine has around its WAL, with real threads: the command lock, and rotation.
struct Machine {
  MemFileSystem files;
  SeededRandom random{1};
  ThreadExecutor log{"log", 1};
  Env env{&files, nullptr, &random, nullptr, nullptr, &log, nullptr, nullptr};
  std::unique_ptr<Wal> wal;
  std::mutex command_lock;
  std::vector<std::string> appended;  // guarded by command_lock
  uint64_t oldest = 1;                // likewise

  Machine() {
    REQUIRE(files.CreateDirectories("db"));
    Options options;
    options.directory = "db";
    options.logger = std::make_shared<spdlog::logger>("wal");
    options.sync_mode = SyncMode::kEverySecond;
    auto opened = Wal::Open(env, options, 64 << 10, 1, 0, {}, testing::SmallReserve(env, options));
    REQUIRE(opened);
    wal = *std::move(opened);
  }

  Lsn Append(const std::string& payload, bool is_large) {
    WalRecord record{payload, {}};
    if (is_large) {
      const auto owner = std::make_shared<const std::string>(payload.substr(8));
      record = {std::string_view(payload).substr(0, 8), {{*owner, owner}}};
    }
    std::unique_lock lock(command_lock);
    while (!wal->Fits(record.size())) {
      if (wal->NextFits(record.size())) {
        wal->Rotate();
        continue;
      }
      std::atomic<bool> is_ready{false};
      wal->PrepareNext(record.size(), false, [&] {
        is_ready = true;
        is_ready.notify_one();
      });
      lock.unlock();
      is_ready.wait(false);
      lock.lock();
    }
    appended.push_back(payload);
    return wal->Append(record);
  }
};

// Waits until as many answers came as questions were asked.
struct Answers {
  std::mutex mutex;
  std::condition_variable all_came;
  int missing = 0;
  int failed = 0;

  // The answer counts as failed, too, if it came before its LSN was durable.
  std::function<void(Result<void>)> Expect(const Wal& wal, Lsn lsn) {
    const std::lock_guard lock(mutex);
    ++missing;
    return [this, &wal, lsn](const Result<void>& result) {
      const std::lock_guard inner(mutex);
      if (!result || wal.durable() < lsn) ++failed;
      if (--missing == 0) all_came.notify_all();
    };
  }
  void Wait() {
    std::unique_lock lock(mutex);
    all_came.wait(lock, [this] { return missing == 0; });
  }
};

void Work(Machine& machine, uint64_t thread, Answers& answers, std::atomic<int>& failures) {
  for (uint64_t i = 0; i < kRecordsPerThread; ++i) {
    const bool is_large = i % 97 == 0;
    const std::string payload = WalPayload(thread * kRecordsPerThread + i, is_large ? 40'000 : 100);
    const Lsn lsn = machine.Append(payload, is_large);
    if (i % 5 == 0) machine.wal->WhenDurable(lsn, answers.Expect(*machine.wal, lsn));
    if (!machine.wal->WriteUpTo(lsn) || machine.wal->written() < lsn) ++failures;
    if (i % 500 == 499) {
      // As a flush does: what is below the active segment is in tables now.
      const std::lock_guard lock(machine.command_lock);
      machine.wal->stats();
      machine.wal->SetSyncMode(i % 1000 == 499 ? SyncMode::kAlways : SyncMode::kEverySecond);
    }
  }
}

TEST_CASE("WAL: threads append, write, wait and rotate at once", "[engine][wal][threads]") {
  Machine machine;
  Answers answers;
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] { Work(machine, t, answers, failures); });
  }
  for (std::thread& thread : threads) thread.join();
  answers.Wait();
  CHECK(failures == 0);
  CHECK(answers.failed == 0);
  REQUIRE(machine.wal->Close());
  CHECK(machine.wal->durable() == machine.wal->end());
  const auto recovered = testing::ReadWal(machine.env);
  REQUIRE(recovered);
  CHECK(recovered->payloads == machine.appended);
  CHECK(recovered->found.segments > 10);
}

TEST_CASE("WAL: segments are released while others are written", "[engine][wal][threads]") {
  Machine machine;
  std::atomic<bool> is_done{false};
  std::thread writer([&] {
    for (uint64_t i = 0; i < 3 * kRecordsPerThread; ++i) {
      const Lsn lsn = machine.Append(WalPayload(i, 200), false);
      if (i % 3 == 0) CHECK(machine.wal->WriteUpTo(lsn));
    }
    is_done = true;
  });
  while (!is_done) {
    {
      const std::lock_guard lock(machine.command_lock);
      // Once for each: under TSan the log's thread had nothing but releases to do otherwise.
      const uint64_t active = machine.wal->segment_number();
      if (active != machine.oldest) machine.wal->Release(active);
      machine.oldest = active;
    }
    std::this_thread::yield();
  }
  writer.join();
  REQUIRE(machine.wal->Close());
  const auto recovered = testing::ReadWal(machine.env, machine.oldest);
  REQUIRE(recovered);
  const std::vector<std::string>& got = recovered->payloads;
  REQUIRE(got.size() > 10);
  CHECK(std::equal(got.rbegin(), got.rend(), machine.appended.rbegin()));
}

}  // namespace
}  // namespace varve::engine
