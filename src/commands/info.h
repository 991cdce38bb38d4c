#pragma once

#include "commands/command.h"

namespace varve::commands {

// INFO [section ...]: first collects the figures without the lock, then writes them.
Run Info(Call& call);

}  // namespace varve::commands
