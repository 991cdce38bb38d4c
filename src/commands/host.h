#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/engine.h"

namespace varve::commands {

struct Client;

// The server's own figures for INFO; the engine's come beside them.
struct ServerFigures {
  // Server
  std::string version;           // varve's own
  std::string run_id;            // 40 hex digits, new at each start
  std::string executable;        // absolute path
  std::string config_file;       // absolute path, empty if none
  std::string multiplexing_api;  // "epoll", "io_uring"
  int tcp_port = 0;
  int64_t process_id = 0;
  uint64_t start_us = 0;  // unix time
  int io_threads = 1;
  std::vector<std::pair<std::string, std::string>> listeners;  // unused names may be left out
  // Clients
  uint64_t connected_clients = 0;
  uint64_t clients_max = 0;
  uint64_t recent_input_bytes_max = 0;  // the largest query buffer seen lately
  uint64_t recent_output_bytes_max = 0;
  // Memory
  uint64_t used_memory = 0;  // allocated, as the allocator counts it, and rows
  uint64_t used_memory_peak = 0;
  uint64_t used_memory_rss = 0;
  uint64_t total_system_memory = 0;
  uint64_t memory_bytes_max = 0;  // maxmemory
  uint64_t client_memory = 0;     // buffers of all connections
  std::string allocator;          // "jemalloc-5.3.0"
  // Persistence
  std::string sync_mode;  // appendfsync: always, everysec, no
  // Stats
  uint64_t connections_received = 0;
  uint64_t connections_rejected = 0;
  uint64_t net_input_bytes = 0;
  uint64_t net_output_bytes = 0;
  uint64_t commands_per_second = 0;
  uint64_t input_bytes_per_second = 0;
  uint64_t output_bytes_per_second = 0;
  uint64_t output_limit_disconnections = 0;
  uint64_t reads_processed = 0;
  uint64_t writes_processed = 0;
  // CPU, seconds
  double cpu_system = 0;
  double cpu_user = 0;
};

// Why CONFIG SET changed nothing. An empty `reason` says that there is no parameter of that name.
struct ConfigRefusal {
  std::string name;    // as the client wrote it
  std::string reason;  // "argument must be a memory value", "can't set immutable config"
};

struct ShutdownRequest {
  bool now = false;    // does not wait for anything but the log
  bool force = false;  // goes down even if the log cannot be made durable
};

// What commands ask of the server that they run in. Nothing here may block for long.
// Threads: the first group is called under the command lock, so it must not take it (or call
// Engine::stats() and its like, which do); the second group is called without the lock.
class Host {
 public:
  virtual ~Host() = default;

  // ---- under the command lock
  virtual uint64_t UnixUs() const = 0;
  virtual uint64_t MonotonicNs() const = 0;
  // Calls `visit` for each open connection, oldest first.
  virtual void ForEachClient(const std::function<void(const Client&)>& visit) = 0;
  // Ends a connection other than the caller's: no more of its commands run. False: no such id.
  virtual bool KillClient(uint64_t id) = 0;
  // Starts a clean stop. The connection gets no reply to SHUTDOWN, it is closed.
  virtual void RequestShutdown(const ShutdownRequest& request) = 0;
  // False if no stop was under way that could still be called off.
  virtual bool AbortShutdown() = 0;
  // Merges everything into the last level, in the background.
  virtual void Compact() = 0;
  // enable-debug-command no | yes | local
  virtual bool DebugAllowed(const Client& client) const = 0;

  // ---- without the lock (Continuation::off_lock)
  virtual ServerFigures Figures() = 0;
  virtual engine::Stats EngineStats() = 0;
  // All parameters by name and the value that CONFIG GET shows.
  virtual std::vector<std::pair<std::string, std::string>> ConfigParameters() = 0;
  // Names in lower case, none twice. Sets all or nothing.
  virtual std::optional<ConfigRefusal> SetConfig(
      std::span<const std::pair<std::string, std::string>> parameters) = 0;
  // CONFIG RESETSTAT: the server's counters and Engine::ResetStats().
  virtual void ResetStats() = 0;
};

}  // namespace varve::commands
