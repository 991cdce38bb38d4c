#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/position.h"
#include "engine/value.h"

namespace varve::engine {

// Where a separated value stands: record `ordinal` of the value run `run` (value_format.h). It
// never changes, wherever the record is copied to.
struct ValueReference {
  uint64_t run = 0;  // 0: there is none, the row has its value with it
  uint32_t ordinal = 0;
  uint32_t record_bytes = 0;  // that it takes in a value file
  explicit operator bool() const { return run != 0; }
  bool operator==(const ValueReference&) const = default;
};

// One key with its newest value at some place of the tree, or a tombstone that hides older ones.
// A view: whoever hands one out says how long its bytes live.
struct Row {
  Position position = 0;
  std::string_view key = {};
  std::string_view value = {};  // empty for a tombstone
  ValueType type = ValueType::kString;
  bool is_tombstone = false;
  ValueReference reference = {};  // if it has one, `value` is empty; only of rows in tables
};

// The order of memtables and tables: by position, then by key bytes.
inline bool RowLess(Position a_position, std::string_view a_key, Position b_position,
                    std::string_view b_key) {
  return a_position != b_position ? a_position < b_position : a_key < b_key;
}

// Row v1, as it stands in blocks and WAL records (the position is not stored: it is computed):
//   flags u8: bit 0 tombstone, bit 1 has expiry (not yet written by any release: refused),
//             bit 2 has subkey (likewise refused), bits 3..7 value type
//   key_bytes varint | value_bytes varint (absent in a tombstone) | key | value
// Row v2, in tables only, has one form more:
//   flags u8: bit 7 the value is separated, bits 3..6 value type
//   key_bytes varint | run varint, not 0 | ordinal varint | record_bytes varint | key
inline constexpr uint8_t kRowTombstone = 1;
inline constexpr uint8_t kRowHasExpiry = 2;
inline constexpr uint8_t kRowHasSubkey = 4;
inline constexpr int kRowTypeShift = 3;
inline constexpr uint8_t kRowSeparated = 1 << 7;
inline constexpr size_t kRowHeaderBytesMax = 1 + 10 + 10 + 5 + 5;

// Upper bound of what AppendRow() appends.
inline size_t RowBytesMax(std::string_view key, std::string_view value) {
  return kRowHeaderBytesMax + key.size() + value.size();
}

void AppendRow(std::string& out, const Row& row);  // with a reference: v2
// As AppendRow(), without the value bytes, which must follow directly (large values).
void AppendRowWithoutValue(std::string& out, const Row& row);

// Takes one row off the front of `input`; its views point into `input`, its position is 0. False:
// the bytes are no whole row of this version, `input` is then unspecified.
[[nodiscard]] bool ParseRow(std::string_view& input, Row& row);
// As ParseRow() for rows of tables: takes both forms.
[[nodiscard]] bool ParseTableRow(std::string_view& input, Row& row);
// As ParseRow() for what AppendRowWithoutValue() appended: `value_bytes` is the size of the value.
[[nodiscard]] bool ParseRowWithoutValue(std::string_view& input, Row& row, uint64_t& value_bytes);

}  // namespace varve::engine
