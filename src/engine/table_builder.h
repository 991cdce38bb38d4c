#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/block.h"
#include "engine/env.h"
#include "engine/error.h"
#include "engine/row.h"
#include "engine/table.h"

namespace varve::engine {

class KeySet;

// Writes one SSTable, row by row in order.
// Format:  table_format.h, docs/formats.md.
// Owns:    the file, created by Create(); the file of a builder that was destroyed before Finish()
//          succeeded is removed.
// Threads: one at a time. Blocks on writes.
// Errors:  the first is final and is returned by each later call.
class TableBuilder {
 public:
  struct Settings {
    size_t block_bytes = 4096;
    int filter_bits_per_key = 10;
    bool with_key_set = false;
    Compression compression = Compression::kSnappy;  // or kZstd: where it saves much, else snappy
    // For zstd. The figures behind the defaults: docs/benchmarks.md.
    int zstd_level = 3;
    size_t dictionary_bytes =
        32 << 10;  // at most, made of the table's own rows; 0: none, and zstd always
  };
  static Result<std::unique_ptr<TableBuilder>> Create(FileSystem* files,
                                                      const std::string& directory, uint64_t number,
                                                      DyadicRange range, Settings settings);
  ~TableBuilder();

  // Rows in order of (position, key), each key once, all within the range. Copies what it needs.
  Result<void> Add(const Row& row);
  uint64_t row_count() const;
  uint64_t file_bytes() const;  // written so far, about

  // Writes what is left, filter, index, properties and footer, and syncs the file (not the
  // directory). Needs at least one row. Then reads the whole file back: checksums, order, every row
  // counted and found in the filter; a difference is kCorruption.
  Result<TableInfo> Finish(const PositionSecret& secret);
  // After Finish(): of what was read back, if the settings ask for one.
  std::shared_ptr<const KeySet> TakeKeySet();

 private:
  struct State;
  explicit TableBuilder(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace varve::engine
