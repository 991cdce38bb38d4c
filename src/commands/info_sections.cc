#include "commands/info_sections.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string_view>
#include <utility>

#include "commands/command.h"
#include "commands/table.h"

namespace varve::commands {
namespace {

// Writes one section's lines.
class Lines {
 public:
  explicit Lines(std::string& out) : out_(out) {}

  template <typename T>
  Lines& Field(std::string_view name, const T& value) {
    fmt::format_to(std::back_inserter(out_), "{}:{}\r\n", name, value);
    return *this;
  }
  // The field, and beside it the same size for people: "name_human:1.44M".
  Lines& Bytes(std::string_view name, uint64_t bytes) {
    Field(name, bytes);
    return Field(fmt::format("{}_human", name), Human(bytes));
  }
  template <typename... Args>
  Lines& Line(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
    out_ += "\r\n";
    return *this;
  }

 private:
  static std::string Human(uint64_t bytes) {
    constexpr std::string_view kUnits = "KMGTP";
    if (bytes < 1024) return fmt::format("{}B", bytes);
    double size = static_cast<double>(bytes) / 1024;
    size_t unit = 0;
    for (; size >= 1024 && unit + 1 < kUnits.size(); ++unit) size /= 1024;
    return fmt::format("{:.2f}{}", size, kUnits[unit]);
  }

