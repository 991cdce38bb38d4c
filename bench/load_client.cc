// Loads a server with one kind of request over many connections, checks every reply, and prints one
// line of JSON; if asked to, it writes what each second had, and all latencies, to files. One
// thread, so that it costs the server on the same machine little; scripts/bench-cold and
// scripts/bench-writes run it. SIGINT and SIGTERM end a run as its deadline does: what was sent is
// awaited, and counted.
#include <fmt/core.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <array>
#include <csignal>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "conversation.h"
#include "key_choice.h"
#include "load_connection.h"
#include "test_row.h"
#include "timeline.h"

namespace varve::bench {
namespace {

// A server that says nothing for so long is not slow but stuck. The machine may be, too.
constexpr int kSilenceMsMax = 300'000;

volatile std::sig_atomic_t interrupted = 0;

struct LoadFlags {
  std::string mode;
  std::string host = "127.0.0.1";
  uint16_t port = 6379;
  uint64_t clients = 1;
  uint64_t pipeline = 1;
  std::string distribution;
  double exponent = 0.99;
  KeyRange range{.first = 0, .count = 1'000'000};
  uint64_t skip = 0;
  size_t value_bytes = 1024;
  uint64_t keys_per_request = 100;
  uint64_t count = 1000;
  double seconds = 0;
  uint64_t requests = 0;
  uint64_t seed = 0;
  std::string seconds_file;
  std::string histogram_file;

