#include "commands/table.h"

#include <array>
#include <cstdint>

#include "commands/client_commands.h"
#include "commands/config_commands.h"
#include "commands/connection.h"
#include "commands/info.h"
#include "commands/introspection.h"
#include "commands/keys.h"
#include "commands/scan.h"
#include "commands/server_commands.h"
#include "commands/strings.h"
#include "commands/text.h"

namespace varve::commands {
namespace {

// clang-format off
constexpr uint32_t kSession = kNoScript | kLoading | kStale;
constexpr uint32_t kHandshake = kSession | kFast | kNoAuth | kAllowBusy;
constexpr uint32_t kAdministration = kAdmin | kSession;

constexpr Command kCommands[] = {
    {"get", 2, kReadonly | kFast, kStringCategory, {1, 1, 1, KeyUse::kRead}, &Get},
    {"set", -3, kWrite | kDenyOom, kStringCategory, {1, 1, 1, KeyUse::kSet}, &Set},
    {"mget", -2, kReadonly | kFast, kStringCategory, {1, -1, 1, KeyUse::kRead}, &Mget,
     "request_policy:multi_shard"},
    {"mset", -3, kWrite | kDenyOom, kStringCategory, {1, -1, 2, KeyUse::kOverwrite}, &Mset,
     "request_policy:multi_shard response_policy:all_succeeded"},
    {"del", -2, kWrite, kKeyspaceCategory, {1, -1, 1, KeyUse::kRemove}, &Del,
     "request_policy:multi_shard response_policy:agg_sum"},
    {"unlink", -2, kWrite | kFast, kKeyspaceCategory, {1, -1, 1, KeyUse::kRemove}, &Del,
     "request_policy:multi_shard response_policy:agg_sum"},
    {"exists", -2, kReadonly | kFast, kKeyspaceCategory, {1, -1, 1, KeyUse::kInspect}, &Exists,
     "request_policy:multi_shard response_policy:agg_sum"},
    {"type", 2, kReadonly | kFast, kKeyspaceCategory, {1, 1, 1, KeyUse::kInspect}, &Type},
    {"dbsize", 1, kReadonly | kFast, kKeyspaceCategory, {}, &Dbsize,
     "request_policy:all_shards response_policy:agg_sum"},
    {"randomkey", 1, kReadonly, kKeyspaceCategory, {}, &Randomkey,
     "request_policy:all_shards nondeterministic_output"},
    {"scan", -2, kReadonly, kKeyspaceCategory, {}, &Scan,
     "nondeterministic_output request_policy:special"},
    {"keys", 2, kReadonly, kKeyspaceCategory | kDangerousCategory, {}, &KeysMatching,
     "request_policy:all_shards nondeterministic_output_order"},
    {"flushdb", -1, kWrite, kKeyspaceCategory | kDangerousCategory, {}, &Flushdb,
     "request_policy:all_shards response_policy:all_succeeded"},
    {"flushall", -1, kWrite, kKeyspaceCategory | kDangerousCategory, {}, &Flushall,
     "request_policy:all_shards response_policy:all_succeeded"},
    {"compact", 1, kAdministration, kDangerousCategory, {}, &Compact},
    {"ping", -1, kFast, kConnectionCategory, {}, &Ping,
     "request_policy:all_shards response_policy:all_succeeded"},
    {"echo", 2, kLoading | kStale | kFast, kConnectionCategory, {}, &Echo},
    {"quit", -1, kHandshake, kConnectionCategory, {}, &Quit},
    {"reset", 1, kHandshake, kConnectionCategory, {}, &Reset},
    {"select", 2, kLoading | kStale | kFast, kConnectionCategory, {}, &Select},
    {"hello", -1, kHandshake, kConnectionCategory, {}, &Hello},
    {"client", -2, 0, kNoCategory, {}, nullptr},
    {"client|id", 2, kSession, kConnectionCategory, {}, &ClientId},
    {"client|getname", 2, kSession, kConnectionCategory, {}, &ClientGetname},
    {"client|setname", 3, kSession, kConnectionCategory, {}, &ClientSetname},
    {"client|setinfo", 4, kSession, kConnectionCategory, {}, &ClientSetinfo},
    {"client|info", 2, kSession, kConnectionCategory, {}, &ClientInfo,
     "nondeterministic_output"},
    {"client|list", -2, kAdministration, kConnectionCategory, {}, &ClientList,
     "nondeterministic_output"},
    {"client|kill", -3, kAdministration, kConnectionCategory, {}, &ClientKill},
    {"client|no-evict", 3, kAdministration, kConnectionCategory, {}, &ClientNoEvict},
    {"client|reply", 3, kSession, kConnectionCategory, {}, &ClientReply},
    {"client|help", 2, kLoading | kStale, kConnectionCategory, {}, &ClientHelp},
    {"command", -1, kLoading | kStale, kConnectionCategory, {}, &CommandAll,
     "nondeterministic_output_order"},
    {"command|count", 2, kLoading | kStale, kConnectionCategory, {}, &CommandCount},
    {"command|info", -2, kLoading | kStale, kConnectionCategory, {}, &CommandInfo,
     "nondeterministic_output_order"},
    {"command|docs", -2, kLoading | kStale, kConnectionCategory, {}, &CommandDocs,
     "nondeterministic_output_order"},
    {"command|list", -2, kLoading | kStale, kConnectionCategory, {}, &CommandList,
     "nondeterministic_output_order"},
    {"command|getkeys", -4, kLoading | kStale, kConnectionCategory, {}, &CommandGetkeys},
    {"command|getkeysandflags", -4, kLoading | kStale, kConnectionCategory, {}, &CommandGetkeysAndFlags},
    {"command|help", 2, kLoading | kStale, kConnectionCategory, {}, &CommandHelp},
    {"config", -2, 0, kNoCategory, {}, nullptr},
    {"config|get", -3, kAdministration, kNoCategory, {}, &ConfigGet},
    {"config|set", -4, kAdministration, kNoCategory, {}, &ConfigSet,
     "request_policy:all_nodes response_policy:all_succeeded"},
    {"config|resetstat", 2, kAdministration, kNoCategory, {}, &ConfigResetstat},
    {"config|help", 2, kLoading | kStale, kNoCategory, {}, &ConfigHelp},
    {"info", -1, kLoading | kStale, kDangerousCategory, {}, &Info,
     "nondeterministic_output request_policy:all_shards response_policy:special"},
    {"time", 1, kLoading | kStale | kFast, kNoCategory, {}, &Time,
     "nondeterministic_output"},
    {"shutdown", -1, kAdministration | kNoMulti | kAllowBusy, kNoCategory, {}, &Shutdown},
    {"debug", -2, kAdministration, kNoCategory, {}, &Debug},
};
// clang-format on

constexpr bool IsSubcommand(const Command& command) {
  return command.name.find('|') != std::string_view::npos;
}

// Names are found through an open-addressing table that the compiler fills. The hash takes what is
// cheap and tells names apart; it is enough that few collide, which the assertion below checks.
constexpr size_t kSlotCount = 256;
constexpr uint8_t kNoRow = 255;
static_assert(std::size(kCommands) < kNoRow);

constexpr size_t Hash(std::string_view name) {
  // |0x20 folds case; that it also mixes up some other bytes does no harm.
  uint32_t hash = static_cast<uint32_t>(name.size());
  for (const char c : name) hash = hash * 33 + (static_cast<unsigned char>(c) | 0x20u);
  return (hash ^ (hash >> 8)) % kSlotCount;
}

constexpr std::array<uint8_t, kSlotCount> FillSlots() {
  std::array<uint8_t, kSlotCount> slots{};
  slots.fill(kNoRow);
  for (size_t row = 0; row < std::size(kCommands); ++row) {
    if (IsSubcommand(kCommands[row])) continue;
    size_t slot = Hash(kCommands[row].name);
    while (slots[slot] != kNoRow) slot = (slot + 1) % kSlotCount;
    slots[slot] = static_cast<uint8_t>(row);
  }
  return slots;
}

constexpr std::array<uint8_t, kSlotCount> kSlots = FillSlots();
static_assert(kSlots[Hash("get")] != kNoRow && kCommands[kSlots[Hash("get")]].name == "get");
static_assert(kSlots[Hash("set")] != kNoRow && kCommands[kSlots[Hash("set")]].name == "set");

constexpr size_t kNameBytesMax = 16;  // of a command; longer ones need not be hashed

}  // namespace

std::span<const Command> AllCommands() { return kCommands; }

size_t IndexOf(const Command& command) { return static_cast<size_t>(&command - kCommands); }

const Command* FindCommand(std::string_view name) {
  if (name.size() > kNameBytesMax) return nullptr;
  for (size_t slot = Hash(name); kSlots[slot] != kNoRow; slot = (slot + 1) % kSlotCount) {
    const Command& command = kCommands[kSlots[slot]];
    if (EqualsIgnoringCase(name, command.name)) return &command;
  }
  return nullptr;
}

std::span<const Command> Subcommands(const Command& container) {
  const Command* const first = &container + 1;
  const Command* last = first;
  while (last != std::end(kCommands) && last->name.size() > container.name.size() &&
         last->name.starts_with(container.name) && last->name[container.name.size()] == '|') {
    ++last;
  }
  return {first, last};
}

const Command* FindSubcommand(const Command& container, std::string_view name) {
  for (const Command& command : Subcommands(container)) {
    if (EqualsIgnoringCase(name, command.name.substr(container.name.size() + 1))) return &command;
  }
  return nullptr;
}

const Command* FindByFullName(std::string_view name) {
  const size_t bar = name.find('|');
  if (bar == std::string_view::npos) return FindCommand(name);
  const Command* const container = FindCommand(name.substr(0, bar));
  return container == nullptr ? nullptr : FindSubcommand(*container, name.substr(bar + 1));
}

bool HasArity(const Command& command, size_t argument_count) {
  const auto count = static_cast<int64_t>(argument_count);
  return command.arity >= 0 ? count == command.arity : count >= -command.arity;
}

KeyRange KeysOf(const Command& command, size_t argument_count) {
  if (command.keys.first == 0) return {};
  const auto count = static_cast<int64_t>(argument_count);
  const int64_t last = command.keys.last < 0 ? count + command.keys.last : command.keys.last;
  if (last >= count || last < command.keys.first) return {};
  return {static_cast<size_t>(command.keys.first), static_cast<size_t>(last) + 1,
          static_cast<size_t>(command.keys.step)};
}

}  // namespace varve::commands
