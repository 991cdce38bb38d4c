#include "engine/compaction_picker.h"

#include <algorithm>
#include <cmath>

#include "engine/table_index.h"

namespace varve::engine {
namespace {

// A level that exceeds its target by a quarter is as urgent as an L0 of twice its depth: what lies
// in the levels above the last one takes space.
constexpr double kPressureOfExcess = 4;
constexpr double kSmoothPressureOfExcess = 2;
// Of a level above the base: to be emptied, when there is nothing more urgent.
constexpr double kPressureOfDrain = 1;

// Garbage that compaction sets in at, over live rows: while there are writes, and without.
constexpr double kGarbageMax = 0.25;
constexpr double kIdleGarbageMax = 0.08;
// Where values are separated a merge rewrites little to find much that is dead, so it sets in
// earlier: what it rewrites and what it leaves lying are balanced where garbage is about the root
// of the share that rows have in all bytes.
constexpr double kGarbageMaxByRoot = 0.5;
constexpr double kGarbageMaxLeast = 0.03;
// Less than this part of a write buffer is never worth a step.
constexpr uint64_t kGarbageBytesPart = 16;

// A range is not cut beyond this: what is left is one huge row, or a freak.
constexpr int kRangeBitsMax = 48;

// The table's data blocks that begin before `position`, in bytes.
uint64_t BytesBefore(const TableIndex& index, Position position) {
  if (position <= index.smallest()) return 0;
  if (position > index.largest()) return index.offset(index.block_count());
  const size_t block = index.BlockOf(position);
  return index.offset(index.first_position(block) == position ? block : block + 1);
}

// Each block counts where it begins, so halves of a range add up to it.
uint64_t BytesWithin(const TableIndex& index, const DyadicRange& range) {
  const uint64_t end = range.last() == ~Position{0} ? index.offset(index.block_count())
                                                    : BytesBefore(index, range.last() + 1);
  return end - BytesBefore(index, range.begin);
}

using Indexes = std::vector<std::shared_ptr<const TableIndex>>;

void Cut(const DyadicRange& range, const Indexes& inputs, uint64_t bytes_max,
         std::vector<DyadicRange>& ranges) {
  uint64_t bytes = 0;
  for (const auto& index : inputs) bytes += BytesWithin(*index, range);
  if (bytes <= bytes_max || range.bits >= kRangeBitsMax) {
    ranges.push_back(range);
    return;
  }
  const int bits = range.bits + 1;
  Cut(DyadicRange::Of(range.begin, bits), inputs, bytes_max, ranges);
  Cut(DyadicRange::Of(range.last(), bits), inputs, bytes_max, ranges);
}

}  // namespace

CompactionPlan::CompactionPlan(const LevelShape& shape, const CompactionLimits& limits,
                               std::optional<uint64_t> live_rows)
    : shape_(shape), limits_(limits) {
  uint64_t rows = 0;
  uint64_t tombstones = 0;
  uint64_t value_bytes = 0;
  for (int level = 0; level < kLevelCount; ++level) {
    bytes_[level] = shape.row_bytes(level);
    for (const TableInfo* table : shape.levels[level]) {
      value_bytes += table->value_bytes;
      rows += table->row_count;
      tombstones += table->tombstone_count;
    }
  }
  MeasureLevel0();
  // While a tree grows, what will be the last level's is still above it.
  uint64_t target = *std::max_element(bytes_.begin() + 1, bytes_.end());
  for (int level = kLastLevel; level > 0; --level, target >>= kFanoutBits) targets_[level] = target;
  base_level_ = FindBaseLevel();

  const uint64_t puts = rows - tombstones;
  uint64_t row_bytes = 0;
  for (const uint64_t bytes : bytes_) row_bytes += bytes;
  const auto all_bytes = static_cast<double>(row_bytes + value_bytes);
  row_bytes_ = puts == 0 ? 0 : all_bytes / static_cast<double>(puts);
  garbage_max_ = std::clamp(
      kGarbageMaxByRoot * std::sqrt(static_cast<double>(row_bytes) / std::max(all_bytes, 1.0)),
      kGarbageMaxLeast, kGarbageMax);
  if (!live_rows || puts <= *live_rows) return;
  const auto garbage_rows = static_cast<double>(puts - *live_rows);
  garbage_share_ = garbage_rows / static_cast<double>(std::max<uint64_t>(*live_rows, 1));
  garbage_bytes_ = static_cast<uint64_t>(garbage_rows * row_bytes_);
}

// A range is urgent when as many bytes have come as a full step takes, or tables so small that they
// are not worth a step yet have become too many.
void CompactionPlan::MeasureLevel0() {
  const double full = static_cast<double>(limits_.write_buffer_bytes * limits_.level0_flushes) /
                      static_cast<double>(kLevel0Ranges);
  for (size_t range = 0; range < kLevel0Ranges; ++range) {
    double bytes = 0;
    double depth = 0;
    for (const TableInfo* table : shape_.levels[0]) {
      if (!table->range.Overlaps(Level0Range(range))) continue;
      const int ranges_bits = std::max(0, kFanoutBits - table->range.bits);
      bytes += static_cast<double>(table->row_bytes >> ranges_bits);
      depth += 1;
    }
    urgency_[range] = std::max(bytes / full, depth / static_cast<double>(limits_.level0_depth_max));
  }
}

// The uppermost level that may hold what L0 brings at once, so that the step to it rewrites not
// much more than it brings. One that has rows stays the base for a while when the tree shrinks.
int CompactionPlan::FindBaseLevel() const {
  const uint64_t wanted = limits_.write_buffer_bytes * limits_.level0_flushes;
  int base = kLastLevel;
  for (int level = kLastLevel - 1; level > 0; --level) {
    const uint64_t enough = shape_.levels[level].empty() ? wanted : wanted / 2;
    if (targets_[level] < enough) break;
    base = level;
  }
  return base;
}

int CompactionPlan::level0_output() const {
  for (int level = 1; level < base_level_; ++level) {
    if (!shape_.levels[level].empty()) return level;
  }
  return base_level_;
}

bool CompactionPlan::IsDrained(int level) const {
  return level > 0 && level < base_level_ && !shape_.levels[level].empty();
}

double CompactionPlan::Pressure(int level) const {
  if (level == 0) return *std::max_element(urgency_.begin(), urgency_.end());
  if (level == kLastLevel) return 0;
  if (level < base_level_) return IsDrained(level) ? kPressureOfDrain : 0;
  const double ratio = static_cast<double>(bytes_[level]) /
                       static_cast<double>(std::max<uint64_t>(targets_[level], 1));
  return ratio <= 1 ? ratio * 0.999 : 1 + (ratio - 1) * kPressureOfExcess;
}

double CompactionPlan::pressure() const {
  double highest = 0;
  for (int level = 0; level < kLastLevel; ++level) highest = std::max(highest, Pressure(level));
  return highest;
}

// While compaction keeps pace, L0's ranges stand evenly between just emptied and due, so that their
// mean is a bit more than a half when the first of them is due.
double CompactionPlan::SmoothPressure() const {
  constexpr double kMeanWhenDue = (1 + 1.0 / static_cast<double>(kLevel0Ranges)) / 2;
  double sum = 0;
  for (const double urgency : urgency_) sum += urgency;
  double smooth = sum / static_cast<double>(kLevel0Ranges) / kMeanWhenDue;
  for (int level = base_level_; level < kLastLevel; ++level) {
    const auto target = static_cast<double>(std::max<uint64_t>(targets_[level], 1));
    const double excess = static_cast<double>(bytes_[level]) / target - 1;
    smooth = std::max(smooth, 1 + excess * kSmoothPressureOfExcess);
  }
  return smooth;
}

uint64_t CompactionPlan::debt_bytes() const {
  uint64_t debt = Pressure(0) >= 1 ? bytes_[0] : 0;
  for (int level = 1; level < kLastLevel; ++level) {
    const uint64_t target = level < base_level_ ? 0 : targets_[level];
    debt += bytes_[level] - std::min(bytes_[level], target);
  }
  return debt;
}

bool CompactionPlan::HasGarbage(CompactionGoal goal) const {
  if (garbage_bytes_ < limits_.write_buffer_bytes / kGarbageBytesPart) return false;
  if (goal == CompactionGoal::kKeepPace) return garbage_share_ > garbage_max_;
  return garbage_share_ > std::min(garbage_max_, kIdleGarbageMax);
}

// Tables may cover more than the range that was meant, on either level: the step grows to the
// widest of them. Dyadic ranges hold each other or are apart, so that ends soon.
Compaction CompactionPlan::Widened(Compaction step) const {
  for (bool grown = true; grown;) {
    grown = false;
    for (const int level : {step.level, step.output_level}) {
      for (const TableInfo* table : shape_.levels[level]) {
        if (table->range.bits >= step.range.bits || !table->range.Contains(step.range)) continue;
        step.range = table->range;
        grown = true;
      }
    }
  }
  return step;
}

// Each row may hide one further down, and a tombstone of a few bytes hides a row of any size: that
// is what it brings to merge it, if it is more than its bytes.
double CompactionPlan::Gain(uint64_t rows, uint64_t bytes, uint64_t bytes_below) const {
  const double freed = std::max(static_cast<double>(bytes), static_cast<double>(rows) * row_bytes_);
  return freed / static_cast<double>(std::max<uint64_t>(bytes + bytes_below, 1));
}

std::vector<CompactionPlan::Candidate> CompactionPlan::CandidatesOfLevel0(
    double urgency_min) const {
  std::vector<Candidate> candidates;
  for (size_t range = 0; range < kLevel0Ranges; ++range) {
    if (urgency_[range] <= 0 || urgency_[range] < urgency_min) continue;
    const Compaction step = Widened({0, level0_output(), Level0Range(range)});
    uint64_t rows = 0;
    std::array<uint64_t, kLevelCount> bytes{};
    for (const int level : {step.level, step.output_level}) {
      for (const TableInfo* table : shape_.levels[level]) {
        if (!table->range.Overlaps(step.range)) continue;
        bytes[level] += table->row_bytes;
        rows += level == 0 ? table->row_count : 0;
      }
    }
    candidates.push_back({step, urgency_[range], Gain(rows, bytes[0], bytes[step.output_level])});
  }
  return candidates;
}

// For each table of `level`, the bytes of the next one that its merge rewrites.
std::vector<uint64_t> CompactionPlan::BytesBelow(int level) const {
  const auto& upper = shape_.levels[level];
  const auto& lower = shape_.levels[level + 1];
  std::vector<uint64_t> bytes(upper.size(), 0);
  size_t first = 0;
  for (size_t i = 0; i < upper.size(); ++i) {
    while (first < lower.size() && lower[first]->range.last() < upper[i]->range.begin) ++first;
    for (size_t j = first; j < lower.size() && lower[j]->range.begin <= upper[i]->range.last();
         ++j) {
      bytes[i] += lower[j]->row_bytes;
    }
  }
  return bytes;
}

std::vector<CompactionPlan::Candidate> CompactionPlan::CandidatesOf(int level,
                                                                    double urgency_min) const {
  if (level == 0) return CandidatesOfLevel0(urgency_min);
  std::vector<Candidate> candidates;
  const std::vector<uint64_t> below = BytesBelow(level);
  for (size_t i = 0; i < below.size(); ++i) {
    const TableInfo& table = *shape_.levels[level][i];
    const Compaction step{level, level + 1, table.range};
    candidates.push_back({step, 0, Gain(table.row_count, table.row_bytes, below[i])});
  }
  return candidates;
}

// The best one that is apart from what is running.
std::optional<Compaction> CompactionPlan::Best(std::vector<Candidate> candidates,
                                               std::span<const Compaction> running) const {
  std::stable_sort(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) {
    return a.urgency != b.urgency ? a.urgency > b.urgency : a.gain > b.gain;
  });
  for (const Candidate& candidate : candidates) {
    const Compaction step = Widened(candidate.step);
    if (std::all_of(running.begin(), running.end(),
                    [&](const Compaction& other) { return step.IsApartFrom(other); })) {
      return step;
    }
  }
  return std::nullopt;
}

