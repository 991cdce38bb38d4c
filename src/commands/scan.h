#pragma once

#include "commands/command.h"

// Commands that walk a database.
namespace varve::commands {

Run Scan(Call& call);
// KEYS. Walks in pages and lets go of the lock between them, so others run meanwhile: a key that
// is there during the whole walk is returned, once; one that comes or goes meanwhile may be.
Run KeysMatching(Call& call);

}  // namespace varve::commands
