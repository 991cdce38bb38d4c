#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>

#include "engine/error.h"

// The system's socket calls that Asio has no part in: listening sockets, options, names of peers.
namespace varve::server {

// A listening, non-blocking socket bound to `address` (a name or number, IPv4 or IPv6; '*' is any
// IPv4 address, '::*' any IPv6 one).
// Errors: kInvalidArgument; its system_error is the errno, or EADDRNOTAVAIL for an unknown name.
engine::Result<int> ListenOnTcp(const std::string& address, uint64_t port, int backlog);
// The file is replaced if it exists. `permissions` 0 leaves them to the umask.
engine::Result<int> ListenOnUnix(const std::string& path, uint64_t permissions, int backlog);

// "127.0.0.1:6379" or "[::1]:6379".
std::string FormatAddress(const sockaddr_storage& address);
std::string PeerAddress(int fd);
std::string LocalAddress(int fd);
bool PeerIsLoopback(int fd);

// Sends small replies at once, and probes a silent peer after `keepalive_seconds` (0: never).
void ConfigureTcp(int fd, uint64_t keepalive_seconds);

}  // namespace varve::server