std::optional<Compaction> CompactionPlan::Pick(std::span<const Compaction> running,
                                               CompactionGoal goal) const {
  std::array<int, kLastLevel> levels;
  for (int level = 0; level < kLastLevel; ++level) levels[level] = level;
  std::stable_sort(levels.begin(), levels.end(),
                   [&](int a, int b) { return Pressure(a) > Pressure(b); });
  for (const int level : levels) {
    if (Pressure(level) < 1) break;
    if (auto step = Best(CandidatesOf(level, 1), running)) return step;
  }
  if (goal == CompactionGoal::kWhole) {
    // From above, so that each level is rewritten once.
    for (int level = 0; level < kLastLevel; ++level) {
      if (auto step = Best(CandidatesOf(level, 0), running)) return step;
    }
  } else if (HasGarbage(goal)) {
    std::vector<Candidate> all;
    for (int level = 0; level < kLastLevel; ++level) {
      for (Candidate& candidate : CandidatesOf(level, 0)) {
        candidate.urgency = 0;
        all.push_back(candidate);
      }
    }
    return Best(std::move(all), running);
  }
  return std::nullopt;
}

Result<std::vector<DyadicRange>> OutputRanges(const DyadicRange& range,
                                              const Version::Tables& inputs,
                                              uint64_t table_bytes_max) {
  Indexes indexes;
  for (const auto& table : inputs) {
    TRY_ASSIGN(std::shared_ptr<const TableIndex> index, table->LoadIndex());
    indexes.push_back(std::move(index));
  }
  std::vector<DyadicRange> ranges;
  Cut(range, indexes, table_bytes_max, ranges);
  return ranges;
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