  std::string& out_;
};

double Percent(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

double Ratio(uint64_t a, uint64_t b) {
  return b == 0 ? 0 : static_cast<double>(a) / static_cast<double>(b);
}

void ServerSection(const InfoSource& source, Lines lines) {
  const ServerFigures& server = source.server;
  const uint64_t uptime = (source.now_us - std::min(source.now_us, server.start_us)) / 1000000;
  utsname system{};
  uname(&system);
  lines.Field("redis_version", kRedisVersion)
      .Field("varve_version", server.version)
      .Field("redis_git_sha1", "00000000")
      .Field("redis_git_dirty", 0)
      .Field("redis_build_id", "0")
      .Field("redis_mode", "standalone")
      .Field("os", fmt::format("{} {} {}", system.sysname, system.release, system.machine))
      .Field("arch_bits", 8 * sizeof(void*))
      .Field("monotonic_clock", "POSIX clock_gettime")
      .Field("multiplexing_api", server.multiplexing_api)
      .Field("atomicvar_api", "c11-builtin")
      .Field("gcc_version", __VERSION__)
      .Field("process_id", server.process_id)
      .Field("process_supervised", "no")
      .Field("run_id", server.run_id)
      .Field("tcp_port", server.tcp_port)
      .Field("server_time_usec", source.now_us)
      .Field("uptime_in_seconds", uptime)
      .Field("uptime_in_days", uptime / 86400)
      .Field("executable", server.executable)
      .Field("config_file", server.config_file)
      .Field("io_threads_active", server.io_threads > 1 ? 1 : 0)
      .Field("io_threads", server.io_threads);
  for (size_t index = 0; index < server.listeners.size(); ++index) {
    const auto& [kind, address] = server.listeners[index];
    lines.Line("listener{}:name={},{}", index, kind, address);
  }
}

void ClientsSection(const InfoSource& source, Lines lines) {
  const ServerFigures& server = source.server;
  lines.Field("connected_clients", server.connected_clients)
      .Field("cluster_connections", 0)
      .Field("maxclients", server.clients_max)
      .Field("client_recent_max_input_buffer", server.recent_input_bytes_max)
      .Field("client_recent_max_output_buffer", server.recent_output_bytes_max)
      .Field("blocked_clients", 0)
      .Field("tracking_clients", 0)
      .Field("clients_in_timeout_table", 0);
}

void MemorySection(const InfoSource& source, Lines lines) {
  const ServerFigures& server = source.server;
  const engine::Stats& engine = source.engine;
  const uint64_t rows =
      engine.memtable_bytes + engine.sealed_memtable_bytes + engine.row_cache_bytes;
  const uint64_t overhead = server.used_memory - std::min(server.used_memory, rows);
  lines.Bytes("used_memory", server.used_memory)
      .Bytes("used_memory_rss", server.used_memory_rss)
      .Bytes("used_memory_peak", server.used_memory_peak)
      .Line("used_memory_peak_perc:{:.2f}%", Percent(server.used_memory, server.used_memory_peak))
      .Field("used_memory_overhead", overhead)
      .Field("used_memory_dataset", rows)
      .Line("used_memory_dataset_perc:{:.2f}%", Percent(rows, server.used_memory))
      .Bytes("total_system_memory", server.total_system_memory)
      .Bytes("used_memory_lua", 0)
      .Bytes("used_memory_scripts", 0)
      .Bytes("maxmemory", server.memory_bytes_max)
      .Field("maxmemory_policy", "noeviction")  // no key is ever evicted: the disk has it
      .Line("mem_fragmentation_ratio:{:.2f}", Ratio(server.used_memory_rss, server.used_memory))
      .Field("mem_fragmentation_bytes", static_cast<int64_t>(server.used_memory_rss) -
                                            static_cast<int64_t>(server.used_memory))
      .Field("mem_clients_slaves", 0)
      .Field("mem_clients_normal", server.client_memory)
      .Field("mem_memtables", engine.memtable_bytes + engine.sealed_memtable_bytes)
      .Field("mem_row_cache", engine.row_cache_bytes)
      .Field("mem_filters_and_indexes", engine.filter_index_bytes)
      .Field("mem_aof_buffer", 0)
      .Field("mem_allocator", server.allocator)
      .Field("active_defrag_running", 0)
      .Field("lazyfree_pending_objects", 0);
}

void PersistenceSection(const InfoSource& source, Lines lines) {
  // The log is what Redis calls the AOF. There are no snapshots.
  lines.Field("loading", 0)
      .Field("async_loading", 0)
      .Field("rdb_changes_since_last_save", 0)
      .Field("rdb_bgsave_in_progress", 0)
      .Field("rdb_last_save_time", source.server.start_us / 1000000)
      .Field("rdb_last_bgsave_status", "ok")
      .Field("rdb_last_bgsave_time_sec", -1)
      .Field("rdb_current_bgsave_time_sec", -1)
      .Field("aof_enabled", 1)
      .Field("aof_rewrite_in_progress", 0)
      .Field("aof_rewrite_scheduled", 0)
      .Field("aof_last_rewrite_time_sec", -1)
      .Field("aof_current_rewrite_time_sec", -1)
      .Field("aof_last_bgrewrite_status", source.engine.background_error.empty() ? "ok" : "err")
      .Field("aof_last_write_status", source.engine.write_error.empty() ? "ok" : "err")
      .Field("appendfsync", source.server.sync_mode);
}

void StatsSection(const InfoSource& source, Lines lines) {
  const ServerFigures& server = source.server;
  lines.Field("total_connections_received", server.connections_received)
      .Field("total_commands_processed", source.dispatcher.commands_run())
      .Field("instantaneous_ops_per_sec", server.commands_per_second)
      .Field("total_net_input_bytes", server.net_input_bytes)
      .Field("total_net_output_bytes", server.net_output_bytes)
      .Line("instantaneous_input_kbps:{:.2f}",
            static_cast<double>(server.input_bytes_per_second) / 1024)
      .Line("instantaneous_output_kbps:{:.2f}",
            static_cast<double>(server.output_bytes_per_second) / 1024)
      .Field("rejected_connections", server.connections_rejected)
      .Field("sync_full", 0)
      .Field("sync_partial_ok", 0)
      .Field("sync_partial_err", 0)
      .Field("expired_keys", 0)
      .Field("evicted_keys", 0)
      .Field("evicted_clients", 0)
      .Field("keyspace_hits", source.dispatcher.key_hits())
      .Field("keyspace_misses", source.dispatcher.key_misses())
      .Field("pubsub_channels", 0)
      .Field("pubsub_patterns", 0)
      .Field("latest_fork_usec", 0)
      .Field("total_forks", 0)
      .Field("unexpected_error_replies", 0)
      .Field("total_error_replies", source.dispatcher.errors_replied())
      .Field("total_reads_processed", server.reads_processed)
      .Field("total_writes_processed", server.writes_processed)
      .Field("client_output_buffer_limit_disconnections", server.output_limit_disconnections);
}

void ReplicationSection(const InfoSource& source, Lines lines) {
  lines.Field("role", "master")
      .Field("connected_slaves", 0)
      .Field("master_failover_state", "no-failover")
      .Field("master_replid", source.server.run_id)
      .Field("master_replid2", std::string(40, '0'))
      .Field("master_repl_offset", 0)
      .Field("second_repl_offset", -1)
      .Field("repl_backlog_active", 0)
      .Field("repl_backlog_size", 0)
      .Field("repl_backlog_first_byte_offset", 0)
      .Field("repl_backlog_histlen", 0);
}

void CpuSection(const InfoSource& source, Lines lines) {
  lines.Line("used_cpu_sys:{:.6f}", source.server.cpu_system)
      .Line("used_cpu_user:{:.6f}", source.server.cpu_user)
      .Line("used_cpu_sys_children:{:.6f}", 0.0)
      .Line("used_cpu_user_children:{:.6f}", 0.0);
}

void ModulesSection(const InfoSource&, Lines) {}

void CommandstatsSection(const InfoSource& source, Lines lines) {
  for (const Command& command : AllCommands()) {
    const CommandCounters& counters = source.dispatcher.counters(command);
    if (counters.calls == 0 && counters.rejected == 0) continue;
    const double usec_per_call = Ratio(counters.sampled_ns, counters.sampled_calls) / 1000;
    lines.Line(
        "cmdstat_{}:calls={},usec={:.0f},usec_per_call={:.2f},rejected_calls={},failed_calls={}",
        command.name, counters.calls, usec_per_call * static_cast<double>(counters.calls),
        usec_per_call, counters.rejected, counters.failed);
  }
}

void ErrorstatsSection(const InfoSource& source, Lines lines) {
  for (const auto& [word, count] : source.dispatcher.error_counts()) {
    lines.Line("errorstat_{}:count={}", word, count);
  }
}

void ClusterSection(const InfoSource&, Lines lines) { lines.Field("cluster_enabled", 0); }

void KeyspaceSection(const InfoSource& source, Lines lines) {
  for (size_t db = 0; db < source.key_counts.size(); ++db) {
    if (source.key_counts[db] == 0) continue;
    lines.Line("db{}:keys={},expires=0,avg_ttl=0", db, source.key_counts[db]);
  }
}

void EngineSection(const InfoSource& source, Lines lines) {
  const engine::Stats& stats = source.engine;
  lines.Field("memtable_bytes", stats.memtable_bytes)
      .Field("sealed_memtable_bytes", stats.sealed_memtable_bytes)
      .Field("sealed_memtables", stats.sealed_memtables)
      .Field("row_cache_bytes", stats.row_cache_bytes)
      .Field("row_cache_bytes_max", stats.row_cache_bytes_max)
      .Field("row_cache_rows", stats.row_cache_rows)
      .Field("memory_hits", stats.memory_hits)
      .Field("row_cache_evictions", stats.row_cache_evictions)
      .Field("filter_index_bytes", stats.filter_index_bytes)
      .Field("faults", stats.faults)
      .Field("loads", stats.loads)
      .Field("loads_joined", stats.loads_joined)
      .Field("loads_stale", stats.loads_stale)
      .Field("load_blocks_read", stats.load_blocks_read)
      .Field("settling_loads", stats.settling_loads)
      .Field("settling_pending", stats.settling_pending)
      .Field("wal_records", stats.wal_records)
      .Field("wal_bytes", stats.wal_bytes)
      .Field("wal_syncs", stats.wal_syncs)
      .Field("wal_segments", stats.wal_segments)
      .Field("flushes", stats.flushes)
      .Field("flush_bytes_written", stats.flush_bytes_written)
      .Field("compactions", stats.compactions)
      .Field("compaction_bytes_read", stats.compaction_bytes_read)
      .Field("compaction_bytes_written", stats.compaction_bytes_written)
      .Field("compactions_running", stats.compactions_running)
      .Field("compaction_debt", stats.compaction_debt)
      .Field("compaction_pressure", fmt::format("{:.2f}", stats.compaction_pressure))
      .Field("value_bytes_written", stats.value_bytes_written)
      .Field("value_collections", stats.value_collections)
      .Field("value_bytes_read", stats.value_bytes_read)
      .Field("value_bytes_collected", stats.value_bytes_collected)
      .Field("collection_pressure", fmt::format("{:.2f}", stats.collection_pressure))
      .Field("write_waits", stats.write_waits)
      .Field("longest_write_wait_us", stats.longest_write_wait_us)
      .Field("write_delay_us", stats.write_delay_us)
      .Field("table_bytes", stats.table_bytes)
      .Field("value_files", stats.value_files)
      .Field("value_file_bytes", stats.value_file_bytes)
      .Field("value_live_bytes", stats.value_live_bytes);
  for (size_t level = 0; level < stats.levels.size(); ++level) {
    lines.Line("level{}:tables={},bytes={}", level, stats.levels[level].tables,
               stats.levels[level].bytes);
  }
  lines.Field("disk_free_bytes", stats.disk_free_bytes)
      .Field("disk_reserve_bytes", stats.disk_reserve_bytes)
      .Field("disk_reserve_bytes_wanted", stats.disk_reserve_bytes_wanted);
  lines.Field("recovered_records", stats.recovered_records)
      .Field("recovered_bytes", stats.recovered_bytes)
      .Field("recovery_us", stats.recovery_us)
      .Field("write_error", stats.write_error)
      .Field("wal_preparation_error", stats.wal_preparation_error)
      .Field("background_error", stats.background_error);
}

struct Section {
  std::string_view name;
  std::string_view title;
  bool by_default;
  void (*write)(const InfoSource&, Lines);
};

constexpr Section kSections[] = {
    {"server", "Server", true, &ServerSection},
    {"clients", "Clients", true, &ClientsSection},
    {"memory", "Memory", true, &MemorySection},
    {"persistence", "Persistence", true, &PersistenceSection},
    {"stats", "Stats", true, &StatsSection},
    {"replication", "Replication", true, &ReplicationSection},
    {"cpu", "CPU", true, &CpuSection},
    {"modules", "Modules", true, &ModulesSection},
    {"commandstats", "Commandstats", false, &CommandstatsSection},
    {"errorstats", "Errorstats", true, &ErrorstatsSection},
    {"cluster", "Cluster", true, &ClusterSection},
    {"keyspace", "Keyspace", true, &KeyspaceSection},
    {"engine", "Engine", true, &EngineSection},
};

}  // namespace

std::string InfoText(const InfoSource& source, const std::set<std::string, std::less<>>& names) {
  const bool all = names.contains("all") || names.contains("everything");
  const bool usual = names.contains("default");
  std::string text;
  for (const Section& section : kSections) {
    if (!all && !(usual && section.by_default) && !names.contains(section.name)) continue;
    if (!text.empty()) text += "\r\n";
    fmt::format_to(std::back_inserter(text), "# {}\r\n", section.title);
    section.write(source, Lines(text));
  }
  return text;
}

}  // namespace varve::commands
