#pragma once

#include <atomic>
#include <cstdint>

#include "server/settings.h"

namespace varve::server {

// The settings that every connection looks at while it runs; CONFIG SET changes them under it.
// Threads: any. Each value stands alone, so relaxed order is enough.
struct LiveLimits {
  std::atomic<uint64_t> clients_max{0};
  std::atomic<uint64_t> idle_seconds_max{0};
  std::atomic<uint64_t> keepalive_seconds{0};
  std::atomic<uint64_t> bulk_bytes_max{0};
  std::atomic<uint64_t> query_bytes_max{0};
  std::atomic<uint64_t> output_hard_bytes{0};
  std::atomic<uint64_t> output_soft_bytes{0};
  std::atomic<uint64_t> output_soft_seconds{0};

  void Apply(const Settings& settings) {
    const auto relaxed = std::memory_order_relaxed;
    const OutputLimit& output = settings.client_output_buffer_limit[kNormalOutputClass];
    clients_max.store(settings.maxclients, relaxed);
    idle_seconds_max.store(settings.timeout, relaxed);
    keepalive_seconds.store(settings.tcp_keepalive, relaxed);
    bulk_bytes_max.store(settings.proto_max_bulk_len, relaxed);
    query_bytes_max.store(settings.client_query_buffer_limit, relaxed);
    output_hard_bytes.store(output.hard_bytes, relaxed);
    output_soft_bytes.store(output.soft_bytes, relaxed);
    output_soft_seconds.store(output.soft_seconds, relaxed);
  }
};

}  // namespace varve::server
