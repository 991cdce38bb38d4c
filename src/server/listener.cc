#include "server/listener.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "server/socket_address.h"

namespace varve::server {
namespace {

using engine::Errc;
using engine::Fail;
using engine::Result;

// So that a storm of connections does not keep signals and timers waiting.
constexpr int kAcceptsPerTurn = 1000;
constexpr auto kPauseAfterError = std::chrono::milliseconds(100);

bool PeerIsGone(int error) {
  return error == ECONNABORTED || error == EPROTO || error == EINTR || error == EPERM ||
         error == ENETDOWN || error == ENONET || error == EHOSTUNREACH || error == ENETUNREACH;
}

// An address with a leading '-' may be missing on this machine.
bool MayBeAbsent(int error) {
  return error == EADDRNOTAVAIL || error == EAFNOSUPPORT || error == EPROTONOSUPPORT ||
         error == ENOPROTOOPT || error == EPFNOSUPPORT || error == ESOCKTNOSUPPORT;
}

}  // namespace

Listener::Listener(asio::io_context& context, ClientRegistry& registry, const LiveLimits& limits,
                   spdlog::logger& log, Accepted accepted)
    : context_(context),
      registry_(registry),
      limits_(limits),
      log_(log),
      accepted_(std::move(accepted)),
      pause_(context) {}

Listener::~Listener() { Close(); }

Result<void> Listener::Listen(const Settings& settings) {
  const int backlog = static_cast<int>(settings.tcp_backlog);
  if (settings.port != 0) {
    for (const std::string& address : settings.bind) {
      TRY(ListenTcp(address, settings.port, backlog));
    }
  }
  if (!settings.unixsocket.empty()) {
    TRY(ListenUnix(settings.unixsocket, settings.unixsocketperm, backlog));
  }
  if (doors_.empty()) {
    return Fail(Errc::kInvalidArgument,
                "Configured to not listen anywhere: set port and bind, or unixsocket");
  }
  return {};
}

Result<void> Listener::ListenTcp(const std::string& address, uint64_t port, int backlog) {
  const bool optional = address.starts_with('-');
  const std::string name = optional ? address.substr(1) : address;
  const Result<int> fd = ListenOnTcp(name, port, backlog);
  if (!fd && optional && MayBeAbsent(fd.error().system_error)) return {};
  if (!fd) {
    return Fail(Errc::kInvalidArgument, "Could not create server TCP listening socket {}:{}: {}",
                name, port, fd.error().context);
  }
  doors_.push_back(
      std::make_unique<Door>(Door{asio::posix::stream_descriptor(context_, *fd), false}));
  descriptions_.emplace_back("tcp", fmt::format("bind={},port={}", name, port));
  return {};
}

Result<void> Listener::ListenUnix(const std::string& path, uint64_t permissions, int backlog) {
  const Result<int> fd = ListenOnUnix(path, permissions, backlog);
  if (!fd) {
    return Fail(Errc::kInvalidArgument, "Failed opening Unix socket {}: {}", path,
                fd.error().context);
  }
  doors_.push_back(
      std::make_unique<Door>(Door{asio::posix::stream_descriptor(context_, *fd), true}));
  unix_path_ = path;
  descriptions_.emplace_back("unix", fmt::format("bind={}", path));
  return {};
}

void Listener::Start() {
  for (const auto& door : doors_) Wait(*door);
}

void Listener::Close() {
  pause_.cancel();
  for (const auto& door : doors_) door->socket.close();
  if (!unix_path_.empty()) unlink(unix_path_.c_str());
  unix_path_.clear();
}

void Listener::Wait(Door& door) {
  door.socket.async_wait(asio::posix::stream_descriptor::wait_read,
                         [this, &door](const boost::system::error_code& error) {
                           if (!error) AcceptReady(door);
                         });
}

void Listener::AcceptReady(Door& door) {
  for (int i = 0; i < kAcceptsPerTurn && door.socket.is_open(); ++i) {
    const int fd =
        accept4(door.socket.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      error_logged_ = false;
      Admit(door, fd);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      break;
    } else if (!PeerIsGone(errno)) {
      return PauseAfterError(door, errno);
    }
  }
  if (door.socket.is_open()) Wait(door);
}

// Out of files or memory, most likely: what waits in the backlog must not make this loop spin.
void Listener::PauseAfterError(Door& door, int error) {
  if (!error_logged_) {
    log_.warn("Accepting client connection: {}; trying again until it works", std::strerror(error));
  }
  error_logged_ = true;
  pause_.expires_after(kPauseAfterError);
  pause_.async_wait([this, &door](const boost::system::error_code& cancelled) {
    if (!cancelled) AcceptReady(door);
  });
}

void Listener::Admit(const Door& door, int fd) {
  received_.Add(1);
  if (!registry_.TryReserve(limits_.clients_max.load(std::memory_order_relaxed))) {
    rejected_.Add(1);
    constexpr std::string_view kText = "-ERR max number of clients reached\r\n";
    // A new socket's buffer has room; if not, the peer just sees the end.
    static_cast<void>(send(fd, kText.data(), kText.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
    close(fd);
    return;
  }
  Connection connection{.fd = fd,
                        .id = registry_.NextId(),
                        .address = unix_path_ + ":0",
                        .local_address = unix_path_ + ":0",
                        .unix_socket = door.unix_socket,
                        .loopback = true};
  if (!door.unix_socket) {
    ConfigureTcp(fd, limits_.keepalive_seconds.load(std::memory_order_relaxed));
    connection.address = PeerAddress(fd);
    connection.local_address = LocalAddress(fd);
    connection.loopback = PeerIsLoopback(fd);
  }
  accepted_(std::move(connection));
}

}  // namespace varve::server
