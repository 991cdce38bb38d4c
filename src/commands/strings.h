#pragma once

#include "commands/command.h"

// Commands on strings.
namespace varve::commands {

Run Get(Call& call);
Run Set(Call& call);  // NX, XX, GET; KEEPTTL, as nothing expires; expiry options are refused
Run Mget(Call& call);
Run Mset(Call& call);

}  // namespace varve::commands
