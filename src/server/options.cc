#include "server/options.h"

#include <algorithm>

#include "server/option_values.h"

namespace varve::server {
namespace {

using engine::Errc;
using engine::Fail;
using engine::Result;
using S = Settings;

constexpr uint64_t kKiB = 1024;
constexpr uint64_t kMiB = 1024 * kKiB;
constexpr uint64_t kGiB = 1024 * kMiB;

// One row per option, in the order of conf/varve.conf and --help.
const Option kOptions[] = {
    {.name = "bind",
     .field = &S::bind,
     .default_text = "127.0.0.1 -::1",
     .doc = "addresses to listen on; '*' is all of IPv4, a leading '-' allows one to be missing"},
    {.name = "port",
     .field = &S::port,
     .default_text = "6379",
     .max = 65535,
     .doc = "TCP port; 0 listens on no TCP port"},
    {.name = "unixsocket",
     .field = &S::unixsocket,
     .default_text = "\"\"",
     .doc = "path of a Unix socket to listen on as well; empty is none"},
    {.name = "unixsocketperm",
     .field = &S::unixsocketperm,
     .default_text = "0",
     .unit = Unit::kOctal,
     .max = 0777,
     .doc = "permissions of that socket, octal; 0 leaves them to the umask"},
    {.name = "tcp-backlog",
     .field = &S::tcp_backlog,
     .default_text = "511",
     .max = INT32_MAX,
     .doc = "connections that the kernel holds until they are accepted"},
    {.name = "tcp-keepalive",
     .field = &S::tcp_keepalive,
     .default_text = "300",
     .at_runtime = true,
     .unit = Unit::kSeconds,
     .max = INT32_MAX,
     .doc = "seconds of silence after which a peer is probed; 0 is never; for new connections"},
    {.name = "timeout",
     .field = &S::timeout,
     .default_text = "0",
     .at_runtime = true,
     .unit = Unit::kSeconds,
     .max = INT32_MAX,
     .doc = "seconds after which an idle client is disconnected; 0 is never"},
    {.name = "maxclients",
     .field = &S::maxclients,
     .default_text = "10000",
     .at_runtime = true,
     .min = 1,
     .max = 1'000'000,
     .doc = "connections served at once; more are told so and closed"},
    {.name = "io-threads",
     .field = &S::io_threads,
     .default_text = "0",
     .max = 128,
     .doc = "event loops, each on a thread; 0 is one per core but one, 1 to 8"},
    {.name = "client-output-buffer-limit",
     .field = &S::client_output_buffer_limit,
     .default_text = "normal 0 0 0 replica 256mb 64mb 60 pubsub 32mb 8mb 60",
     .at_runtime = true,
     .doc = "class, hard limit, soft limit, seconds over the soft limit; 0 is no limit"},
    {.name = "client-query-buffer-limit",
     .field = &S::client_query_buffer_limit,
     .default_text = "1gb",
     .at_runtime = true,
     .unit = Unit::kBytes,
     .min = kMiB,
     .doc = "bytes of one command that a client may send"},
    {.name = "proto-max-bulk-len",
     .field = &S::proto_max_bulk_len,
     .default_text = "512mb",
     .at_runtime = true,
     .unit = Unit::kBytes,
     .min = kMiB,
     .max = kGiB * 2 - 1,
     .doc = "bytes of one argument, and so of one value"},
    {.name = "dir",
     .field = &S::dir,
     .default_text = "./data",
     .doc = "directory of the database, created when missing"},
    {.name = "appendfsync",
     .field = &S::appendfsync,
     .default_text = "everysec",
     .at_runtime = true,
     .doc = "when the log is synced: always (before each reply), everysec, no (by the kernel)"},
    {.name = "write-buffer-size",
     .field = &S::write_buffer_size,
     .default_text = "64mb",
     .at_runtime = true,
     .unit = Unit::kBytes,
     .min = 64 * kKiB,
     .max = 4 * kGiB,
     .doc = "bytes of a memtable when it is sealed and flushed to a table"},
    {.name = "value-log-threshold",
     .field = &S::value_log_threshold,
     .default_text = "4kb",
     .unit = Unit::kBytes,
     .max = kGiB,
     .doc =
         "values of so many bytes are kept in value files, which merges leave alone; 0 is never"},
    {.name = "background-threads",
     .field = &S::background_threads,
     .default_text = "0",
     .max = 64,
     .doc = "merges at once, each on a thread; 0 is one per core but one, 1 to 4"},
    {.name = "background-io-limit",
     .field = &S::background_io_limit,
     .default_text = "0",
     .unit = Unit::kBytes,
     .doc = "bytes that merges and collections move per second; 0 is no limit"},
    {.name = "maxmemory",
     .field = &S::maxmemory,
     .default_text = "0",
     .at_runtime = true,
     .unit = Unit::kBytes,
     .doc = "bytes for memtables, cached rows, filters, indexes; 0 is half of the memory there is"},
    {.name = "compression-last-level",
     .field = &S::compression_last_level,
     .default_text = "zstd",
     .at_runtime = true,
     .doc =
         "how tables of the lowest level are compressed: zstd or snappy; for those written next"},
    {.name = "loglevel",
     .field = &S::loglevel,
     .default_text = "notice",
     .at_runtime = true,
     .doc = "least urgent lines that are logged: debug, verbose, notice or warning"},
    {.name = "logfile",
     .field = &S::logfile,
     .default_text = "\"\"",
     .doc = "file that log lines are appended to; empty is standard output"},
    {.name = "pidfile",
     .field = &S::pidfile,
     .default_text = "\"\"",
     .doc = "file that holds the process id while the server runs; empty is none"},
    {.name = "enable-debug-command",
     .field = &S::enable_debug_command,
     .default_text = "no",
     .doc = "who may use DEBUG: no (nobody), yes (all), local (connections from this machine)"},
    {.name = "appendonly",
     .field = FixedValue{},
     .default_text = "yes",
     .doc = "every write goes to the log before its reply"},
    {.name = "save",
     .field = FixedValue{},
     .default_text = "\"\"",
     .doc = "there are no snapshots to schedule, the database is always on disk"},
    {.name = "databases",
     .field = FixedValue{},
     .default_text = "16",
     .doc = "the number of databases is part of the file format"},
    {.name = "maxmemory-policy",
     .field = FixedValue{},
     .default_text = "noeviction",
     .doc = "no key is ever evicted, rows that do not fit into memory are on disk"},
    {.name = "protected-mode",
     .field = FixedValue{},
     .default_text = "no",
     .doc = "the addresses in bind decide who can connect"},
    {.name = "daemonize",
     .field = FixedValue{},
     .default_text = "no",
     .doc = "the server stays in the foreground, for systemd, a container or a shell to hold"},
};

std::string FixedText(const Option& option) {
  return option.default_text == "\"\"" ? std::string() : std::string(option.default_text);
}

Result<void> ParseFixed(const Option& option, std::span<const std::string> arguments) {
  std::string given;
  for (const std::string& argument : arguments) {
    if (!given.empty()) given += ' ';
    given += argument;
  }
  if (EqualsIgnoringCase(given, FixedText(option))) return {};
  return Fail(Errc::kInvalidArgument, "{} is always '{}' here: {}", option.name, FixedText(option),
              option.doc);
}

}  // namespace

std::span<const Option> Options() { return kOptions; }

const Option* FindOption(std::string_view name) {
  const auto found = std::ranges::find_if(
      kOptions, [&](const Option& option) { return EqualsIgnoringCase(option.name, name); });
  return found == std::end(kOptions) ? nullptr : found;
}

Settings DefaultSettings() {
  Settings settings;
  for (const Option& option : kOptions) {
    std::vector<std::string> arguments = SplitWords(option.default_text);
    if (option.default_text == "\"\"") arguments = {""};
    INVARIANT(ParseOption(option, arguments, settings).has_value());
  }
  return settings;
}

Result<void> ParseOption(const Option& option, std::span<const std::string> arguments,
                         Settings& settings) {
  if (std::holds_alternative<FixedValue>(option.field)) return ParseFixed(option, arguments);
  return std::visit(
      [&]<typename Member>(Member member) -> Result<void> {
        if constexpr (!std::is_same_v<Member, FixedValue>) {
          auto value =
              settings.*member;  // a copy: unchanged on an error, and what limits merge with
          TRY(ParseValue(option, arguments, value));
          settings.*member = std::move(value);
        }
        return {};
      },
      option.field);
}

std::string FormatOption(const Option& option, const Settings& settings) {
  return std::visit(
      [&]<typename Member>(Member member) -> std::string {
        if constexpr (std::is_same_v<Member, FixedValue>) {
          return FixedText(option);
        } else {
          return FormatValue(option, settings.*member);
        }
      },
      option.field);
}

}  // namespace varve::server
