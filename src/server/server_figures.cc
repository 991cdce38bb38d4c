// The part of Server that counts and measures, for INFO.

#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>

#include "server/options.h"
#include "server/process_figures.h"
#include "server/server.h"
#include "server/version.h"

namespace varve::server {

Server::Totals Server::ReadTotals() const {
  Totals totals;
  for (const auto& loop : loops_) {
    const LoopFigures& figures = loop->figures();
    totals.commands += figures.commands.value();
    totals.reads += figures.reads.value();
    totals.writes += figures.writes.value();
    totals.input_bytes += figures.input_bytes.value();
    totals.output_bytes += figures.output_bytes.value();
    totals.output_limit_disconnections += figures.output_limit_disconnections.value();
  }
  totals.connections_received = listener_.connections_received();
  totals.connections_rejected = listener_.connections_rejected();
  return totals;
}

void Server::ScheduleSample() {
  sample_timer_.expires_after(std::chrono::seconds(1));
  sample_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || stopping_) return;
    const Totals totals = ReadTotals();
    commands_per_second_.Set(totals.commands - sampled_.commands);
    input_per_second_.Set(totals.input_bytes - sampled_.input_bytes);
    output_per_second_.Set(totals.output_bytes - sampled_.output_bytes);
    sampled_ = totals;
    used_memory_peak_.Set(std::max(used_memory_peak_.value(), UsedMemory(ReadMemoryFigures())));
    ScheduleSample();
  });
}

commands::ServerFigures Server::Figures() {
  const Settings settings = config_.settings();
  commands::ServerFigures figures;
  figures.version = kVersion;
  figures.run_id = run_id_;
  figures.executable = ExecutablePath();
  figures.config_file = config_file_;
  figures.multiplexing_api = "epoll";
  figures.tcp_port = static_cast<int>(settings.port);
  figures.process_id = getpid();
  figures.start_us = start_us_;
  figures.io_threads = static_cast<int>(loops_.size());
  figures.listeners = listener_.descriptions();

  figures.connected_clients = registry_.reserved();
  figures.clients_max = settings.maxclients;
  for (const auto& loop : loops_) {
    const LoopFigures& counted = loop->figures();
    figures.client_memory += counted.client_memory.value();
    figures.recent_input_bytes_max =
        std::max(figures.recent_input_bytes_max, counted.input_bytes_max.value());
    figures.recent_output_bytes_max =
        std::max(figures.recent_output_bytes_max, counted.output_bytes_max.value());
  }

  MemoryFigures memory = ReadMemoryFigures();
  figures.used_memory = UsedMemory(memory);
  figures.used_memory_peak = std::max(used_memory_peak_.value(), figures.used_memory);
  figures.used_memory_rss = memory.resident_bytes;
  figures.allocator = std::move(memory.allocator);
  struct sysinfo info {};
  if (sysinfo(&info) == 0) figures.total_system_memory = uint64_t{info.totalram} * info.mem_unit;
  figures.memory_bytes_max = settings.maxmemory;
  figures.sync_mode = FormatOption(*FindOption("appendfsync"), settings);

  const Totals totals = ReadTotals();
  {
    const std::lock_guard lock(totals_mutex_);
    figures.connections_received = totals.connections_received - reset_.connections_received;
    figures.connections_rejected = totals.connections_rejected - reset_.connections_rejected;
    figures.net_input_bytes = totals.input_bytes - reset_.input_bytes;
    figures.net_output_bytes = totals.output_bytes - reset_.output_bytes;
    figures.output_limit_disconnections =
        totals.output_limit_disconnections - reset_.output_limit_disconnections;
    figures.reads_processed = totals.reads - reset_.reads;
    figures.writes_processed = totals.writes - reset_.writes;
  }
  figures.commands_per_second = commands_per_second_.value();
  figures.input_bytes_per_second = input_per_second_.value();
  figures.output_bytes_per_second = output_per_second_.value();

  const CpuFigures cpu = ReadCpuFigures();
  figures.cpu_system = cpu.system_seconds;
  figures.cpu_user = cpu.user_seconds;
  return figures;
}

// Rows are in memory that the engine takes from the system itself.
uint64_t Server::UsedMemory(const MemoryFigures& memory) {
  const engine::Stats stats = engine_.stats();
  return memory.allocated_bytes + stats.memtable_bytes + stats.sealed_memtable_bytes +
         stats.row_cache_bytes;
}

void Server::ResetStats() {
  engine_.ResetStats();
  const std::lock_guard lock(totals_mutex_);
  reset_ = ReadTotals();
}

}  // namespace varve::server
