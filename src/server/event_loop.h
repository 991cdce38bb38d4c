#pragma once

#include <array>
#include <boost/asio/executor_work_guard.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "commands/dispatch.h"
#include "engine/engine.h"
#include "engine/posix_block_reader.h"
#include "server/asio_types.h"
#include "server/client_registry.h"
#include "server/commit_group.h"
#include "server/live_limits.h"
#include "server/loop_figures.h"

namespace spdlog {
class logger;
}

namespace varve::server {

class Session;

// What all loops and sessions work with. Lifetime: all of it outlives them.
struct Services {
  engine::Engine& engine;
  commands::Dispatcher& dispatcher;
  ClientRegistry& registry;
  const LiveLimits& limits;
  spdlog::logger& log;
};

// A connection that was accepted and reserved in the registry.
struct Connection {
  int fd = -1;  // open, not blocking
  uint64_t id = 0;
  std::string address;
  std::string local_address;
  bool unix_socket = false;
  bool loopback = false;
};

// One io_context, the thread that runs it, and the connections that live on it.
// Threads: Run() on the loop's own thread; Adopt(), Kill() and Stop() from any; the rest is for
//          sessions, on the loop's thread.
class EventLoop {
 public:
  static constexpr size_t kDiscardBytes = 16 * 1024;

  explicit EventLoop(const Services& services);
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Returns after Stop(), when the last connection has ended.
  void Run();
  // Serves the connection, and owns its file descriptor from now on.
  void Adopt(Connection connection);
  // Ends a connection of this loop; nothing happens if it is gone.
  void Kill(uint64_t id);
  // Ends all connections: those that are in a batch when it is done.
  void Stop();

  const LoopFigures& figures() const { return figures_; }

  // ---- for sessions
  asio::io_context& context() { return context_; }
  const Services& services() const { return services_; }
  LoopFigures& counters() { return figures_; }
  CommitGroup& commits() { return commits_; }
  engine::BlockReader* reader() { return reader_.get(); }  // null without io_uring
  uint64_t seconds() const { return seconds_; }            // since the start, by the sweep
  // Scratch memory, for use between two suspensions.
  std::vector<std::string_view>& pieces() { return pieces_; }
  std::vector<asio::const_buffer>& buffers() { return buffers_; }
  std::array<char, kDiscardBytes>& discarded() { return discarded_; }  // what nobody reads

 private:
  void Begin(Connection connection);
  void End(uint64_t id);
  void Finish();
  void ScheduleSweep();
  void StartReading();
  void AwaitReads();
  void Sweep();

  const Services services_;
  asio::io_context context_{1};  // one thread runs it
  asio::executor_work_guard<LoopExecutor> work_;
  Timer sweep_timer_;
  CommitGroup commits_;
  std::unique_ptr<engine::LoopBlockReader> reader_;
  std::optional<Descriptor> reads_;  // readable when blocks have come
  LoopFigures figures_;
  std::unordered_map<uint64_t, std::unique_ptr<Session>> sessions_;  // by client id
  uint64_t seconds_ = 0;
  uint64_t client_memory_ = 0;  // as of the last sweep
  bool stopping_ = false;
  std::vector<std::string_view> pieces_;
  std::vector<asio::const_buffer> buffers_;
  std::array<char, kDiscardBytes> discarded_;
};

}  // namespace varve::server
