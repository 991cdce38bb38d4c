#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "commands/client.h"

namespace varve::commands {

// Which clients CLIENT KILL and CLIENT LIST mean; what is not set does not matter.
struct ClientFilter {
  std::optional<uint64_t> id;
  std::optional<std::string_view> address;
  std::optional<std::string_view> local_address;
  bool normal_type = true;  // false: TYPE asks for replicas or the like, of which there are none
  std::optional<uint64_t> age_min;  // seconds
  bool skip_self = true;

  bool Matches(const Client& client, const Client& self, uint64_t now_us) const;
};

// Sets normal_type by a type's name; false if there is no such type.
bool ParseClientType(std::string_view name, bool& normal);

}  // namespace varve::commands
