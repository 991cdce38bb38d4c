#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "commands/command.h"

// The table of all commands: data, constant from the start. Its documentation is in docs.h.
namespace varve::commands {

// Every row, a container before its subcommands.
std::span<const Command> AllCommands();
// The row's number in AllCommands().
size_t IndexOf(const Command& command);

// By name without case; null if there is none. FindCommand knows no subcommands; FindByFullName
// takes "client|list" as well.
const Command* FindCommand(std::string_view name);
const Command* FindSubcommand(const Command& container, std::string_view name);
const Command* FindByFullName(std::string_view name);

std::span<const Command> Subcommands(const Command& container);  // empty for most

// Whether `argument_count` arguments, the name among them, are neither too few nor too many.
bool HasArity(const Command& command, size_t argument_count);

// The arguments first, first + step, ... below end are keys; none: all zero.
struct KeyRange {
  size_t first = 0;
  size_t end = 0;
  size_t step = 1;
};
// Precondition: HasArity().
KeyRange KeysOf(const Command& command, size_t argument_count);

}  // namespace varve::commands
