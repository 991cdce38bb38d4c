#include "server/server.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <boost/asio/post.hpp>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <random>

#include "server/log.h"

namespace varve::server {
namespace {

std::string MakeRunId() {
  std::random_device random;
  std::string id;
  while (id.size() < 40) id += fmt::format("{:08x}", random());
  return id;
}

}  // namespace

Server::Server(engine::Engine& engine, Config& config, spdlog::logger& log, std::string config_file)
    : engine_(engine),
      config_(config),
      log_(log),
      config_file_(std::move(config_file)),
      start_settings_(config.settings()),
      run_id_(MakeRunId()),
      start_us_(UnixUs()),
      dispatcher_(*this),
      signals_(context_, SIGTERM, SIGINT),
      sample_timer_(context_),
      listener_(context_, registry_, limits_, log, [this](Connection connection) {
        loops_[next_loop_++ % loops_.size()]->Adopt(std::move(connection));
      }) {
  limits_.Apply(start_settings_);
  const Services services{engine_, dispatcher_, registry_, limits_, log_};
  for (uint64_t i = 0; i < start_settings_.io_threads; ++i) {
    loops_.push_back(std::make_unique<EventLoop>(services));
  }
}

Server::~Server() = default;

engine::Result<void> Server::Listen() { return listener_.Listen(start_settings_); }

void Server::Run() {
  std::vector<std::thread> threads;
  loops_running_ = loops_.size();
  for (size_t i = 0; i < loops_.size(); ++i) {
    threads.emplace_back([this, i] {
      loops_[i]->Run();
      // Signals are heard until the last loop has ended: a second one ends the process at once.
      asio::post(context_, [this] {
        if (--loops_running_ == 0) signals_.cancel();
      });
    });
    pthread_setname_np(threads.back().native_handle(), fmt::format("io-{}", i).c_str());
  }
  AwaitSignal();
  ScheduleSample();
  listener_.Start();
  log_.info("Ready to accept connections");
  context_.run();  // until Stop()
  for (std::thread& thread : threads) thread.join();
}

void Server::AwaitSignal() {
  signals_.async_wait([this](const boost::system::error_code& error, int signal) {
    if (error) return;
    const char* name = signal == SIGINT ? "SIGINT" : "SIGTERM";
    if (stopping_) {
      log_.warn("You insist... exiting now.");
      std::_Exit(1);  // the log is written; what is not synced is as after a kill -9
    }
    log_.warn("Received {} scheduling shutdown...", name);
    Stop();
    AwaitSignal();  // for the second one
  });
}

void Server::Stop() {
  if (stopping_) return;
  stopping_ = true;
  listener_.Close();
  sample_timer_.cancel();
  for (const auto& loop : loops_) loop->Stop();
}

// ---- commands::Host

uint64_t Server::UnixUs() const {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
}

uint64_t Server::MonotonicNs() const {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

void Server::ForEachClient(const std::function<void(const commands::Client&)>& visit) {
  registry_.ForEach(visit);
}

bool Server::KillClient(uint64_t id) { return registry_.Kill(id); }

void Server::RequestShutdown(const commands::ShutdownRequest&) {
  asio::post(context_, [this] {
    log_.warn("User requested shutdown...");
    Stop();
  });
}

// A stop waits for nothing that could take long, so there is none to call off.
bool Server::AbortShutdown() { return false; }

bool Server::DebugAllowed(const commands::Client& client) const {
  return start_settings_.enable_debug_command == DebugAccess::kYes ||
         (start_settings_.enable_debug_command == DebugAccess::kLocal && client.loopback);
}

engine::Stats Server::EngineStats() { return engine_.stats(); }

std::vector<std::pair<std::string, std::string>> Server::ConfigParameters() {
  return config_.Parameters();
}

std::optional<commands::ConfigRefusal> Server::SetConfig(
    std::span<const std::pair<std::string, std::string>> parameters) {
  if (std::optional<SetRefusal> refusal = config_.Set(parameters)) {
    return commands::ConfigRefusal{std::move(refusal->name), std::move(refusal->reason)};
  }
  const Settings settings = config_.settings();
  limits_.Apply(settings);
  SetLogLevel(log_, settings.loglevel);
  engine_.SetSyncMode(settings.appendfsync);
  engine_.SetMemoryBytesMax(settings.maxmemory);
  engine_.SetWriteBufferBytes(settings.write_buffer_size);
  engine_.SetLastLevelCompression(settings.compression_last_level);
  return std::nullopt;
}

}  // namespace varve::server
