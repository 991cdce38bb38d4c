#pragma once

#include <cstdint>
#include <span>
#include <string_view>

// What COMMAND DOCS says about each command: data. redis-cli builds its hints from the arguments,
// so their names, types and tokens are those of Redis.
namespace varve::commands {

enum ArgumentFlag : uint8_t { kOptional = 1, kMultiple = 2 };

struct ArgumentDoc {
  std::string_view name;
  std::string_view type;  // "string", "integer", "key", "pattern", "pure-token", "oneof", "block"
  std::string_view token = {};  // the word that announces it, or that it is
  std::string_view since = {};  // if later than the command
  uint8_t flags = 0;
  std::span<const ArgumentDoc> parts = {};  // of oneof and block
};

struct CommandDoc {
  std::string_view name;   // as in the table
  std::string_view since;  // the version of Redis that brought it
  std::string_view group;
  std::string_view complexity;
  std::string_view summary;
  std::span<const ArgumentDoc> arguments = {};
};

std::span<const CommandDoc> AllDocs();
// Precondition: `name` is the name of a row of the table.
const CommandDoc& DocOf(std::string_view name);

}  // namespace varve::commands
