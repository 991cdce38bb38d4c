#include "commands/introspection.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "commands/command_info.h"
#include "commands/docs.h"
#include "commands/glob.h"
#include "commands/help.h"
#include "commands/table.h"
#include "commands/text.h"

namespace varve::commands {
namespace {

constexpr std::string_view kHelp[] = {
    "(no subcommand)",
    "    Return details about all commands.",
    "COUNT",
    "    Return the number of commands.",
    "LIST [FILTERBY (MODULE <name> | ACLCAT <category> | PATTERN <pattern>)]",
    "    Return the names of all commands, or of those that match.",
    "INFO [<command-name> ...]",
    "    Return details about the commands named, or all.",
    "DOCS [<command-name> ...]",
    "    Return the documentation of the commands named, or of all.",
    "GETKEYS <full-command>",
    "    Return the keys of a command.",
    "GETKEYSANDFLAGS <full-command>",
    "    Return the keys of a command, and how it uses them.",
};

bool IsTopLevel(const Command& command) { return command.name.find('|') == std::string_view::npos; }

std::vector<const Command*> TopLevelCommands() {
  std::vector<const Command*> commands;
  for (const Command& command : AllCommands()) {
    if (IsTopLevel(command)) commands.push_back(&command);
  }
  return commands;
}

void ReplyWithArguments(std::span<const ArgumentDoc> arguments, resp::ReplyBuffer& reply);

void ReplyWithArgument(const ArgumentDoc& argument, resp::ReplyBuffer& reply) {
  const bool is_key = argument.type == "key";
  reply.Map(2u + is_key + !argument.token.empty() + !argument.since.empty() +
            (argument.flags != 0) + !argument.parts.empty());
  reply.Bulk("name");
  reply.Bulk(argument.name);
  reply.Bulk("type");
  reply.Bulk(argument.type);
  if (is_key) {
    reply.Bulk("key_spec_index");
    reply.Integer(0);
  }
  if (!argument.token.empty()) {
    reply.Bulk("token");
    reply.Bulk(argument.token);
  }
  if (!argument.since.empty()) {
    reply.Bulk("since");
    reply.Bulk(argument.since);
  }
  if (argument.flags != 0) {
    const bool optional = (argument.flags & kOptional) != 0;
    const bool multiple = (argument.flags & kMultiple) != 0;
    reply.Bulk("flags");
    reply.Set(size_t{optional} + size_t{multiple});
    if (optional) reply.SimpleString("optional");
    if (multiple) reply.SimpleString("multiple");
  }
  if (!argument.parts.empty()) ReplyWithArguments(argument.parts, reply);
}

void ReplyWithArguments(std::span<const ArgumentDoc> arguments, resp::ReplyBuffer& reply) {
  reply.Bulk("arguments");
  reply.Array(arguments.size());
  for (const ArgumentDoc& argument : arguments) ReplyWithArgument(argument, reply);
}

void ReplyWithDoc(const Command& command, resp::ReplyBuffer& reply) {
  const CommandDoc& doc = DocOf(command.name);
  const std::span<const Command> subcommands = Subcommands(command);
  reply.Bulk(command.name);
  reply.Map(4u + !doc.arguments.empty() + !subcommands.empty());
  reply.Bulk("summary");
  reply.Bulk(doc.summary);
  reply.Bulk("since");
  reply.Bulk(doc.since);
  reply.Bulk("group");
  reply.Bulk(doc.group);
  reply.Bulk("complexity");
  reply.Bulk(doc.complexity);
  if (!doc.arguments.empty()) ReplyWithArguments(doc.arguments, reply);
  if (!subcommands.empty()) {
    reply.Bulk("subcommands");
    reply.Map(subcommands.size());
    for (const Command& subcommand : subcommands) ReplyWithDoc(subcommand, reply);
  }
}

// The command that COMMAND GETKEYS asks about, or null after an error reply.
const Command* FindAskedCommand(Call& call) {
  const Command* command = FindCommand(call[2]);
  if (command != nullptr && call.size() > 3 && !Subcommands(*command).empty()) {
    command = FindSubcommand(*command, call[3]);
  }
  if (command == nullptr) {
    call.reply.Error("ERR Invalid command specified");
  } else if (command->keys.first == 0) {
    call.reply.Error("ERR The command has no key arguments");
  } else if (!HasArity(*command, call.size() - 2)) {
    call.reply.Error("ERR Invalid number of arguments specified for command");
  } else {
    return command;
  }
  return nullptr;
}

// The arguments' indexes in `call`. Half a last pair is taken for a whole one, as Redis does.
std::vector<size_t> AskedKeys(const Call& call, const Command& command) {
  const KeyRange range = KeysOf(command, call.size() - 2);
  std::vector<size_t> keys;
  for (size_t index = range.first; index < range.end; index += range.step) {
    keys.push_back(index + 2);
  }
  return keys;
}

bool HasGetOption(const Call& call) {
  for (size_t index = 5; index < call.size(); ++index) {
    if (EqualsIgnoringCase(call[index], "get")) return true;
  }
  return false;
}

}  // namespace

Run CommandAll(Call& call) {
  const std::vector<const Command*> commands = TopLevelCommands();
  call.reply.Array(commands.size());
  for (const Command* command : commands) ReplyWithInfo(*command, call.reply);
  return Run::kDone;
}

Run CommandCount(Call& call) {
  call.reply.Integer(static_cast<int64_t>(TopLevelCommands().size()));
  return Run::kDone;
}

Run CommandInfo(Call& call) {
  if (call.size() == 2) return CommandAll(call);
  call.reply.Array(call.size() - 2);
  for (size_t index = 2; index < call.size(); ++index) {
    if (const Command* command = FindByFullName(call[index]); command != nullptr) {
      ReplyWithInfo(*command, call.reply);
    } else {
      call.reply.Null();
    }
  }
  return Run::kDone;
}

Run CommandDocs(Call& call) {
  std::vector<const Command*> commands;
  if (call.size() == 2) commands = TopLevelCommands();
  for (size_t index = 2; index < call.size(); ++index) {
    const Command* const command = FindByFullName(call[index]);
    if (command != nullptr) commands.push_back(command);
  }
  call.reply.Map(commands.size());
  for (const Command* command : commands) ReplyWithDoc(*command, call.reply);
  return Run::kDone;
}

Run CommandList(Call& call) {
  const bool filtered = call.size() == 5 && EqualsIgnoringCase(call[2], "filterby");
  const std::string_view kind = filtered ? call[3] : std::string_view();
  const bool by_module = EqualsIgnoringCase(kind, "module");
  const bool by_category = EqualsIgnoringCase(kind, "aclcat");
  const bool by_pattern = EqualsIgnoringCase(kind, "pattern");
  if (call.size() != 2 && !by_module && !by_category && !by_pattern) {
    call.reply.Error(kSyntaxError);
    return Run::kDone;
  }
  std::vector<std::string_view> names;
  for (const Command& command : AllCommands()) {
    bool listed = !by_module;  // there are no modules
    if (by_pattern) listed = GlobMatch(call[4], command.name, /*ignore_case=*/true);
    if (by_category) {
      const std::vector<std::string_view> categories = CategoryNames(command);
      const std::string category = "@" + ToLower(call[4]);
      listed = std::find(categories.begin(), categories.end(), category) != categories.end();
    }
    if (listed) names.push_back(command.name);
  }
  call.reply.Array(names.size());
  for (const std::string_view name : names) call.reply.Bulk(name);
  return Run::kDone;
}

Run CommandGetkeys(Call& call) {
  const Command* const command = FindAskedCommand(call);
  if (command == nullptr) return Run::kDone;
  const std::vector<size_t> keys = AskedKeys(call, *command);
  call.reply.Array(keys.size());
  for (const size_t key : keys) call.reply.Bulk(call[key]);
  return Run::kDone;
}

Run CommandGetkeysAndFlags(Call& call) {
  const Command* const command = FindAskedCommand(call);
  if (command == nullptr) return Run::kDone;
  const std::vector<std::string_view> uses = KeyUseNames(command->keys.use, HasGetOption(call));
  const std::vector<size_t> keys = AskedKeys(call, *command);
  call.reply.Array(keys.size());
  for (const size_t key : keys) {
    call.reply.Array(2);
    call.reply.Bulk(call[key]);
    call.reply.Set(uses.size());
    for (const std::string_view use : uses) call.reply.SimpleString(use);
  }
  return Run::kDone;
}

Run CommandHelp(Call& call) {
  ReplyWithHelp(call, "COMMAND", kHelp);
  return Run::kDone;
}

}  // namespace varve::commands
