#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/block.h"
#include "engine/dictionary.h"
#include "engine/env.h"
#include "engine/error.h"
#include "engine/filter.h"
#include "engine/position.h"
#include "engine/table_format.h"
#include "engine/table_references.h"

namespace varve::engine {

// What of a table is kept in memory: its filter, where each data block begins, and the dictionary
// that they were compressed with.
// Format: the index block's payload, for n data blocks: n first positions u64, ascending | n + 1
//         offsets u64, ascending: the blocks' beginnings, and the end of the last one (trailer
//         included). Rows of equal position are never parted, so a position lies in one block.
//         Behind them, if rows have separated values: table_references.h.
// Threads: any; it never changes.
class TableIndex {
 public:
  // Reads and checks footer, properties, filter, index and dictionary. Blocks. `expected`: what the
  // manifest says; a file that says otherwise is corrupt. Errors: kCorruption, kInvalidArgument (a
  // format this release does not know), kIo.
  static Result<std::unique_ptr<const TableIndex>> Load(const RandomAccessFile& file,
                                                        const TableInfo& expected);

  // False: no row of the table has this position.
  bool MayContain(Position position) const;
  // The one block that can hold `position`, which is not below smallest().
  size_t BlockOf(Position position) const;

  size_t block_count() const { return first_positions_.size(); }
  Position first_position(size_t block) const { return first_positions_[block]; }
  BlockHandle handle(size_t block) const {
    return {offsets_[block], offsets_[block + 1] - offsets_[block] - kBlockTrailerBytes};
  }
  uint64_t offset(size_t block) const { return offsets_[block]; }  // block_count(): the data's end
  Position smallest() const { return smallest_; }
  Position largest() const { return largest_; }
  const TableReferences& references() const { return references_; }
  const Dictionary* dictionary() const { return dictionary_.get(); }  // null: the table has none
  uint64_t memory_bytes() const;

 private:
  TableIndex() = default;
  [[nodiscard]] bool Decode(std::string_view payload, const TableProperties& properties,
                            uint64_t data_bytes);

  std::vector<Position> first_positions_;
  std::vector<uint64_t> offsets_;
  std::optional<Filter> filter_;
  TableReferences references_;
  std::unique_ptr<const Dictionary> dictionary_;
  Position smallest_ = 0;
  Position largest_ = 0;
  double blocks_per_position_ = 0;  // for interpolation
};

// Collects an index block.
class TableIndexBuilder {
 public:
  void Add(Position first_position, uint64_t offset);
  size_t block_count() const { return first_positions_.size(); }
  std::string Finish(uint64_t data_bytes) const;  // the payload, references apart

 private:
  std::vector<Position> first_positions_;
  std::vector<uint64_t> offsets_;
};

}  // namespace varve::engine
