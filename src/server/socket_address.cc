#include "server/socket_address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

namespace varve::server {
namespace {

using engine::Errc;
using engine::Error;
using engine::Fail;
using engine::Result;

tl::unexpected<Error> FailWith(int error, const std::string& call) {
  return Fail(
      Error{Errc::kInvalidArgument, fmt::format("{}: {}", call, std::strerror(error)), error});
}

void SetOption(int fd, int level, int name, int value) {
  // Without it the connection works too, just less well: nothing to report.
  static_cast<void>(setsockopt(fd, level, name, &value, sizeof(value)));
}

Result<int> Listen(const sockaddr* address, socklen_t size, int backlog) {
  const int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return FailWith(errno, "socket");
  if (address->sa_family == AF_INET6) SetOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  if (address->sa_family != AF_UNIX) SetOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  const char* failed = bind(fd, address, size) != 0 ? "bind"
                       : listen(fd, backlog) != 0   ? "listen"
                                                    : nullptr;
  if (failed == nullptr) return fd;
  const int error = errno;
  close(fd);
  return FailWith(error, failed);
}

template <typename T>
const T& As(const sockaddr_storage& address) {
  return reinterpret_cast<const T&>(address);  // what the sockets API asks for
}

}  // namespace

Result<int> ListenOnTcp(const std::string& address, uint64_t port, int backlog) {
  const bool any = address == "*" || address == "::*";
  addrinfo hints{};
  hints.ai_family = address == "*" ? AF_INET : address == "::*" ? AF_INET6 : AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int unknown =
      getaddrinfo(any ? nullptr : address.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (unknown != 0) {
    return Fail(Error{Errc::kInvalidArgument, gai_strerror(unknown), EADDRNOTAVAIL});
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  return Listen(found->ai_addr, found->ai_addrlen, backlog);
}

Result<int> ListenOnUnix(const std::string& path, uint64_t permissions, int backlog) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return FailWith(ENAMETOOLONG, path);
  std::ranges::copy(path, address.sun_path);
  unlink(path.c_str());  // of a server that was killed
  TRY_ASSIGN(const int fd,
             Listen(reinterpret_cast<const sockaddr*>(&address), sizeof(address), backlog));
  if (permissions != 0 && chmod(path.c_str(), static_cast<mode_t>(permissions)) != 0) {
    const int error = errno;
    close(fd);
    return FailWith(error, "chmod");
  }
  return fd;
}

std::string FormatAddress(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = "?";
  if (address.ss_family == AF_INET) {
    const auto& v4 = As<sockaddr_in>(address);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text));
    return fmt::format("{}:{}", text, ntohs(v4.sin_port));
  }
  const auto& v6 = As<sockaddr_in6>(address);
  if (address.ss_family == AF_INET6) inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof(text));
  return fmt::format("[{}]:{}", text, ntohs(v6.sin6_port));
}

std::string PeerAddress(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "?:0";
  return FormatAddress(address);
}

std::string LocalAddress(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "?:0";
  return FormatAddress(address);
}

bool PeerIsLoopback(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return false;
  if (address.ss_family == AF_INET) {
    return ntohl(As<sockaddr_in>(address).sin_addr.s_addr) >> 24 == 127;
  }
  return address.ss_family == AF_INET6 &&
         IN6_IS_ADDR_LOOPBACK(&As<sockaddr_in6>(address).sin6_addr);
}

void ConfigureTcp(int fd, uint64_t keepalive_seconds) {
  SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (keepalive_seconds == 0) return;
  const int seconds = static_cast<int>(std::min<uint64_t>(keepalive_seconds, 32767));
  SetOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  SetOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds);
  SetOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, std::max(1, seconds / 3));
  SetOption(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

}  // namespace varve::server
