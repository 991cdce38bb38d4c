#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <set>
#include <string>

#include "commands/dispatch.h"
#include "commands/host.h"
#include "engine/engine.h"

namespace varve::commands {

// All that INFO tells of.
struct InfoSource {
  const ServerFigures& server;
  const engine::Stats& engine;
  const Dispatcher& dispatcher;
  uint64_t now_us;
  std::array<uint64_t, engine::kDatabaseCount> key_counts;
};

// The sections named (lower case; "default", "all" and "everything" stand for several), each once,
// in Redis's order, as "# Title" and "field:value" lines with an empty line between sections.
// Fields about what there is none of here (replicas, scripts, RDB) are there when dashboards or
// clients read them, with Redis's values for none.
std::string InfoText(const InfoSource& source, const std::set<std::string, std::less<>>& names);

}  // namespace varve::commands
