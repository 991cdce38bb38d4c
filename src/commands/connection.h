#pragma once

#include <string_view>

#include "commands/command.h"

// Commands about the connection itself; CLIENT's are in client_commands.h.
namespace varve::commands {

Run Ping(Call& call);
Run Echo(Call& call);
Run Quit(Call& call);
Run Reset(Call& call);
Run Select(Call& call);
Run Hello(Call& call);

// Sets the client's name (empty: none). False and an error reply if it has bytes beyond '!'..'~'.
bool SetClientName(Call& call, std::string_view name);
// Whether each byte is within '!'..'~', as names and library names have to be.
bool IsPlainWord(std::string_view text);

}  // namespace varve::commands
