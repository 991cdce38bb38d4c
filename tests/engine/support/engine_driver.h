#pragma once

#include <spdlog/logger.h>
#include <spdlog/sinks/null_sink.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/support/simulated_env.h"

namespace varve::engine::testing {

inline std::shared_ptr<spdlog::logger> NullLogger() {
  return std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::null_sink_mt>());
}

// Limits so small that a few hundred rows make several levels.
inline Options TinyOptions() {
  Options options;
  options.directory = "db";
  options.logger = NullLogger();
  options.write_buffer_bytes = 8 * 1024;
  options.memory_bytes_max = 256 * 1024;
  options.block_bytes = 512;
  return options;
}

// Runs commands on an engine in a simulated environment, to their end, as a connection would:
// waits for what they miss by running the scheduler.
class EngineDriver {
 public:
  EngineDriver(SimulatedEnv& machine, Options options) : machine_(machine) {
    Result<std::unique_ptr<Engine>> opened = Engine::Open(machine.env(), std::move(options));
    if (opened) {
      engine_ = *std::move(opened);
    } else {
      error_ = opened.error();
    }
  }

  Engine& engine() { return *engine_; }
  bool is_open() const { return engine_ != nullptr; }
  const Error& error() const { return error_; }  // why it is not open, or the last refusal

  // False: refused, see error(). `log_end` is behind the command's record.
  bool Run(const std::function<void(Guard&)>& command) {
    for (;;) {
      bool resumed = false;
      {
        Guard guard(*engine_, transaction_);
        guard.Begin();
        command(guard);
        const Outcome outcome = guard.Commit();
        log_end_ = guard.log_end();
        if (outcome == Outcome::kDone) return true;
        if (outcome == Outcome::kRefused) {
          error_ = guard.refusal();
          return false;
        }
        ++waits_;
        guard.Wait([&resumed] { resumed = true; });
      }
      const bool finished = machine_.scheduler.RunUntil([&resumed] { return resumed; });
      INVARIANT(finished);
    }
  }

  bool Put(int db, const std::string& key, const std::string& value) {
    return Run([&](Guard& guard) { guard.Put(db, key, {value, nullptr}); });
  }
  std::optional<std::string> Get(int db, const std::string& key) {
    std::optional<std::string> value;
    Run([&](Guard& guard) {
      const Lookup found = guard.Get(db, key);
      value.reset();
      if (found.presence == Presence::kPresent) value = std::string(found.value.bytes);
    });
    return value;
  }
  bool Delete(int db, const std::string& key) {
    Presence presence = Presence::kAbsent;
    return Run([&](Guard& guard) {
             guard.UseReserve();
             presence = guard.Delete(db, key);
           }) &&
           presence == Presence::kPresent;
  }
  bool Clear(int db) {
    return Run([&](Guard& guard) {
      guard.UseReserve();
      guard.Clear(db);
    });
  }
  uint64_t KeyCount(int db) {
    std::optional<uint64_t> count;
    Run([&](Guard& guard) { count = guard.KeyCount(db); });
    return count.value_or(~uint64_t{0});
  }
  ScanPage Scan(int db, ScanToken from, size_t count) {
    std::optional<ScanPage> page;
    Run([&](Guard& guard) { page = guard.Scan(db, from, count); });
    return page.value_or(ScanPage{});
  }
  // Each key as often as the walk returned it.
  std::multiset<std::string> ScanAll(int db, size_t count) {
    std::multiset<std::string> keys;
    ScanToken token = 0;
    do {
      ScanPage page = Scan(db, token, count);
      keys.insert(page.keys.begin(), page.keys.end());
      token = page.next;
    } while (token != 0);
    return keys;
  }
  // All keys and values, by SCAN and GET.
  std::map<std::string, std::string> Contents(int db) {
    std::map<std::string, std::string> contents;
    for (const std::string& key : ScanAll(db, 100)) {
      const std::optional<std::string> value = Get(db, key);
      if (value) contents[key] = *value;
    }
    return contents;
  }

  Lsn log_end() const { return log_end_; }
  size_t waits() const { return waits_; }

 private:
  SimulatedEnv& machine_;
  std::unique_ptr<Engine> engine_;
  Transaction transaction_;  // goes before the engine
  Error error_{Errc::kIo, "", 0};
  Lsn log_end_ = 0;
  size_t waits_ = 0;
};

}  // namespace varve::engine::testing
