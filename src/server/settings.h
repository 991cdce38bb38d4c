#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/options.h"

// The values of all options, typed. What each means, its default and its limits stand in the table
// of options.cc; a Settings with every default comes from DefaultSettings() there.
namespace varve::server {

enum class LogLevel { kDebug, kVerbose, kNotice, kWarning };

// Who may use DEBUG.
enum class DebugAccess { kNo, kYes, kLocal };

// A client whose replies exceed hard_bytes, or exceed soft_bytes for soft_seconds on end, is
// disconnected. 0 means no limit.
struct OutputLimit {
  uint64_t hard_bytes = 0;
  uint64_t soft_bytes = 0;
  uint64_t soft_seconds = 0;
  bool operator==(const OutputLimit&) const = default;
};

inline constexpr size_t kOutputClassCount = 3;  // normal, replica, pubsub
inline constexpr size_t kNormalOutputClass = 0;
using OutputLimits = std::array<OutputLimit, kOutputClassCount>;

struct Settings {
  // Network
  std::vector<std::string> bind;
  uint64_t port = 0;
  std::string unixsocket;
  uint64_t unixsocketperm = 0;
  uint64_t tcp_backlog = 0;
  uint64_t tcp_keepalive = 0;
  uint64_t timeout = 0;
  uint64_t maxclients = 0;
  uint64_t io_threads = 0;
  OutputLimits client_output_buffer_limit;
  uint64_t client_query_buffer_limit = 0;
  uint64_t proto_max_bulk_len = 0;
  // Storage
  std::string dir;
  engine::SyncMode appendfsync = engine::SyncMode::kEverySecond;
  uint64_t write_buffer_size = 0;
  uint64_t value_log_threshold = 0;
  uint64_t background_threads = 0;
  uint64_t background_io_limit = 0;
  uint64_t maxmemory = 0;
  engine::LastLevelCompression compression_last_level = engine::LastLevelCompression::kZstd;
  // Operation
  LogLevel loglevel = LogLevel::kNotice;
  std::string logfile;
  std::string pidfile;
  DebugAccess enable_debug_command = DebugAccess::kNo;

  bool operator==(const Settings&) const = default;
};

}  // namespace varve::server