  void AddTo(CLI::App& app);
  // Fills in the defaults that depend on others.
  void Complete();
};

void LoadFlags::AddTo(CLI::App& app) {
  app.add_option("mode", mode, "load (SET), overwrite (SET to a new value), del, get, mget or scan")
      ->required()
      ->check(CLI::IsMember({"load", "overwrite", "del", "get", "mget", "scan"}));
  app.add_option("--host", host, "IPv4 address")->capture_default_str();
  app.add_option("--port", port, "")->capture_default_str();
  app.add_option("--clients", clients, "connections")->check(CLI::Range(1, 20'000));
  app.add_option("--pipeline", pipeline, "requests sent at once")->check(CLI::Range(1, 1'000'000));
  app.add_option(
         "--distribution", distribution,
         "which keys: sequential (default of load and del), once (each once, scattered), uniform "
         "(default), zipf")
      ->check(CLI::IsMember({"sequential", "once", "uniform", "zipf"}));
  app.add_option("--exponent", exponent, "of zipf")->check(CLI::Range(0.01, 5.0));
  app.add_option("--first-key", range.first, "number of the first key")->capture_default_str();
  app.add_option("--keys", range.count, "how many keys there are")
      ->check(CLI::Range(uint64_t{1}, kKeyNumbersMax / 2));
  app.add_option("--skip", skip, "keys passed over at first by sequential and once");
  app.add_option("--value-bytes", value_bytes, "")->capture_default_str();
  app.add_option("--keys-per-request", keys_per_request, "of mget")->check(CLI::Range(1, 500'000));
  app.add_option("--count", count, "of scan")->capture_default_str();
  app.add_option("--seconds", seconds, "ends the run; 0: none");
  app.add_option("--requests", requests, "ends the run; 0: none, of load and del as many as keys");
  app.add_option("--seed", seed, "of uniform and zipf; 0: a new one");
  app.add_option("--seconds-file", seconds_file, "CSV: each second's requests, p99, worst");
  app.add_option("--histogram-file", histogram_file, "CSV: how many requests took how long");
}

void LoadFlags::Complete() {
  const bool each_once = mode == "load" || mode == "del";
  if (distribution.empty()) distribution = each_once ? "sequential" : "uniform";
  if (each_once && requests == 0 && seconds == 0) requests = range.count;
  if (mode == "scan") clients = pipeline = 1;
  if (seed == 0) seed = std::random_device()();
}

struct Results {
  Findings findings;
  Timeline timeline;
  double seconds = 0;
};

std::unique_ptr<Conversation> NewConversation(const LoadFlags& flags, KeyChoice& keys,
                                              RowValues& values, Findings& findings) {
  if (flags.mode == "del") return std::make_unique<Deleter>(keys, findings);
  if (flags.mode == "load" || flags.mode == "overwrite") {
    return std::make_unique<Writer>(keys, values, flags.mode == "overwrite", findings);
  }
  if (flags.mode == "scan") return std::make_unique<Scanner>(flags.range, flags.count, findings);
  const uint64_t keys_per_request = flags.mode == "mget" ? flags.keys_per_request : 0;
  return std::make_unique<Reader>(keys, values, keys_per_request, findings);
}

// Serves the connections until none of them has anything more to ask.
void Serve(int epoll, const std::vector<std::unique_ptr<LoadConnection>>& connections) {
  size_t idle = 0;
  for (const auto& connection : connections) {
    connection->Start();
    idle += connection->idle() ? 1 : 0;
  }
  std::array<epoll_event, 256> events;
  while (idle < connections.size()) {
    const int count =
        ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), kSilenceMsMax);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      fmt::print(stderr, "load_client: {}\n", count == 0 ? "no reply" : std::strerror(errno));
      std::exit(1);
    }
    for (const epoll_event& event : std::span(events).first(static_cast<size_t>(count))) {
      auto& connection = *static_cast<LoadConnection*>(event.data.ptr);
      if ((event.events & EPOLLOUT) != 0) connection.OnWritable();
      if ((event.events & ~uint32_t{EPOLLOUT}) == 0) continue;
      const bool was_idle = connection.idle();
      connection.OnReadable();
      idle += connection.idle() && !was_idle ? 1 : 0;
    }
  }
}

void Run(const LoadFlags& flags, Results& results) {
  const auto keys =
      NewKeyChoice(flags.distribution, flags.range, flags.skip, flags.exponent, flags.seed);
  RowValues values(flags.value_bytes);
  Budget budget{.interrupted = &interrupted};
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  std::vector<std::unique_ptr<LoadConnection>> connections;
  for (uint64_t i = 0; i < flags.clients; ++i) {
    connections.push_back(std::make_unique<LoadConnection>(
        epoll, flags.host, flags.port, flags.pipeline,
        NewConversation(flags, *keys, values, results.findings), budget, results.timeline));
  }
  const uint64_t started_ns = NowNs();
  results.timeline.Start(started_ns);
  if (flags.requests > 0) budget.requests_left = flags.requests;
  if (flags.seconds > 0) {
    budget.deadline_ns = started_ns + static_cast<uint64_t>(flags.seconds * 1e9);
  }
  Serve(epoll, connections);
  results.seconds = static_cast<double>(NowNs() - started_ns) / 1e9;
  results.timeline.End();
}

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char byte : text) {
    if (byte == '"' || byte == '\\') quoted += '\\';
    quoted += byte >= ' ' && byte <= '~' ? byte : '?';
  }
  return quoted + '"';
}

double CpuSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void Print(const LoadFlags& flags, const Results& results) {
  const LatencyHistogram& latencies = results.timeline.all();
  const Findings& findings = results.findings;
  const auto us = [&](double quantile) {
    return static_cast<double>(latencies.Quantile(quantile)) / 1e3;
  };
  fmt::print(
      "{{\"mode\": {}, \"requests\": {}, \"seconds\": {:.6f}, \"rate\": {:.1f}, \"hits\": {}, "
      "\"misses\": {}, \"errors\": {}, \"wrong\": {}, \"p50_us\": {:.1f}, \"p99_us\": {:.1f}, "
      "\"p999_us\": {:.1f}, \"max_us\": {:.1f}, \"client_cpu_seconds\": {:.3f}, \"seed\": {}, "
      "\"first_error\": {}, \"first_wrong\": {}}}\n",
      Quoted(flags.mode), latencies.count(), results.seconds,
      static_cast<double>(latencies.count()) / results.seconds, findings.hits, findings.misses,
      findings.errors, findings.wrong, us(0.5), us(0.99), us(0.999),
      static_cast<double>(latencies.max_ns()) / 1e3, CpuSeconds(), flags.seed,
      Quoted(findings.first_error), Quoted(findings.first_wrong));
}

}  // namespace
}  // namespace varve::bench

int main(int argc, char** argv) {
  varve::bench::LoadFlags flags;
  CLI::App app("Loads a server, checks its replies, and prints one line of JSON");
  flags.AddTo(app);
  CLI11_PARSE(app, argc, argv);
  flags.Complete();
  for (const int signal : {SIGINT, SIGTERM}) {
    std::signal(signal, [](int) { varve::bench::interrupted = 1; });
  }
  varve::bench::Results results;
  varve::bench::Run(flags, results);
  results.timeline.WriteSeconds(flags.seconds_file);
  results.timeline.WriteHistogram(flags.histogram_file);
  varve::bench::Print(flags, results);
  return results.findings.errors + results.findings.wrong == 0 ? 0 : 1;
}
