#pragma once

#include <spdlog/logger.h>
#include <spdlog/sinks/null_sink.h>

#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "commands/dispatch.h"
#include "engine/engine.h"
#include "engine/support/simulated_env.h"

// Runs commands against a real engine in a simulated environment, with a host that tests control.
namespace varve::commands::testing {

class FakeHost : public Host {
 public:
  uint64_t UnixUs() const override { return now_us; }
  uint64_t MonotonicNs() const override { return monotonic_ns += 1000; }
  void ForEachClient(const std::function<void(const Client&)>& visit) override {
    for (const auto& [id, client] : clients) visit(*client);
  }
  bool KillClient(uint64_t id) override {
    killed.push_back(id);
    return clients.contains(id);
  }
  void Compact() override { ++compactions; }
  void RequestShutdown(const ShutdownRequest& request) override { shutdown = request; }
  bool AbortShutdown() override { return std::exchange(shutdown, std::nullopt).has_value(); }
  bool DebugAllowed(const Client&) const override { return debug_allowed; }

  ServerFigures Figures() override { return figures; }
  engine::Stats EngineStats() override { return engine == nullptr ? stats : engine->stats(); }
  std::vector<std::pair<std::string, std::string>> ConfigParameters() override {
    return {config.begin(), config.end()};
  }
  std::optional<ConfigRefusal> SetConfig(
      std::span<const std::pair<std::string, std::string>> parameters) override {
    for (const auto& [name, value] : parameters) {
      if (value == "refused") return ConfigRefusal{name, "argument must be a memory value"};
    }
    for (const auto& [name, value] : parameters) config[name] = value;
    return std::nullopt;
  }
  void ResetStats() override { ++resets; }

  uint64_t now_us = 1'700'000'000'123'456;
  mutable uint64_t monotonic_ns = 0;
  std::map<uint64_t, const Client*> clients;
  std::vector<uint64_t> killed;
  std::optional<ShutdownRequest> shutdown;
  bool debug_allowed = true;
  ServerFigures figures;
  engine::Stats stats;
  engine::Engine* engine = nullptr;  // where stats come from, if set
  std::map<std::string, std::string> config = {
      {"save", ""}, {"appendonly", "yes"}, {"maxmemory", "0"}, {"maxclients", "10000"}};
  int resets = 0;
  int compactions = 0;
};

class CommandFixture {
 public:
  CommandFixture() {
    engine::Options options;
    options.directory = "db";
    options.logger =
        std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::null_sink_mt>());
    options.write_buffer_bytes = 8 * 1024;  // so that tests reach tables and faults
    options.memory_bytes_max = 256 * 1024;
    auto opened = engine::Engine::Open(machine.env(), std::move(options));
    REQUIRE(opened.has_value());
    engine = *std::move(opened);
    host.engine = engine.get();
    Introduce(client, 1);
    Introduce(other, 2);
  }
  ~CommandFixture() { REQUIRE(engine->Close().has_value()); }

  // The reply to one command, run to its end as a connection would. Lets go of the lock when told.
  std::string Run(Client& as, const std::vector<std::string>& words) {
    std::vector<resp::Argument> args;
    for (const std::string& word : words) {
      if (word.size() < resp::kSharedBytes) {
        args.push_back({word, nullptr});
      } else {
        auto owner = std::make_shared<const std::string>(word);
        args.push_back({*owner, owner});
      }
    }
    resp::ReplyBuffer reply;
    for (;;) {
      bool resumed = false;
      commands::Run run = commands::Run::kDone;
      {
        engine::Guard guard(*engine, transaction);
        run = dispatcher.Execute(guard, as, args, reply);
        if (run == commands::Run::kDone) return reply.ToString();
        if (run == commands::Run::kWait) guard.Wait([&resumed] { resumed = true; });
      }
      REQUIRE(reply.empty());
      if (run == commands::Run::kWait) {
        ++waits;
        REQUIRE(machine.scheduler.RunUntil([&resumed] { return resumed; }));
      } else {
        ++yields;
        if (auto work = std::exchange(as.continuation.off_lock, nullptr)) work();
        paused_us += std::exchange(as.continuation.pause_us, 0);
        if (between_runs) between_runs();
      }
    }
  }
  std::string Run(const std::vector<std::string>& words) { return Run(client, words); }
  // The same, of words that have no blanks in them.
  std::string operator()(const std::string& line) {
    std::vector<std::string> words;
    for (size_t begin = 0; begin <= line.size();) {
      const size_t end = std::min(line.find(' ', begin), line.size());
      words.push_back(line.substr(begin, end - begin));
      begin = end + 1;
    }
    return Run(client, words);
  }

  engine::testing::SimulatedEnv machine{1};
  std::unique_ptr<engine::Engine> engine;
  engine::Transaction transaction;
  FakeHost host;
  Dispatcher dispatcher{host};
  Client client;
  Client other;
  std::function<void()> between_runs;  // of a command that yields
  int waits = 0;
  int yields = 0;
  uint64_t paused_us = 0;

 private:
  void Introduce(Client& introduced, uint64_t id) {
    introduced.id = id;
    introduced.address = "127.0.0.1:" + std::to_string(50'000 + id);
    introduced.local_address = "127.0.0.1:6379";
    introduced.fd = static_cast<int>(10 + id);
    introduced.created_us = host.now_us - id * 10'000'000;
    introduced.last_used_us = host.now_us - 3'000'000;
    host.clients[id] = &introduced;
  }
};

inline std::string Bulk(std::string_view text) {
  return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
}

}  // namespace varve::commands::testing
