#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/env.h"
#include "engine/error.h"
#include "engine/options.h"
#include "engine/position.h"
#include "engine/table.h"
#include "engine/tree_id.h"
#include "engine/value_runs.h"

namespace varve::engine {

inline constexpr int kLevelCount = 7;  // L0..L6

struct LevelTable {
  int level = 0;
  TableInfo info;
  bool operator==(const LevelTable&) const = default;
};

// In place of a count of live keys: a damaged table kept it from being settled.
inline constexpr uint64_t kKeyCountUnknown = ~uint64_t{0};

// One change of what is on disk, applied whole or not at all.
struct VersionEdit {
  struct Tree {
    TreeId id = 0;
    std::vector<LevelTable> added = {};
    std::vector<uint64_t> removed = {};           // table numbers
    std::optional<uint64_t> live_key_count = {};  // as of the last flush of this tree
    ValueEdit values = {};
    bool operator==(const Tree&) const = default;
  };
  std::vector<Tree> trees;            // a tree that is not known yet comes into being
  std::vector<TreeId> dropped_trees;  // with all their tables
  std::optional<std::array<TreeId, kDatabaseCount>> databases;  // which tree each database has
  std::optional<uint64_t> wal_oldest;                           // segments below it are not needed
  std::optional<uint64_t> next_number;  // above every table number and tree id in use
  bool operator==(const VersionEdit&) const = default;
};

// The sum of all edits: what a restart begins with.
struct ManifestState {
  struct Tree {
    std::map<uint64_t, LevelTable> tables;  // by number
    uint64_t live_key_count = 0;
    ValueRuns values;
    bool operator==(const Tree&) const = default;
  };
  std::array<char, PositionSecret::kBytes> position_secret{};
  std::map<TreeId, Tree> trees;
  std::array<TreeId, kDatabaseCount> databases{};  // ids 1..16 in a new database
  uint64_t wal_oldest = 1;
  uint64_t next_number = kDatabaseCount + 1;
  bool operator==(const ManifestState&) const = default;

  // kCorruption if the edit does not fit the state: removes a table that is not there, adds one
  // that is, uses a number that next_number does not cover, ... or makes rows that refer to
  // separated values and such values that live differ in number or bytes. A tree that is dropped
  // may be unknown.
  Result<void> Check(const VersionEdit& edit) const;
  // Checks the edit, then makes it. Trees that databases have come into being if need be.
  Result<void> Apply(const VersionEdit& edit);
};

// The log of version edits: files manifest-<number>; CURRENT holds the name of the one that counts.
// Format:  manifest_format.h, docs/formats.md: a header (magic, version, name of the position
//          function, secret), a snapshot of the state, then edits; each record checksummed.
// Threads: one at a time (the background strand). Blocks.
// Errors:  an edit that does not fit, or finds no room on the disk, changes nothing and may be
// tried
//          again. The first failed write or sync is final, each later call returns it; that edit
//          may be there or not after a restart, so files that it adds must stay, and so must those
//          that it removes.
class Manifest {
 public:
  // Opens the manifest that CURRENT names, or makes a new database's if there is none, nor any WAL
  // or table. An unknown version, position function or damage is refused with file and offset; only
  // a torn last record is cut off. The manifest is rewritten at once, so that state() is durable.
  // Removes manifest files that CURRENT does not name, and leftovers. Blocks.
  static Result<std::unique_ptr<Manifest>> Open(const Env& env, const std::string& directory);
  ~Manifest();

  const ManifestState& state() const;
  // Makes the edit durable (written, synced), then applies it to state(). Every file that it names
  // must be synced, and its directory too. Starts a new manifest file when this one has grown past
  // several times the size of a snapshot (and 1 MiB).
  Result<void> Append(const VersionEdit& edit);
  // After a failed Append(): whether the edit has left no trace (there was no room for it, which is
  // allocated before anything is written), so that it may be tried again. Else the failure is
  // final.
  bool takes_edits() const;

 private:
  struct Data;
  explicit Manifest(std::unique_ptr<Data> data);
  std::unique_ptr<Data> data_;
};

}  // namespace varve::engine
