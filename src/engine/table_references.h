#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/position.h"
#include "engine/row.h"

namespace varve::engine {

// Which rows of a table refer to separated values: so that a read goes to the value at once, and
// not by way of the row's block.
// Format:  behind the index of a table that has such rows (row format v2); for m of them:
//            distinct runs u64: r | r run numbers u64, ascending | m positions u64, in order
//            | m times: which of the runs u32, ordinal u32
// Threads: any; it never changes.
class TableReferences {
 public:
  // Takes all of `payload`. False: it is no list of `count` references.
  [[nodiscard]] bool Decode(std::string_view payload, uint64_t count);

  size_t size() const { return positions_.size(); }
  // The references of rows at `position` are [first, first + n).
  size_t FirstOf(Position position) const;
  bool IsOf(Position position, size_t index) const {
    return index < positions_.size() && positions_[index] == position;
  }
  uint64_t run(size_t index) const { return runs_[values_[index].run_index]; }
  uint32_t ordinal(size_t index) const { return values_[index].ordinal; }
  bool Contains(Position position, const ValueReference& reference) const;
  uint64_t memory_bytes() const;

 private:
  struct Value {
    uint32_t run_index;
    uint32_t ordinal;
  };

  std::vector<uint64_t> runs_;
  std::vector<Position> positions_;
  std::vector<Value> values_;
};

// Collects such a list.
class TableReferencesBuilder {
 public:
  void Add(Position position, const ValueReference& reference);  // in order of positions
  std::string Finish() const;                                    // empty: there are none

 private:
  std::vector<Position> positions_;
  std::vector<ValueReference> references_;
};

}  // namespace varve::engine
