#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "commands/client.h"
#include "commands/host.h"
#include "commands/table.h"
#include "engine/engine.h"
#include "resp/argument.h"
#include "resp/reply.h"

namespace varve::commands {

struct CommandCounters {
  uint64_t calls = 0;
  uint64_t rejected = 0;       // wrong arity and the like: never run
  uint64_t failed = 0;         // answered with an error
  uint64_t sampled_calls = 0;  // one call in kSampleEvery is timed
  uint64_t sampled_ns = 0;
};

// Runs commands: finds them in the table, checks arity, runs the handler under the guard, commits,
// counts. One per server.
// Threads: all members are called under the command lock, that is with a Guard at hand, except
// ForEachKey(), which only reads the table.
class Dispatcher {
 public:
  explicit Dispatcher(Host& host);
  ~Dispatcher();
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  // Runs the command `args` (one or more) of `client` once, from Begin() to Commit(). On kWait and
  // kYield `reply` is as it was, and the same call is to be made again with the same arguments.
  Run Execute(engine::Guard& guard, Client& client, std::span<const resp::Argument> args,
              resp::ReplyBuffer& reply);

  // Drops what a command that will not be run again has begun: the connection is going away.
  static void Abandon(Client& client);

  // Calls `visit(key)` for the keys that a command reads or writes, for look-ahead.
  template <typename Visit>
  static void ForEachKey(std::span<const resp::Argument> args, Visit&& visit) {
    const KeyRange range = FindKeys(args);
    for (size_t index = range.first; index < range.end; index += range.step) {
      visit(args[index].bytes);
    }
  }

  uint64_t commands_run() const { return commands_run_; }
  void ResetStats();  // CONFIG RESETSTAT

  // For INFO.
  const CommandCounters& counters(const Command& command) const;
  const std::map<std::string, uint64_t, std::less<>>& error_counts() const { return error_counts_; }
  uint64_t errors_replied() const { return errors_replied_; }
  uint64_t key_hits() const { return key_hits_; }
  uint64_t key_misses() const { return key_misses_; }
  Host& host() { return host_; }

 private:
  static KeyRange FindKeys(std::span<const resp::Argument> args);

  Run RunHandler(engine::Guard& guard, Client& client, std::span<const resp::Argument> args,
                 resp::ReplyBuffer& reply, const Command& command);
  void CountError(std::string_view reply);

  Host& host_;
  std::vector<CommandCounters> counters_;                      // by Command::index
  std::map<std::string, uint64_t, std::less<>> error_counts_;  // by the error's first word
  uint64_t errors_replied_ = 0;
  uint64_t commands_run_ = 0;
  uint64_t key_hits_ = 0;
  uint64_t key_misses_ = 0;
};

}  // namespace varve::commands
