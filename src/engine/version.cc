#include "engine/version.h"

#include <algorithm>

#include "engine/invariant.h"

namespace varve::engine {

Version::Version(std::array<Tables, kLevelCount> levels, std::shared_ptr<const ValueSet> values)
    : levels_(std::move(levels)), values_(std::move(values)) {
  std::sort(levels_[0].begin(), levels_[0].end(),
            [](const auto& a, const auto& b) { return a->info().number > b->info().number; });
  for (uint32_t i = 0; i < levels_[0].size(); ++i) {
    for (size_t range = 0; range < level0_covering_.size(); ++range) {
      if (levels_[0][i]->info().range.Overlaps(Level0Range(range))) {
        level0_covering_[range].push_back(i);
      }
    }
  }
  for (int level = 1; level < kLevelCount; ++level) {
    Tables& tables = levels_[level];
    std::sort(tables.begin(), tables.end(), [](const auto& a, const auto& b) {
      return a->info().range.begin < b->info().range.begin;
    });
    for (size_t i = 1; i < tables.size(); ++i) {
      INVARIANT(!tables[i - 1]->info().range.Overlaps(tables[i]->info().range));
    }
  }
  for (int level = 0; level < kLevelCount; ++level) {
    table_count_ += levels_[level].size();
    for (const auto& table : levels_[level]) shape_.levels[level].push_back(&table->info());
  }
}

uint64_t Version::level_bytes(int index) const {
  uint64_t bytes = 0;
  for (const auto& table : levels_[index]) bytes += table->info().file_bytes;
  return bytes;
}

const std::shared_ptr<Table>* Version::FindCovering(int level, Position position) const {
  const Tables& tables = levels_[level];
  auto after = std::upper_bound(
      tables.begin(), tables.end(), position,
      [](Position wanted, const auto& table) { return wanted < table->info().range.begin; });
  if (after == tables.begin()) return nullptr;
  const auto& table = *std::prev(after);
  return table->info().range.Contains(position) ? &table : nullptr;
}

Version::Tables Version::Overlapping(int level, const DyadicRange& range) const {
  Tables found;
  for (const auto& table : levels_[level]) {
    if (table->info().range.Overlaps(range)) found.push_back(table);
  }
  return found;
}

std::shared_ptr<const Version> Version::Edited(
    const std::vector<uint64_t>& removed,
    const std::vector<std::pair<int, std::shared_ptr<Table>>>& added,
    std::shared_ptr<const ValueSet> values) const {
  std::array<Tables, kLevelCount> levels = levels_;
  for (Tables& tables : levels) {
    std::erase_if(tables, [&](const auto& table) {
      return std::find(removed.begin(), removed.end(), table->info().number) != removed.end();
    });
  }
  for (const auto& [level, table] : added) levels[level].push_back(table);
  return std::make_shared<const Version>(std::move(levels),
                                         values == nullptr ? values_ : std::move(values));
}

}  // namespace varve::engine
