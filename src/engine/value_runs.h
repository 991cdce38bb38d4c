#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/error.h"
#include "engine/row.h"
#include "engine/value_format.h"

namespace varve::engine {

// One value run: which file has it now, and which of its records tables still refer to.
struct ValueRun {
  uint64_t file = 0;
  uint32_t record_count = 0;  // that were written
  uint32_t live_count = 0;
  uint64_t live_bytes = 0;  // of live records, as they stand in the file
  std::vector<bool> live;   // by ordinal

  static ValueRun AllLive(uint64_t file, uint32_t record_count, uint64_t bytes);
  bool operator==(const ValueRun&) const = default;
};

// One change of a tree's separated values, as a part of a version edit.
// Format: manifest_format.h.
struct ValueEdit {
  struct Move {
    uint64_t run;
    uint64_t file;
    bool operator==(const Move&) const = default;
  };
  struct Dead {
    uint64_t run = 0;
    uint64_t bytes = 0;              // of these records
    std::vector<uint32_t> ordinals;  // ascending
    bool operator==(const Dead&) const = default;
  };
  std::vector<ValueFileInfo> files;                 // added
  std::vector<std::pair<uint64_t, ValueRun>> runs;  // added, by number
  std::vector<Move> moved;                          // to another file
  std::vector<Dead> dead;                           // not referred to any more

  bool empty() const { return files.empty() && runs.empty() && moved.empty() && dead.empty(); }
  bool operator==(const ValueEdit&) const = default;
};

// What the manifest says of a tree's separated values. A run of which nothing is live is forgotten,
// and so is a file without runs.
struct ValueRuns {
  std::map<uint64_t, ValueFileInfo> files;
  std::map<uint64_t, ValueRun> runs;

  struct Totals {
    uint64_t file_bytes = 0;
    uint64_t record_bytes = 0;
    uint64_t live_bytes = 0;
    uint64_t live_count = 0;
    uint64_t dead_bytes() const { return record_bytes - live_bytes; }
  };
  Totals totals() const;
  // kCorruption if the edit does not fit: a record dies that does not live, a run or file is there
  // already or is not there. Numbers must be below `number_end`.
  Result<void> Check(const ValueEdit& edit, uint64_t number_end) const;
  void Apply(const ValueEdit& edit);  // checked
  bool operator==(const ValueRuns&) const = default;
};

// The marks for references that have lost their rows; sorts them. A reference that is there twice
// makes an edit that does not fit.
std::vector<ValueEdit::Dead> DeadRecords(std::vector<ValueReference> references);

void PutValueEdit(std::string& out, const ValueEdit& edit);
[[nodiscard]] bool GetValueEdit(std::string_view& input, ValueEdit& edit);

}  // namespace varve::engine
