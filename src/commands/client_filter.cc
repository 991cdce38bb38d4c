#include "commands/client_filter.h"

#include <algorithm>

#include "commands/text.h"

namespace varve::commands {

bool ClientFilter::Matches(const Client& client, const Client& self, uint64_t now_us) const {
  if (!normal_type) return false;
  if (skip_self && client.id == self.id) return false;
  if (id && client.id != *id) return false;
  if (address && client.address != *address) return false;
  if (local_address && client.local_address != *local_address) return false;
  if (age_min && now_us - std::min(now_us, client.created_us) < *age_min * 1000000) return false;
  return true;
}

bool ParseClientType(std::string_view name, bool& normal) {
  normal = EqualsIgnoringCase(name, "normal");
  return normal || EqualsIgnoringCase(name, "slave") || EqualsIgnoringCase(name, "replica") ||
         EqualsIgnoringCase(name, "master") || EqualsIgnoringCase(name, "pubsub");
}

}  // namespace varve::commands
