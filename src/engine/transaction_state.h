#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/row_memory.h"
#include "engine/scan_range.h"
#include "engine/tree.h"
#include "engine/write_set.h"

namespace varve::engine {

// A row that a command needs and memory does not have.
struct Miss {
  std::shared_ptr<Tree> tree;
  Position position;
  std::string key;
};

// What is behind a Transaction (engine.h). Of one run of a command: the writes, what it still
// needs, what stands against it. Until the command ends: what was loaded for it. Threads: under the
// command lock.
struct TransactionState {
  // Of this run.
  WriteSet writes;
  std::vector<Miss> misses;
  std::vector<ScanRange::Request> range_misses;
  std::optional<size_t> room_needed;  // bytes of the WAL record that found no room
  bool may_use_reserve = false;       // it frees space
  bool settling_needed = false;       // DBSIZE waits until no settling load is under way
  std::optional<Error> refusal;

  // Of the whole command.
  std::vector<RowMemory::Pin> pins;  // rows that were loaded for it stay in memory
  std::vector<std::shared_ptr<const ScanRange>> ranges;
  std::vector<std::pair<Miss, Error>> failures;  // loads that failed
  std::optional<Error> range_failure;
  std::optional<Position> random_position;  // RANDOMKEY looks from here on, in each run

  // Of a Wait().
  size_t outstanding = 0;
  Work resume;

  bool needs_something() const {
    return !misses.empty() || !range_misses.empty() || room_needed || settling_needed;
  }
};

}  // namespace varve::engine
