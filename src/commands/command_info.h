#pragma once

#include <string_view>
#include <vector>

#include "commands/command.h"

// What COMMAND INFO shows of a row, in Redis's words and order.
namespace varve::commands {

// "admin", "readonly", ... and "@read", "@fast", ...
std::vector<std::string_view> FlagNames(const Command& command);
std::vector<std::string_view> CategoryNames(const Command& command);
// "RO", "access", ...: what is done to the keys of one call. `gets`: SET with its GET option.
std::vector<std::string_view> KeyUseNames(KeyUse use, bool gets);

// The ten elements of one command, its subcommands in the last.
void ReplyWithInfo(const Command& command, resp::ReplyBuffer& reply);

}  // namespace varve::commands
