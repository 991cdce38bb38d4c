#include "engine/table_references.h"

#include <algorithm>

#include "engine/coding.h"

namespace varve::engine {

bool TableReferences::Decode(std::string_view payload, uint64_t count) {
  constexpr size_t kNumberBytes = sizeof(uint64_t);
  uint64_t run_count = 0;
  if (count == 0) return payload.empty();
  // The bytes that are there size the arrays, never the counts that are written somewhere.
  if (!GetFixed64(payload, run_count) || payload.size() % kNumberBytes != 0) return false;
  const uint64_t numbers = payload.size() / kNumberBytes;
  if (run_count > numbers || (numbers - run_count) % 2 != 0 || (numbers - run_count) / 2 != count) {
    return false;
  }
  runs_.resize(run_count);
  positions_.resize(count);
  values_.resize(count);
  for (uint64_t& run : runs_) {
    if (!GetFixed64(payload, run)) return false;
  }
  for (Position& position : positions_) {
    if (!GetFixed64(payload, position)) return false;
  }
  for (Value& value : values_) {
    if (!GetFixed32(payload, value.run_index) || !GetFixed32(payload, value.ordinal) ||
        value.run_index >= run_count) {
      return false;
    }
  }
  return std::is_sorted(positions_.begin(), positions_.end());
}

size_t TableReferences::FirstOf(Position position) const {
  const auto first = std::lower_bound(positions_.begin(), positions_.end(), position);
  return static_cast<size_t>(first - positions_.begin());
}

bool TableReferences::Contains(Position position, const ValueReference& reference) const {
  for (size_t i = FirstOf(position); IsOf(position, i); ++i) {
    if (run(i) == reference.run && ordinal(i) == reference.ordinal) return true;
  }
  return false;
}

uint64_t TableReferences::memory_bytes() const {
  return runs_.capacity() * sizeof(uint64_t) + positions_.capacity() * sizeof(Position) +
         values_.capacity() * sizeof(Value);
}

void TableReferencesBuilder::Add(Position position, const ValueReference& reference) {
  positions_.push_back(position);
  references_.push_back(reference);
}

std::string TableReferencesBuilder::Finish() const {
  std::string payload;
  if (references_.empty()) return payload;
  std::vector<uint64_t> runs;
  for (const ValueReference& reference : references_) runs.push_back(reference.run);
  std::sort(runs.begin(), runs.end());
  runs.erase(std::unique(runs.begin(), runs.end()), runs.end());
  PutFixed64(payload, runs.size());
  for (const uint64_t run : runs) PutFixed64(payload, run);
  for (const Position position : positions_) PutFixed64(payload, position);
  for (const ValueReference& reference : references_) {
    const auto run = std::lower_bound(runs.begin(), runs.end(), reference.run);
    PutFixed32(payload, static_cast<uint32_t>(run - runs.begin()));
    PutFixed32(payload, reference.ordinal);
  }
  return payload;
}

}  // namespace varve::engine
