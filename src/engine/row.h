#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/position.h"
#include "engine/value.h"

namespace varve::engine {

// One key with its newest value at some place of the tree, or a tombstone that hides older ones.
// A view: whoever hands one out says how long its bytes live.
struct Row {
  Position position = 0;
  std::string_view key = {};
  std::string_view value = {};  // empty for a tombstone
  ValueType type = ValueType::kString;
  bool is_tombstone = false;
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
inline constexpr uint8_t kRowTombstone = 1;
inline constexpr uint8_t kRowHasExpiry = 2;
inline constexpr uint8_t kRowHasSubkey = 4;
inline constexpr int kRowTypeShift = 3;
inline constexpr size_t kRowHeaderBytesMax = 1 + 10 + 10;

// Upper bound of what AppendRow() appends.
inline size_t RowBytesMax(std::string_view key, std::string_view value) {
  return kRowHeaderBytesMax + key.size() + value.size();
}

void AppendRow(std::string& out, const Row& row);
// As AppendRow(), without the value bytes, which must follow directly (large values).
void AppendRowWithoutValue(std::string& out, const Row& row);

// Takes one row off the front of `input`; its views point into `input`, its position is 0. False:
// the bytes are no whole row of this version, `input` is then unspecified.
[[nodiscard]] bool ParseRow(std::string_view& input, Row& row);
// As ParseRow() for what AppendRowWithoutValue() appended: `value_bytes` is the size of the value.
[[nodiscard]] bool ParseRowWithoutValue(std::string_view& input, Row& row, uint64_t& value_bytes);

}  // namespace varve::engine
