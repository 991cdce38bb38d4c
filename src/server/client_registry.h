#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>

#include "commands/client.h"

namespace varve::server {

class EventLoop;

// All open connections, for CLIENT LIST and KILL, whatever loop they live on.
// Threads: any; a mutex of its own, which is taken after the command lock if both are held.
class ClientRegistry {
 public:
  // A place for one more connection; false if there are `clients_max`. To be given back by
  // Unreserve() when the connection has ended.
  bool TryReserve(uint64_t clients_max);
  void Unreserve();
  uint64_t reserved() const { return reserved_.load(std::memory_order_relaxed); }

  uint64_t NextId() { return next_id_.fetch_add(1, std::memory_order_relaxed); }

  // `client` and `loop` stay where they are until Remove().
  void Add(commands::Client& client, EventLoop& loop);
  void Remove(uint64_t id);

  // Under the command lock, since that guards what clients hold. Oldest first.
  void ForEach(const std::function<void(const commands::Client&)>& visit);
  // Under the command lock. Marks the client as ending and tells its loop. False: no such id.
  bool Kill(uint64_t id);

 private:
  struct Entry {
    commands::Client* client;
    EventLoop* loop;
  };

  std::atomic<uint64_t> reserved_{0};
  std::atomic<uint64_t> next_id_{1};
  std::mutex mutex_;
  std::map<uint64_t, Entry> clients_;  // guarded by mutex_
};

}  // namespace varve::server
