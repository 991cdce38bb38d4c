#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/error.h"
#include "server/client_registry.h"
#include "server/event_loop.h"
#include "server/live_limits.h"
#include "server/settings.h"

namespace varve::server {

// The sockets that clients connect to. Accepts connections, refuses those over maxclients, and
// hands the rest on.
// Owns:    the listening sockets; the file of the Unix socket, removed when it closes.
// Threads: that of the io_context.
// Errors:  when the process runs out of files, accepting pauses and goes on by itself; logged once
//          until it works again.
class Listener {
 public:
  using Accepted = std::function<void(Connection)>;

  Listener(asio::io_context& context, ClientRegistry& registry, const LiveLimits& limits,
           spdlog::logger& log, Accepted accepted);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Binds all addresses of `settings` and listens. Errors: kInvalidArgument, which address and why.
  engine::Result<void> Listen(const Settings& settings);
  // From now on connections are accepted.
  void Start();
  void Close();

  uint64_t connections_received() const { return received_.value(); }  // any thread
  uint64_t connections_rejected() const { return rejected_.value(); }  // any thread
  // For INFO: kind and place of each listener.
  const std::vector<std::pair<std::string, std::string>>& descriptions() const {
    return descriptions_;
  }

 private:
  struct Door {
    asio::posix::stream_descriptor socket;
    bool unix_socket;
  };

  engine::Result<void> ListenTcp(const std::string& address, uint64_t port, int backlog);
  engine::Result<void> ListenUnix(const std::string& path, uint64_t permissions, int backlog);
  void Wait(Door& door);
  void AcceptReady(Door& door);
  void Admit(const Door& door, int fd);
  void PauseAfterError(Door& door, int error);

  asio::io_context& context_;
  ClientRegistry& registry_;
  const LiveLimits& limits_;
  spdlog::logger& log_;
  const Accepted accepted_;
  std::vector<std::unique_ptr<Door>> doors_;
  asio::steady_timer pause_;
  std::vector<std::pair<std::string, std::string>> descriptions_;
  std::string unix_path_;
  bool error_logged_ = false;
  Figure received_;
  Figure rejected_;
};

}  // namespace varve::server
