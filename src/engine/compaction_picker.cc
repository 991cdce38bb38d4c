#include "engine/compaction_picker.h"

#include <algorithm>

#include "engine/table_index.h"

namespace varve::engine {
namespace {

size_t DeepestLevel0Range(const Version& version) {
  size_t deepest = 0;
  for (size_t range = 1; range < size_t{1} << kFanoutBits; ++range) {
    if (version.Level0Depth(range) > version.Level0Depth(deepest)) deepest = range;
  }
  return deepest;
}

Compaction StepFor(const Version& version, int level, const DyadicRange& range) {
  return {level, range, version.Overlapping(level, range), version.Overlapping(level + 1, range)};
}

// L0 tables may cover more than one range of L1: the step grows to the widest of them, so that it
// holds every L0 row of its range.
Compaction PickLevel0(const Version& version) {
  auto range =
      DyadicRange::Of(Position{DeepestLevel0Range(version)} << (64 - kFanoutBits), kFanoutBits);
  for (const auto& table : version.level(0)) {
    if (table->info().range.Contains(range)) range = table->info().range;
  }
  return StepFor(version, 0, range);
}

uint64_t TotalBytes(const Version::Tables& tables) {
  uint64_t bytes = 0;
  for (const auto& table : tables) bytes += table->info().row_bytes;
  return bytes;
}

Compaction PickLower(const Version& version, int level) {
  const Table* best = nullptr;
  double best_gain = -1;
  for (const auto& table : version.level(level)) {
    const uint64_t below = TotalBytes(version.Overlapping(level + 1, table->info().range));
    const double gain = static_cast<double>(table->info().row_bytes) /
                        static_cast<double>(table->info().row_bytes + below);
    // Among equals the larger table: it brings the level under its limit sooner.
    if (gain > best_gain ||
        (gain == best_gain && table->info().row_bytes > best->info().row_bytes)) {
      best = table.get();
      best_gain = gain;
    }
  }
  return StepFor(version, level, best->info().range);
}

}  // namespace

double CompactionScore(const Version& version, int level, const CompactionLimits& limits) {
  if (level == 0) {
    return static_cast<double>(version.Level0Depth(DeepestLevel0Range(version))) /
           static_cast<double>(limits.level0_depth);
  }
  if (level == kLevelCount - 1) return 0;
  return static_cast<double>(version.level_row_bytes(level)) /
         static_cast<double>(limits.LevelBytesMax(level));
}

std::optional<Compaction> PickCompaction(const Version& version, const CompactionLimits& limits) {
  int level = -1;
  double score = 1.0;
  for (int candidate = 0; candidate < kLevelCount - 1; ++candidate) {
    const double candidate_score = CompactionScore(version, candidate, limits);
    if (candidate_score >= score && (level < 0 || candidate_score > score)) {
      level = candidate;
      score = candidate_score;
    }
  }
  if (level < 0) return std::nullopt;
  return level == 0 ? PickLevel0(version) : PickLower(version, level);
}

uint64_t CompactionDebt(const Version& version, const CompactionLimits& limits) {
  uint64_t debt = CompactionScore(version, 0, limits) >= 1.0 ? version.level_row_bytes(0) : 0;
  for (int level = 1; level < kLevelCount - 1; ++level) {
    const uint64_t bytes = version.level_row_bytes(level);
    debt += bytes - std::min(bytes, limits.LevelBytesMax(level));
  }
  return debt;
}

Result<bool> CanDropTombstone(const Version& version, int output_level, Position position) {
  for (int level = output_level + 1; level < kLevelCount; ++level) {
    const std::shared_ptr<Table>* table = version.FindCovering(level, position);
    if (table == nullptr) continue;
    TRY_ASSIGN(const std::shared_ptr<const TableIndex> index, (*table)->LoadIndex());
    if (index->MayContain(position)) return false;
  }
  return true;
}

}  // namespace varve::engine
