#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "commands/dispatch.h"
#include "commands/host.h"
#include "engine/engine.h"
#include "server/client_registry.h"
#include "server/config.h"
#include "server/event_loop.h"
#include "server/listener.h"
#include "server/live_limits.h"
#include "server/process_figures.h"

namespace spdlog {
class logger;
}

namespace varve::server {

// The server: event loops on threads of their own, the listener and signals on the thread that
// calls Run(), and what commands ask of the server they run in.
// Lifetime: engine, config and log outlive it.
// Threads:  Run() on one; the Host part as host.h says.
class Server : public commands::Host {
 public:
  Server(engine::Engine& engine, Config& config, spdlog::logger& log, std::string config_file);
  ~Server() override;

  // Binds all addresses. Errors: kInvalidArgument.
  engine::Result<void> Listen();
  // Serves until SIGTERM, SIGINT or SHUTDOWN, and until all connections have ended then.
  void Run();

  // ---- commands::Host
  uint64_t UnixUs() const override;
  uint64_t MonotonicNs() const override;
  void ForEachClient(const std::function<void(const commands::Client&)>& visit) override;
  bool KillClient(uint64_t id) override;
  void RequestShutdown(const commands::ShutdownRequest& request) override;
  void Compact() override { engine_.Compact(); }
  bool AbortShutdown() override;
  bool DebugAllowed(const commands::Client& client) const override;
  commands::ServerFigures Figures() override;
  engine::Stats EngineStats() override;
  std::vector<std::pair<std::string, std::string>> ConfigParameters() override;
  std::optional<commands::ConfigRefusal> SetConfig(
      std::span<const std::pair<std::string, std::string>> parameters) override;
  void ResetStats() override;

 private:
  // Sums over all loops, at one time.
  struct Totals {
    uint64_t commands = 0, reads = 0, writes = 0, input_bytes = 0, output_bytes = 0;
    uint64_t output_limit_disconnections = 0;
    uint64_t connections_received = 0, connections_rejected = 0;
  };

  Totals ReadTotals() const;
  uint64_t UsedMemory(const MemoryFigures& memory);
  void AwaitSignal();
  void ScheduleSample();
  void Stop();

  engine::Engine& engine_;
  Config& config_;
  spdlog::logger& log_;
  const std::string config_file_;
  const Settings start_settings_;
  const std::string run_id_;
  const uint64_t start_us_;

  LiveLimits limits_;
  ClientRegistry registry_;
  commands::Dispatcher dispatcher_;
  asio::io_context context_{1};
  asio::signal_set signals_;
  asio::steady_timer sample_timer_;
  std::vector<std::unique_ptr<EventLoop>> loops_;
  size_t next_loop_ = 0;  // of the listener's thread
  Listener listener_;
  bool stopping_ = false;     // of the listener's thread
  size_t loops_running_ = 0;  // of the listener's thread

  // Per second, as of the last one; read by any thread.
  Totals sampled_;  // of the sampling thread
  Figure commands_per_second_, input_per_second_, output_per_second_;
  Figure used_memory_peak_;
  std::mutex totals_mutex_;
  Totals reset_;  // what ResetStats() subtracts; guarded by totals_mutex_
};

}  // namespace varve::server
