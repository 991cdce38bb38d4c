#pragma once

#include "commands/command.h"

// CLIENT and its subcommands.
namespace varve::commands {

Run ClientId(Call& call);
Run ClientGetname(Call& call);
Run ClientSetname(Call& call);
Run ClientSetinfo(Call& call);
Run ClientInfo(Call& call);
Run ClientList(Call& call);
Run ClientKill(Call& call);
Run ClientNoEvict(Call& call);
Run ClientReply(Call& call);
Run ClientHelp(Call& call);

}  // namespace varve::commands
