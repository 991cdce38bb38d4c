#pragma once

#include <cstdint>
#include <string>

#include "commands/client.h"

namespace varve::commands {

// Appends the line of CLIENT LIST and CLIENT INFO about `client`, with its line end. Fields that
// stand for what there is none of here (subscriptions, MULTI) have Redis's values for none.
void AppendClientLine(const Client& client, uint64_t now_us, std::string& out);

}  // namespace varve::commands
