#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/support/held_engine.h"

namespace varve::engine::testing {

// Several clients on few keys, reads that end or fail in any order, flushes, compactions and
// evictions beside them, and limits so small that all of it happens all the time. One seed decides.
// Threads: one.
class RandomClients {
 public:
  explicit RandomClients(uint64_t seed);

  // Something happens to one of them, to a read, or in the background.
  void Step();

  HeldEngine& world() { return world_; }
  const HeldEngine::Limits& limits() const { return limits_; }
  // The first thing that was wrong with any of them; empty: nothing.
  const std::string& complaint() const { return complaint_; }
  uint64_t lost_count() const { return lost_count_; }        // connections, in mid-command
  uint64_t refused_count() const { return refused_count_; }  // commands, for a failed read

 private:
  struct Slot {
    ModelClient* client;
    uint64_t failed_reads;  // when its command began
  };

  static HeldEngine::Limits LimitsFor(uint64_t seed);
  std::string HotKey();
  std::string NewValue();
  Operation NewPage();
  Command NewCommand();
  Command NewTransaction();
  void StepClient(Slot& slot);
  void CheckRefusal(const Slot& slot);
  void StepRead();
  void ChangeCache();

  const HeldEngine::Limits limits_;
  HeldEngine world_;
  std::vector<Slot> clients_;
  std::string complaint_;
  bool has_cache_ = true;
  uint64_t failed_reads_ = 0;
  uint64_t refused_count_ = 0;
  uint64_t lost_count_ = 0;
};

}  // namespace varve::engine::testing
