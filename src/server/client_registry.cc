#include "server/client_registry.h"

#include "engine/invariant.h"
#include "server/event_loop.h"

namespace varve::server {

bool ClientRegistry::TryReserve(uint64_t clients_max) {
  if (reserved_.fetch_add(1, std::memory_order_relaxed) < clients_max) return true;
  Unreserve();
  return false;
}

void ClientRegistry::Unreserve() { reserved_.fetch_sub(1, std::memory_order_relaxed); }

void ClientRegistry::Add(commands::Client& client, EventLoop& loop) {
  const std::lock_guard lock(mutex_);
  const bool added = clients_.try_emplace(client.id, Entry{&client, &loop}).second;
  INVARIANT(added);
}

void ClientRegistry::Remove(uint64_t id) {
  const std::lock_guard lock(mutex_);
  clients_.erase(id);
}

void ClientRegistry::ForEach(const std::function<void(const commands::Client&)>& visit) {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, entry] : clients_) visit(*entry.client);
}

bool ClientRegistry::Kill(uint64_t id) {
  const std::lock_guard lock(mutex_);
  const auto found = clients_.find(id);
  if (found == clients_.end()) return false;
  found->second.client->close_after_reply = true;
  found->second.loop->Kill(id);
  return true;
}

}  // namespace varve::server
