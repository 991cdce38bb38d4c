// The program varve-server: reads the options, opens the database, serves until told to stop.

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/posix_env.h"
#include "server/config.h"
#include "server/config_source.h"
#include "server/help.h"
#include "server/log.h"
#include "server/machine.h"
#include "server/server.h"
#include "server/version.h"

namespace varve::server {
namespace {

using engine::Result;

// The file, then standard input, then the command line, as redis-server reads them.
Result<void> LoadConfig(const CommandLine& command_line, Config& config) {
  std::vector<Directive> directives;
  if (command_line.config_file) {
    TRY_ASSIGN(directives, ReadConfigFile(*command_line.config_file));
  }
  if (command_line.from_stdin) {
    const std::string text(std::istreambuf_iterator<char>(std::cin), {});
    TRY_ASSIGN(std::vector<Directive> from_stdin, ReadConfigText(text, "standard input"));
    std::ranges::move(from_stdin, std::back_inserter(directives));
  }
  std::ranges::copy(command_line.directives, std::back_inserter(directives));
  return config.Load(directives);
}

// Makes room for maxclients among the open files, or lowers it.
void FitClients(Config& config, spdlog::logger& log) {
  const uint64_t wanted = config.settings().maxclients;
  const uint64_t possible = ReserveFiles(wanted);
  if (possible >= wanted) return;
  log.warn(
      "You requested maxclients of {}, for which the limit of open files is too low: it has been "
      "reduced to {}. Raise it with 'ulimit -n {}' before the start.",
      wanted, possible, wanted + kReservedFiles);
  const std::pair<std::string, std::string> lowered[] = {{"maxclients", std::to_string(possible)}};
  static_cast<void>(config.Set(lowered));  // at least 1 as limits go; if not, accept() will say so
}

class PidFile {
 public:
  PidFile(std::string path, spdlog::logger& log) : path_(std::move(path)) {
    if (path_.empty()) return;
    std::ofstream file(path_);
    if (!(file << getpid() << '\n' << std::flush)) log.warn("Can't write the pid file {}", path_);
  }
  ~PidFile() {
    if (!path_.empty()) unlink(path_.c_str());
  }
  PidFile(const PidFile&) = delete;
  PidFile& operator=(const PidFile&) = delete;

 private:
  const std::string path_;
};

int Refuse(spdlog::logger& log, const engine::Error& error) {
  log.critical("{}", error.context);
  // With a log file, nobody may be looking there when a start fails.
  fmt::print(stderr, "varve-server: {}\n", error.context);
  return 1;
}

int Serve(const CommandLine& command_line, Config& config) {
  const Settings settings = config.settings();
  Result<std::shared_ptr<spdlog::logger>> opened = OpenLog(settings.logfile, settings.loglevel);
  if (!opened) {
    fmt::print(stderr, "varve-server: {}\n", opened.error().context);
    return 1;
  }
  spdlog::logger& log = **opened;
  log.info("Varve is starting: version={}, bits=64, pid={}", kVersion, getpid());
  FitClients(config, log);
  const engine::PosixEnv env(engine::kReadThreadsDefault, true, settings.background_threads);
  log.info("Rows are read from the disk {}",
           env.uses_io_uring() ? "through io_uring" : "by threads: io_uring can't be used here");
  Result<std::unique_ptr<engine::Engine>> engine =
      engine::Engine::Open(env.env(), {.directory = settings.dir,
                                       .logger = *opened,
                                       .sync_mode = settings.appendfsync,
                                       .write_buffer_bytes = settings.write_buffer_size,
                                       .memory_bytes_max = settings.maxmemory,
                                       .last_level_compression = settings.compression_last_level,
                                       .background_threads = settings.background_threads,
                                       .background_io_limit = settings.background_io_limit,
                                       .value_threshold_bytes = settings.value_log_threshold});
  if (!engine) return Refuse(log, engine.error());
  {
    std::string config_file;
    if (command_line.config_file) {
      config_file = std::filesystem::absolute(*command_line.config_file).string();
    }
    Server server(**engine, config, log, std::move(config_file));
    if (const Result<void> listening = server.Listen(); !listening) {
      return Refuse(log, listening.error());
    }
    const PidFile pid_file(settings.pidfile, log);
    log.info("Server initialized: port={}, io-threads={}, dir={}, maxmemory={}", settings.port,
             settings.io_threads, settings.dir, settings.maxmemory);
    server.Run();
  }
  if (const Result<void> closed = (*engine)->Close(); !closed) return Refuse(log, closed.error());
  log.warn("Varve is now ready to exit, bye bye...");
  return 0;
}

int Main(std::span<const std::string> arguments) {
  const Result<CommandLine> command_line = ReadCommandLine(arguments);
  if (!command_line) {
    fmt::print(stderr, "varve-server: {}\n", command_line.error().context);
    return 1;
  }
  if (command_line->help || command_line->version) {
    fmt::print("{}", command_line->help ? HelpText() : VersionText());
    return 0;
  }
  Config config(DetectMachine());
  if (const Result<void> loaded = LoadConfig(*command_line, config); !loaded) {
    fmt::print(stderr, "{}\n", loaded.error().context);
    return 1;
  }
  return Serve(*command_line, config);
}

}  // namespace
}  // namespace varve::server

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a lost peer is an error of its send
  std::signal(SIGHUP, SIG_IGN);
  try {
    return varve::server::Main(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const std::exception& error) {  // no thread, no memory, no randomness: at the start
    fmt::print(stderr, "varve-server: {}\n", error.what());
    return 1;
  }
}
