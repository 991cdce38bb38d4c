#include "simulated_levels.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/invariant.h"

namespace varve::bench {

using engine::DyadicRange;
using engine::kFanoutBits;
using engine::kLastLevel;
using engine::TableInfo;

namespace {

// What the engine keeps in memory for each block: first position and offset.
constexpr uint64_t kIndexBytesPerBlock = 16;

DyadicRange LowerHalf(const DyadicRange& range) {
  return DyadicRange::Of(range.begin, range.bits + 1);
}

DyadicRange UpperHalf(const DyadicRange& range) {
  return DyadicRange::Of(range.last(), range.bits + 1);
}

// A table's rows lie evenly in its range.
double RowsWithin(const TableInfo& table, const DyadicRange& range) {
  const auto rows = static_cast<double>(table.row_count);
  if (range.Contains(table.range)) return rows;
  return table.range.Contains(range) ? std::ldexp(rows, table.range.bits - range.bits) : 0;
}

// A number in [0, 1) that looks like chance.
double Evenly(uint64_t seed) {
  seed = (seed + 0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9;
  seed = (seed ^ (seed >> 29)) * 0x94d049bb133111eb;
  return static_cast<double>(seed >> 11) * 0x1p-53;
}

double RowsWithin(const std::vector<const TableInfo*>& tables, const DyadicRange& range) {
  return std::accumulate(
      tables.begin(), tables.end(), 0.0,
      [&](double sum, const TableInfo* table) { return sum + RowsWithin(*table, range); });
}

}  // namespace

uint64_t SimulatedLevels::FileBytes(double rows) const {
  return static_cast<uint64_t>(rows * static_cast<double>(settings_.row_bytes) *
                               settings_.compression);
}

// As the engine's compactor: a small tree has small tables.
uint64_t SimulatedLevels::TableBytesMax() const {
  const uint64_t full = settings_.limits.write_buffer_bytes;
  return std::clamp(FileBytes(static_cast<double>(rows_in_tables_)) / 256, full / 8, full);
}

void SimulatedLevels::Add(int level, DyadicRange range, double rows) {
  const auto count = static_cast<uint64_t>(std::llround(rows));
  if (count == 0) return;
  if (free_infos_.empty()) free_infos_.push_back(&infos_.emplace_back());
  TableInfo* const table = free_infos_.back();
  free_infos_.pop_back();
  *table = TableInfo{.number = level == 0 ? flush_ : static_cast<uint64_t>(level),
                     .file_bytes = FileBytes(rows),
                     .row_count = count,
                     .tombstone_count = 0,
                     .row_bytes = count * settings_.row_bytes,
                     .smallest = range.begin,
                     .largest = range.last(),
                     .range = range};
  rows_in_tables_ += count;
  auto& tables = shape_.levels[level];
  const auto behind = std::upper_bound(
      tables.begin(), tables.end(), table,
      [](const TableInfo* a, const TableInfo* b) { return a->range.begin < b->range.begin; });
  tables.insert(level == 0 ? tables.begin() : behind, table);
}

void SimulatedLevels::Release(const TableInfo* table) {
  rows_in_tables_ -= table->row_count;
  free_infos_.push_back(const_cast<TableInfo*>(table));  // it is one of infos_
}

void SimulatedLevels::FillRange(int level, DyadicRange range, double share) {
  const double rows = std::ldexp(static_cast<double>(settings_.rows) * share, -range.bits);
  const bool is_last = level == kLastLevel;
  if (FileBytes(is_last ? rows : 2 * rows) <= TableBytesMax()) {
    const double part = is_last ? 1 : 2 * Evenly(range.begin ^ static_cast<uint64_t>(level));
    Add(level, range, part * rows);
    return;
  }
  FillRange(level, LowerHalf(range), share);
  FillRange(level, UpperHalf(range), share);
}

void SimulatedLevels::Fill() {
  FillRange(kLastLevel, {}, 1);
  base_level_ = engine::CompactionPlan(shape_, settings_.limits, settings_.rows).base_level();
  double share = 1;
  for (int level = kLastLevel - 1; level >= base_level_; --level) {
    share /= 1 << kFanoutBits;
    FillRange(level, {}, share);
  }
  bytes_max_ = bytes();
}

void SimulatedLevels::Flush(uint64_t writes) {
  const auto keys = static_cast<double>(settings_.rows);
  const double rows = -keys * std::expm1(-static_cast<double>(writes) / keys);
  const uint64_t before = bytes();
  ++flush_;
  for (size_t i = 0; i < engine::kLevel0Ranges; ++i) {
    Add(0, engine::Level0Range(i), std::ldexp(rows, -kFanoutBits));
  }
  flushed_bytes_ += bytes() - before;
  bytes_max_ = std::max(bytes_max_, bytes());
}

bool SimulatedLevels::Compact(engine::CompactionGoal goal) {
  const engine::CompactionPlan plan(shape_, settings_.limits, settings_.rows);
  base_level_ = plan.base_level();
  pressure_max_ = std::max(pressure_max_, plan.pressure());
  const auto step = plan.Pick({}, goal);
  if (!step) return false;
  Tables inputs = Take(step->level, step->range);
  const bool is_alone = inputs.size() == 1;
  const Tables lower = Take(step->output_level, step->range);
  ++steps_;
  if (is_alone && lower.empty()) {
    ++moves_;
    Add(step->output_level, inputs[0]->range, static_cast<double>(inputs[0]->row_count));
    Release(inputs[0]);
    return true;
  }
  inputs.insert(inputs.end(), lower.begin(), lower.end());
  const uint64_t before = bytes();
  Merge(inputs, step->range, step->output_level);
  const uint64_t written = bytes() - before;
  bytes_max_ = std::max(bytes_max_, bytes());
  merged_bytes_[step->output_level] += written;
  largest_step_bytes_ = std::max(largest_step_bytes_, written);
  for (const TableInfo* table : inputs) Release(table);
  return true;
}

// Takes the tables out of the shape; they still count until they are released.
SimulatedLevels::Tables SimulatedLevels::Take(int level, const DyadicRange& range) {
  auto& tables = shape_.levels[level];
  const auto taken =
      std::stable_partition(tables.begin(), tables.end(),
                            [&](const TableInfo* table) { return !table->range.Overlaps(range); });
  Tables inputs(taken, tables.end());
  tables.erase(taken, tables.end());
  for (const TableInfo* table : inputs) INVARIANT(range.Contains(table->range));
  return inputs;
}

void SimulatedLevels::Merge(const Tables& inputs, DyadicRange range, int output_level) {
  if (FileBytes(RowsWithin(inputs, range)) <= TableBytesMax()) {
    Add(output_level, range, RowsLeft(inputs, range));
    return;
  }
  Merge(inputs, LowerHalf(range), output_level);
  Merge(inputs, UpperHalf(range), output_level);
}

// Tables of one flush, or of one level below L0, have no key in common: they have that as number.
double SimulatedLevels::RowsLeft(const Tables& inputs, DyadicRange range) const {
  const double keys = std::ldexp(static_cast<double>(settings_.rows), -range.bits);
  std::vector<uint64_t> runs;
  for (const TableInfo* table : inputs) runs.push_back(table->number);
  std::sort(runs.begin(), runs.end());
  runs.erase(std::unique(runs.begin(), runs.end()), runs.end());
  double absent_share = 1;
  for (const uint64_t run : runs) {
    double rows = 0;
    for (const TableInfo* table : inputs) {
      if (table->number == run) rows += RowsWithin(*table, range);
    }
    absent_share *= 1 - rows / keys;
  }
  return keys * (1 - absent_share);
}

void SimulatedLevels::ResetCounters() {
  bytes_max_ = bytes();
  flushed_bytes_ = steps_ = moves_ = largest_step_bytes_ = 0;
  merged_bytes_ = {};
  pressure_max_ = 0;
}

uint64_t SimulatedLevels::merged_bytes() const {
  return std::accumulate(merged_bytes_.begin(), merged_bytes_.end(), uint64_t{0});
}

size_t SimulatedLevels::table_count() const {
  size_t count = 0;
  for (const auto& tables : shape_.levels) count += tables.size();
  return count;
}

size_t SimulatedLevels::tables_over_a_position() const {
  size_t count = 0;
  for (int level = 0; level <= kLastLevel; ++level) {
    const auto& tables = shape_.levels[level];
    const auto covering = std::count_if(tables.begin(), tables.end(), [](const TableInfo* table) {
      return table->range.begin == 0;
    });
    count += static_cast<size_t>(covering);
  }
  return count;
}

uint64_t SimulatedLevels::filter_bytes() const {
  return rows_in_tables_ * static_cast<uint64_t>(settings_.filter_bits_per_key) / 8;
}

uint64_t SimulatedLevels::index_bytes() const {
  return bytes() / settings_.block_bytes * kIndexBytesPerBlock;
}

}  // namespace varve::bench
