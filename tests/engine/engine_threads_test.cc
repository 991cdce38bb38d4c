// The engine on real files and threads: several connections at once, flushes and compactions beside
// them. Most of all for TSan.
#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include "engine/engine.h"
#include "engine/posix_env.h"
#include "engine/support/engine_driver.h"
#include "engine/support/temporary_directory.h"

namespace varve::engine::testing {
namespace {

// One connection: runs commands on the calling thread, sleeping while it waits for rows.
class Connection {
 public:
  explicit Connection(Engine& engine) : engine_(engine) {}

  template <typename Command>
  bool Run(Command command) {
    for (;;) {
      {
        Guard guard(engine_, transaction_);
        guard.Begin();
        command(guard);
        const Outcome outcome = guard.Commit();
        log_end_ = guard.log_end();
        if (outcome != Outcome::kWait) return outcome == Outcome::kDone;
        resumed_ = false;
        guard.Wait([this] {
          // Under the mutex: the waiter may be gone as soon as it is let go of.
          std::lock_guard lock(mutex_);
          resumed_ = true;
          wake_.notify_one();
        });
      }
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return resumed_; });
    }
  }
  Lsn log_end() const { return log_end_; }

 private:
  Engine& engine_;
  Transaction transaction_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool resumed_ = false;
  Lsn log_end_ = 0;
};

// Works on keys of its own, so it knows what each must hold, beside the others. Catch2's own
// assertions are not for threads: a failing INVARIANT ends the process.
void Work(Engine& engine, int worker, std::map<std::string, std::string>& model, int commands) {
  std::mt19937_64 random(worker);
  Connection connection(engine);
  for (int i = 0; i < commands; ++i) {
    const std::string key = std::to_string(worker) + ":" + std::to_string(random() % 700);
    switch (random() % 6) {
      case 0:
      case 1:
      case 2: {
        const std::string value = std::to_string(random()) + std::string(random() % 100, 'x');
        INVARIANT(connection.Run([&](Guard& guard) { guard.Put(0, key, {value, nullptr}); }));
        model[key] = value;
        if (random() % 4 == 0) INVARIANT(engine.WriteLog(connection.log_end()).has_value());
        break;
      }
      case 3:
        INVARIANT(connection.Run([&](Guard& guard) { (void)guard.Delete(0, key); }));
        model.erase(key);
        break;
      default: {
        std::optional<std::string> value;
        INVARIANT(connection.Run([&](Guard& guard) {
          const Lookup found = guard.Get(0, key);
          value.reset();
          if (found.presence == Presence::kPresent) value = std::string(found.value.bytes);
        }));
        const auto expected = model.find(key);
        INVARIANT(value.has_value() == (expected != model.end()));
        if (value) INVARIANT(*value == expected->second);
      }
    }
  }
}

TEST_CASE("engine: connections on several threads each see their own writes", "[engine][threads]") {
  constexpr int kWorkers = 4;
  const TemporaryDirectory directory;
  constexpr size_t kMerges = 3;
  PosixEnv env(8, true, kMerges);
  Options options = TinyOptions();
  options.directory = directory.path();
  options.background_threads = kMerges;
  options.write_buffer_bytes = 32 * 1024;
  std::vector<std::map<std::string, std::string>> models(kWorkers);
  for (int round = 0; round < 3; ++round) {
    auto opened = Engine::Open(env.env(), options);
    if (!opened) FAIL(opened.error().context);
    Engine& engine = **opened;
    {
      // A walk beside the writers; and one who asks for figures.
      std::atomic<bool> stop{false};
      std::thread walker([&] {
        Connection connection(engine);
        while (!stop) {
          ScanToken token = 0;
          do {
            std::optional<ScanPage> page;
            INVARIANT(connection.Run([&](Guard& guard) { page = guard.Scan(0, token, 100); }));
            token = page->next;
          } while (token != 0 && !stop);
          (void)engine.stats();
        }
      });
      std::vector<std::thread> workers;
      for (int i = 0; i < kWorkers; ++i) {
        workers.emplace_back([&, i] { Work(engine, i + 1, models[i], 3000); });
      }
      for (std::thread& worker : workers) worker.join();
      stop = true;
      walker.join();
    }
    size_t rows = 0;
    for (const auto& model : models) rows += model.size();
    Connection connection(engine);
    std::optional<uint64_t> count;
    REQUIRE(connection.Run([&](Guard& guard) { count = guard.KeyCount(0); }));
    CHECK(*count == rows);
    CHECK(engine.stats().flushes > 0);
  }
}

}  // namespace
}  // namespace varve::engine::testing
