#include "commands/dispatch.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "commands/command.h"
#include "commands/text.h"

namespace varve::commands {
namespace {

constexpr uint64_t kSampleEvery = 64;  // a clock read costs as much as a small command
static_assert((kSampleEvery & (kSampleEvery - 1)) == 0);
constexpr size_t kQuotedBytesMax = 128;  // of what a client sent, in an error
constexpr size_t kErrorKindsMax = 128;   // error words that are counted apart

std::string UnknownCommandError(std::span<const resp::Argument> args) {
  std::string quoted;
  for (size_t index = 1; index < args.size() && quoted.size() < kQuotedBytesMax; ++index) {
    quoted += '\'';
    quoted += args[index].bytes.substr(0, kQuotedBytesMax - (quoted.size() - 1));
    quoted += "' ";
  }
  return fmt::format("ERR unknown command '{}', with args beginning with: {}",
                     args[0].bytes.substr(0, kQuotedBytesMax), quoted);
}

std::string UnknownSubcommandError(const Command& container, std::string_view name) {
  return fmt::format("ERR unknown subcommand '{}'. Try {} HELP.", name.substr(0, kQuotedBytesMax),
                     ToUpper(container.name));
}

bool MayFreeSpace(const Command& command) {
  return (command.flags & (kWrite | kDenyOom)) == kWrite;
}

// What helps against a full disk.
std::string_view Advice(const Command& command, engine::Errc code) {
  if (code != engine::Errc::kNoSpace) return "";
  return MayFreeSpace(command)
             ? ". Even the reserve is used up: free disk space, or add some"
             : ". Free disk space, or add some, or delete keys: DEL, UNLINK, FLUSHDB and FLUSHALL "
               "still work, and so do reads";
}

// What the engine refused, in a form that Redis's clients know: MISCONF is "no writes at present".
std::string RefusalText(const Command& command, const engine::Error& error) {
  const bool write_refused =
      (command.flags & kWrite) != 0 &&
      (error.code == engine::Errc::kNoSpace || error.code == engine::Errc::kIo ||
       error.code == engine::Errc::kClosed || error.code == engine::Errc::kTooManyFiles);
  if (!write_refused) return fmt::format("ERR {}", error.context);
  return fmt::format("MISCONF Write refused: {}{}", error.context, Advice(command, error.code));
}

// The row that `args` mean, be it a subcommand's; null if there is none.
const Command* Find(std::span<const resp::Argument> args) {
  const Command* command = FindCommand(args[0].bytes);
  if (command == nullptr || args.size() < 2) return command;
  if (Subcommands(*command).empty()) return command;
  return FindSubcommand(*command, args[1].bytes);
}

}  // namespace

Dispatcher::Dispatcher(Host& host) : host_(host), counters_(AllCommands().size()) {}

Dispatcher::~Dispatcher() = default;

Run Dispatcher::Execute(engine::Guard& guard, Client& client, std::span<const resp::Argument> args,
                        resp::ReplyBuffer& reply) {
  reply.set_protocol(client.protocol);
  const resp::ReplyBuffer::Mark mark = reply.mark();
  const Command* const command = Find(args);
  Run run = Run::kDone;
  if (command == nullptr) {
    const Command* const container = FindCommand(args[0].bytes);
    reply.Error(container == nullptr ? UnknownCommandError(args)
                                     : UnknownSubcommandError(*container, args[1].bytes));
  } else if (!HasArity(*command, args.size()) || command->handler == nullptr) [[unlikely]] {
    reply.Error(fmt::format("ERR wrong number of arguments for '{}' command", command->name));
    ++counters_[IndexOf(*command)].rejected;
  } else {
    run = RunHandler(guard, client, args, reply, *command);
    if (run != Run::kDone) {
      reply.TruncateTo(mark);
      return run;
    }
    ++commands_run_;
  }
  if (reply.FirstByteAfter(mark) == '-') [[unlikely]] {
    CountError(reply.BytesAfter(mark));
    if (command != nullptr && command->handler != nullptr && HasArity(*command, args.size())) {
      ++counters_[IndexOf(*command)].failed;
    }
  }
  if (client.reply_mode != ReplyMode::kOn) [[unlikely]] {
    if (client.reply_mode != ReplyMode::kSkipArmed) reply.TruncateTo(mark);
    if (client.reply_mode == ReplyMode::kSkip) client.reply_mode = ReplyMode::kOn;
    if (client.reply_mode == ReplyMode::kSkipArmed) client.reply_mode = ReplyMode::kSkip;
  }
  return Run::kDone;
}

Run Dispatcher::RunHandler(engine::Guard& guard, Client& client,
                           std::span<const resp::Argument> args, resp::ReplyBuffer& reply,
                           const Command& command) {
  CommandCounters& counters = counters_[IndexOf(command)];
  const bool sampled = (counters.calls & (kSampleEvery - 1)) == 0;
  const uint64_t begin_ns = sampled ? host_.MonotonicNs() : 0;
  const resp::ReplyBuffer::Mark mark = reply.mark();
  client.last_command = &command;
  Call call{guard, client, args, reply, *this, command};
  guard.Begin();
  if (MayFreeSpace(command)) guard.UseReserve();
  if (command.handler(call) == Run::kYield) {
    guard.Rollback();
    return Run::kYield;
  }
  const engine::Outcome outcome = guard.Commit();
  if (outcome == engine::Outcome::kWait) return Run::kWait;
  if (outcome == engine::Outcome::kRefused) [[unlikely]] {
    reply.TruncateTo(mark);
    reply.Error(RefusalText(command, guard.refusal()));
  } else {
    key_hits_ += call.key_hits;
    key_misses_ += call.key_misses;
  }
  if (client.continuation.progress != nullptr) [[unlikely]] {
    Abandon(client);
  }
  ++counters.calls;
  if (sampled) {
    ++counters.sampled_calls;
    counters.sampled_ns += host_.MonotonicNs() - begin_ns;
  }
  return Run::kDone;
}

void Dispatcher::Abandon(Client& client) { client.continuation = {}; }

KeyRange Dispatcher::FindKeys(std::span<const resp::Argument> args) {
  const Command* const command = FindCommand(args[0].bytes);
  if (command == nullptr || !HasArity(*command, args.size())) return {};
  return KeysOf(*command, args.size());
}

void Dispatcher::CountError(std::string_view reply) {
  ++errors_replied_;
  const std::string_view line = reply.substr(1, reply.find('\r') - 1);
  const std::string_view word = line.substr(0, line.find(' '));
  const auto found = error_counts_.find(word);
  if (found != error_counts_.end()) {
    ++found->second;
  } else if (error_counts_.size() < kErrorKindsMax) {
    error_counts_.emplace(word, 1);
  }
}

const CommandCounters& Dispatcher::counters(const Command& command) const {
  return counters_[IndexOf(command)];
}

void Dispatcher::ResetStats() {
  std::fill(counters_.begin(), counters_.end(), CommandCounters{});
  error_counts_.clear();
  errors_replied_ = 0;
  commands_run_ = 0;
  key_hits_ = 0;
  key_misses_ = 0;
}

}  // namespace varve::commands
