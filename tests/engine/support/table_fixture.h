#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/env.h"
#include "engine/position.h"
#include "engine/row.h"
#include "engine/row_cursor.h"
#include "engine/table.h"
#include "engine/table_builder.h"

namespace varve::engine::testing {

// A row in memory of its own.
struct OwnedRow {
  Position position = 0;
  std::string key;
  std::string value;
  bool is_tombstone = false;
  ValueReference reference = {};

  static OwnedRow Of(const Row& row) {
    return {row.position, std::string(row.key), std::string(row.value), row.is_tombstone,
            row.reference};
  }
  Row view() const {
    return {.position = position,
            .key = key,
            .value = value,
            .is_tombstone = is_tombstone,
            .reference = reference};
  }
  bool operator==(const OwnedRow&) const = default;
};

// The same secret in all tests.
const PositionSecret& TestSecret();

// Sorts as tables are sorted, positions filled in; of equal keys the first stays.
std::vector<OwnedRow> InTableOrder(std::vector<OwnedRow> rows);

// `count` rows of random lengths and bytes, compressible and not, one in ten a tombstone; in order.
std::vector<OwnedRow> RandomRows(size_t count, uint64_t seed);

// The same, two thirds of the values replaced by references to records of two runs: each once.
std::vector<OwnedRow> RandomSeparatedRows(size_t count, uint64_t seed);

// `count` rows of a few hundred bytes that have most of them in common, as documents have; in
// order.
std::vector<OwnedRow> DocumentRows(size_t count, uint64_t seed);

// Writes table `number` into `directory`.
Result<TableInfo> BuildTable(FileSystem* files, const std::string& directory, uint64_t number,
                             const std::vector<OwnedRow>& rows,
                             TableBuilder::Settings settings = {}, DyadicRange range = {});

// All rows from the one the cursor stands at.
std::vector<OwnedRow> Rest(RowCursor& cursor);

}  // namespace varve::engine::testing
