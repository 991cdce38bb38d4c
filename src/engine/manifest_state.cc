#include <algorithm>
#include <set>

#include "engine/manifest.h"

namespace varve::engine {

namespace {

// What one edit may name, and what it has named so far.
struct EditCheck {
  const ManifestState& state;
  const VersionEdit& edit;
  uint64_t number_end;  // numbers below it may be in use after the edit
  std::set<TreeId> trees;
  std::set<uint64_t> added;

  Result<void> CheckTree(const VersionEdit::Tree& tree);
  Result<void> CheckAdded(const VersionEdit::Tree& tree, const LevelTable& table);
  Result<void> CheckValues(const VersionEdit::Tree& tree);
};

bool Contains(const std::vector<uint64_t>& numbers, uint64_t number) {
  return std::find(numbers.begin(), numbers.end(), number) != numbers.end();
}

bool HasTable(const ManifestState& state, TreeId tree, uint64_t number) {
  const auto found = state.trees.find(tree);
  return found != state.trees.end() && found->second.tables.contains(number);
}

Result<void> EditCheck::CheckAdded(const VersionEdit::Tree& tree, const LevelTable& table) {
  const TableInfo& info = table.info;
  if (table.level < 0 || table.level >= kLevelCount) {
    return Fail(Errc::kCorruption, "edit adds table {} at level {}", info.number, table.level);
  }
  if (info.number == 0 || info.number >= number_end) {
    return Fail(Errc::kCorruption, "edit adds table {}, the next number is {}", info.number,
                number_end);
  }
  if (info.smallest > info.largest || !info.range.Contains(info.smallest) ||
      !info.range.Contains(info.largest)) {
    return Fail(Errc::kCorruption, "edit adds table {} with bounds {:x}..{:x} outside its range",
                info.number, info.smallest, info.largest);
  }
  const bool is_moved = Contains(tree.removed, info.number);
  if (!added.insert(info.number).second || (HasTable(state, tree.id, info.number) && !is_moved)) {
    return Fail(Errc::kCorruption, "edit adds table {}, which is there already", info.number);
  }
  return {};
}

Result<void> EditCheck::CheckTree(const VersionEdit::Tree& tree) {
  if (tree.id == 0 || tree.id >= number_end || !trees.insert(tree.id).second) {
    return Fail(Errc::kCorruption, "edit names tree {} twice, or the next number, {}, is too low",
                tree.id, number_end);
  }
  std::set<uint64_t> removed;
  for (const uint64_t number : tree.removed) {
    if (!HasTable(state, tree.id, number) || !removed.insert(number).second) {
      return Fail(Errc::kCorruption, "edit removes table {}, which tree {} does not have", number,
                  tree.id);
    }
  }
  for (const LevelTable& table : tree.added) TRY(CheckAdded(tree, table));
  return CheckValues(tree);
}

// Each value that lives has exactly one row that refers to it: so what the tables win or lose in
// references, the runs must win or lose in live records.
Result<void> EditCheck::CheckValues(const VersionEdit::Tree& tree) {
  static const ManifestState::Tree kNone;
  const auto found = state.trees.find(tree.id);
  const ManifestState::Tree& before = found == state.trees.end() ? kNone : found->second;
  TRY(before.values.Check(tree.values, number_end));
  // Modulo 2^64, as what is damaged may be anything.
  uint64_t count = 0;
  uint64_t bytes = 0;
  for (const LevelTable& table : tree.added) {
    count += table.info.value_count;
    bytes += table.info.value_bytes;
  }
  for (const uint64_t number : tree.removed) {
    count -= before.tables.at(number).info.value_count;
    bytes -= before.tables.at(number).info.value_bytes;
  }
  for (const auto& [number, run] : tree.values.runs) {
    count -= run.live_count;
    bytes -= run.live_bytes;
  }
  for (const ValueEdit::Dead& dead : tree.values.dead) {
    count += dead.ordinals.size();
    bytes += dead.bytes;
  }
  if (count == 0 && bytes == 0) return {};
  return Fail(Errc::kCorruption, "edit of tree {}: {} more references than values, {} more bytes",
              tree.id, static_cast<int64_t>(count), static_cast<int64_t>(bytes));
}

}  // namespace

Result<void> ManifestState::Check(const VersionEdit& edit) const {
  EditCheck check{*this, edit, edit.next_number.value_or(next_number), {}, {}};
  if (check.number_end < next_number) {
    return Fail(Errc::kCorruption, "edit lowers the next number from {} to {}", next_number,
                check.number_end);
  }
  if (edit.wal_oldest && *edit.wal_oldest < wal_oldest) {
    return Fail(Errc::kCorruption, "edit goes back from WAL segment {} to {}", wal_oldest,
                *edit.wal_oldest);
  }
  for (const VersionEdit::Tree& tree : edit.trees) TRY(check.CheckTree(tree));
  for (const TreeId id : edit.dropped_trees) {
    if (check.trees.contains(id)) {
      return Fail(Errc::kCorruption, "edit changes tree {} and drops it", id);
    }
  }
  std::set<TreeId> used;
  for (const TreeId id : edit.databases.value_or(databases)) {
    if (id == 0 || id >= check.number_end || !used.insert(id).second ||
        Contains(edit.dropped_trees, id)) {
      return Fail(Errc::kCorruption, "edit gives a database tree {}, which cannot be its", id);
    }
  }
  return {};
}

Result<void> ManifestState::Apply(const VersionEdit& edit) {
  TRY(Check(edit));
  for (const VersionEdit::Tree& change : edit.trees) {
    Tree& tree = trees[change.id];
    for (const uint64_t number : change.removed) tree.tables.erase(number);
    for (const LevelTable& table : change.added) tree.tables[table.info.number] = table;
    tree.live_key_count = change.live_key_count.value_or(tree.live_key_count);
    tree.values.Apply(change.values);
  }
  for (const TreeId id : edit.dropped_trees) trees.erase(id);
  databases = edit.databases.value_or(databases);
  for (const TreeId id : databases) trees.try_emplace(id);
  wal_oldest = edit.wal_oldest.value_or(wal_oldest);
  next_number = edit.next_number.value_or(next_number);
  return {};
}

}  // namespace varve::engine
