#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "engine/env.h"
#include "engine/manifest.h"
#include "engine/row_memory.h"
#include "engine/version.h"
#include "engine/wal.h"

namespace varve::engine {

// The rows that one tree got while one WAL segment was active, and what they mean for its keys.
// Threads: under the command lock, until it is sealed; then its rows are constant and anyone who
// holds it may read them, and the counts below stay under the lock.
struct TreeMemtable {
  explicit TreeMemtable(uint64_t generation) : rows(generation) {}

  Memtable rows;
  // By how much its writes changed the number of live keys. A blind write (one that did not know
  // whether its key existed) counts as a new key, until its settling load takes that back.
  int64_t key_count_delta = 0;
  size_t settling = 0;  // loads that may still change it; a flush waits for them
  // Rows of older memtables or tables that its own rows hide, at most: what a flush makes garbage.
  uint64_t hidden_rows = 0;
};

// One log-structured merge tree: what a database holds until it is flushed (FLUSHDB), which gives
// the database a new tree. Reads go rows in memory -> version.
// Threads: under the command lock, except where said otherwise.
struct Tree {
  // What it has in memory is given back on `background`, since that takes a while.
  Tree(TreeId tree_id, Executor* background)
      : id(tree_id), rows(NewRows(background)), version(std::make_shared<const Version>()) {}

  const TreeId id;
  const std::shared_ptr<TreeRows> rows;    // in memory
  std::shared_ptr<TreeMemtable> active;    // that writes go to; null before the first one
  std::shared_ptr<const Version> version;  // never null
  int64_t key_count = 0;                   // live keys, blind writes counted as new
  uint64_t flushed_generation = 0;         // this and all older ones are in `version`
  std::optional<Error> count_error;        // a settling load failed: no exact count
  // Its writes want to know which keys tables have; then tables get key sets, where there is room.
  std::atomic<bool> wants_key_sets{false};
  bool dropped = false;         // a FLUSHDB took its place
  bool drop_persisted = false;  // background strand only: the manifest says so

 private:
  static std::shared_ptr<TreeRows> NewRows(Executor* background) {
    return {new TreeRows, [background](TreeRows* rows) {
              background->Post([last = std::shared_ptr<TreeRows>(rows)] {});
            }};
  }
};

// FLUSHDB: `tree` takes the place of `dropped` in database `db`.
struct TreeDrop {
  uint64_t generation;  // whose WAL segment has the record
  Lsn lsn;              // behind that record
  int db;
  std::shared_ptr<Tree> dropped;
  TreeId tree;
};

// All memtables that were filled while one WAL segment was active, sealed and flushed together, so
// that the segment is needed until they are in tables, and not longer.
struct Generation {
  uint64_t number = 0;  // of its WAL segment
  std::vector<std::pair<std::shared_ptr<Tree>, std::shared_ptr<TreeMemtable>>> members;
};

}  // namespace varve::engine
