#pragma once

#include "commands/command.h"

// Commands about the server as a whole; INFO is in info.h.
namespace varve::commands {

Run Time(Call& call);
Run Shutdown(Call& call);
Run Debug(Call& call);  // SLEEP, which only the client itself waits for, and HELP

}  // namespace varve::commands
