#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "commands/client.h"
#include "commands/run.h"
#include "engine/engine.h"
#include "resp/argument.h"
#include "resp/reply.h"

namespace varve::commands {

class Dispatcher;
class Host;

// The version of Redis whose commands and replies are spoken here.
inline constexpr std::string_view kRedisVersion = "7.0.15";

// What COMMAND shows as flags, in its order.
enum CommandFlag : uint32_t {
  kWrite = 1u << 0,
  kReadonly = 1u << 1,
  kDenyOom = 1u << 2,  // may need more space; kWrite without it may use what is kept on a full disk
  kAdmin = 1u << 3,
  kNoScript = 1u << 4,
  kLoading = 1u << 5,
  kStale = 1u << 6,
  kFast = 1u << 7,
  kNoAuth = 1u << 8,
  kNoMulti = 1u << 9,
  kAllowBusy = 1u << 10,
};

// ACL categories that do not follow from the flags.
enum Category : uint32_t {
  kNoCategory = 0,
  kKeyspaceCategory = 1u << 0,
  kStringCategory = 1u << 1,
  kDangerousCategory = 1u << 2,
  kConnectionCategory = 1u << 3,
};

// What a command does to its keys, as COMMAND's key specifications say it.
enum class KeyUse : uint8_t {
  kNone,
  kRead,       // RO, access
  kInspect,    // RO: not the value
  kOverwrite,  // OW, update
  kRemove,     // RM, delete
  kSet,        // overwrite; with the GET option also read
};

// Keys are the arguments first, first + step, ... up to last; a negative one counts from the end.
struct Keys {
  int first = 0;  // 0: the command has none
  int last = 0;
  int step = 0;
  KeyUse use = KeyUse::kNone;
};

struct Call;
using Handler = Run (*)(Call&);

// One row of the table. A row named "client|list" is a subcommand and follows its container.
struct Command {
  std::string_view name;  // lower case
  int arity;              // with the name; negative: at least so many
  uint32_t flags;
  uint32_t categories;
  Keys keys;
  Handler handler;             // null: nothing without a subcommand
  std::string_view tips = {};  // COMMAND's hints for cluster clients, separated by spaces
};

// One run of a command, as its handler sees it. On a fault a handler may return at any point, with
// half a reply or none: the run counts for nothing (Guard::Commit() answers kWait).
struct Call {
  engine::Guard& guard;
  Client& client;
  std::span<const resp::Argument> args;
  resp::ReplyBuffer& reply;
  Dispatcher& dispatcher;
  const Command& command;
  uint32_t key_hits = 0;  // keyspace_hits and misses of INFO
  uint32_t key_misses = 0;

  size_t size() const { return args.size(); }
  std::string_view operator[](size_t index) const { return args[index].bytes; }
};

}  // namespace varve::commands
