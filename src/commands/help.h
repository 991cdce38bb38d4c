#pragma once

#include <span>
#include <string_view>

#include "commands/command.h"

namespace varve::commands {

// Replies with the lines of a container's HELP, between the head and the line about HELP itself
// that all of them have.
void ReplyWithHelp(Call& call, std::string_view container, std::span<const std::string_view> lines);

}  // namespace varve::commands
