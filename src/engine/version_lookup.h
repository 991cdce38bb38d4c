#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/env.h"
#include "engine/table.h"
#include "engine/value_file.h"
#include "engine/version.h"

namespace varve::engine {

// The newest row of a key in the tables of a version: one block read after the other, newest table
// first, until one has it. Of a row whose value is separated the value's record is read, at once:
// the table's index says which. No thread waits for a block.
// Threads: Start() from any; `done` on a thread of one of the readers.
class VersionLookup : public std::enable_shared_from_this<VersionLookup> {
 public:
  enum class Wanted {
    kRow,
    kLiveness,  // whether the row is a tombstone: a separated value is not read
  };
  struct Outcome {
    Result<std::optional<LoadedRow>> row;
    uint64_t blocks_read = 0;
    uint64_t index_bytes = 0;  // of filters and indexes that had to be loaded
  };
  using Done = std::function<void(Outcome)>;
  // Who reads; outlives the lookup.
  struct Readers {
    Executor& threads;  // what takes long: filters, indexes, large blocks
    BlockReader& blocks;
  };

  // Only posts.
  static void Start(Readers readers, std::shared_ptr<const Version> version, Position position,
                    std::string key, Wanted wanted, Done done);

 private:
  // One read: a data block of a table, or a record of a value file.
  struct Piece {
    const Table* table;
    const ValueFile* values;  // or null
    Extent extent;
    const RandomAccessFile& file() const { return values ? values->file() : table->file(); }
  };

  VersionLookup(Readers readers, std::shared_ptr<const Version> version, Position position,
                std::string key, Wanted wanted, Done done);
  // Goes on until a read or a load is under way, or all is done.
  void Advance();
  void ReadRecord();
  void LeaveTable();
  // Brings in the index of a file, in one of the members, and goes on.
  template <typename File, typename Index>
  void LoadIndex(const File& file, std::shared_ptr<const Index> VersionLookup::*member);
  void Read(const Piece& piece);
  void ReadLarge(const Piece& piece);
  // False: another block is to be read.
  bool TakeIn(const Piece& piece, const Result<void>& read);
  void Finish(Result<std::optional<LoadedRow>> row);

  const Readers readers_;
  const std::shared_ptr<const Version> version_;
  const Position position_;
  const std::string key_;
  const Wanted wanted_;
  const Done done_;
  std::vector<const Table*> tables_;  // of the version, that cover the position, newest first
  size_t next_ = 0;
  std::shared_ptr<const TableIndex> index_;        // of tables_[next_], while it is looked at
  std::optional<size_t> next_reference_;           // of that table's, at the position
  std::shared_ptr<const ValueIndex> value_index_;  // for that reference, if it had to be loaded
  uint64_t index_bytes_ = 0;
  std::string block_;
  uint64_t blocks_read_ = 0;
};

}  // namespace varve::engine
