#pragma once

#include "commands/command.h"

// CONFIG and its subcommands. The server holds the parameters; it is asked without the lock.
namespace varve::commands {

Run ConfigGet(Call& call);
Run ConfigSet(Call& call);
Run ConfigResetstat(Call& call);
Run ConfigHelp(Call& call);

}  // namespace varve::commands
