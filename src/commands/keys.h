#pragma once

#include "commands/command.h"

// Commands on keys of any type, and on whole databases.
namespace varve::commands {

Run Del(Call& call);  // UNLINK as well: freeing a value never takes long here
Run Exists(Call& call);
Run Type(Call& call);
Run Dbsize(Call& call);
Run Randomkey(Call& call);
Run Flushdb(Call& call);  // ASYNC and SYNC make no difference: both are at once
Run Flushall(Call& call);
Run Compact(Call& call);  // Varve's own: space that hidden rows take comes back at once

}  // namespace varve::commands
