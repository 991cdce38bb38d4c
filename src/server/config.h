#pragma once

#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/error.h"
#include "server/config_source.h"
#include "server/machine.h"
#include "server/settings.h"

namespace varve::server {

// Why CONFIG SET changed nothing; an empty reason: there is no such parameter.
struct SetRefusal {
  std::string name;
  std::string reason;
};

// The options in force. Loaded at start, changed by CONFIG SET.
// Threads: any, after Load(); a mutex of its own.
class Config {
 public:
  explicit Config(Machine machine);

  // Applies directives in their order, over the defaults. Errors: kInvalidArgument, a message of
  // several lines for standard error.
  engine::Result<void> Load(std::span<const Directive> directives);

  Settings settings() const;  // resolved: no 0 stands for "find out"

  // All parameters as CONFIG GET shows them.
  std::vector<std::pair<std::string, std::string>> Parameters() const;

  // Sets all of them, or none.
  std::optional<SetRefusal> Set(std::span<const std::pair<std::string, std::string>> parameters);

 private:
  const Machine machine_;
  mutable std::mutex mutex_;
  Settings settings_;  // guarded by mutex_
};

}  // namespace varve::server
