#pragma once

#include "commands/command.h"

// COMMAND and its subcommands: what the table and the docs say.
namespace varve::commands {

Run CommandAll(Call& call);
Run CommandCount(Call& call);
Run CommandInfo(Call& call);
Run CommandDocs(Call& call);
Run CommandList(Call& call);
Run CommandGetkeys(Call& call);
Run CommandGetkeysAndFlags(Call& call);
Run CommandHelp(Call& call);

}  // namespace varve::commands
