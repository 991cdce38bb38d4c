#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/env.h"
#include "engine/table.h"
#include "engine/version.h"

namespace varve::engine {

// The newest row of a key in the tables of a version: one block read after the other, newest table
// first, until one has it. No thread waits for a block.
// Threads: Start() from any; `done` on a thread of one of the readers.
class VersionLookup : public std::enable_shared_from_this<VersionLookup> {
 public:
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
                    std::string key, Done done);

 private:
  VersionLookup(Readers readers, std::shared_ptr<const Version> version, Position position,
                std::string key, Done done);
  void Advance();
  void LoadIndex();
  void ReadLarge(const Table& table, const Table::Extent& extent);
  void Read(const Table& table, const Table::Extent& extent);
  // False: another table is to be asked.
  bool TakeIn(const Table& table, const Table::Extent& extent, const Result<void>& read);
  void Finish(Result<std::optional<LoadedRow>> row);

  const Readers readers_;
  const std::shared_ptr<const Version> version_;
  const Position position_;
  const std::string key_;
  const Done done_;
  std::vector<const Table*> tables_;  // of the version, that cover the position, newest first
  size_t next_ = 0;
  std::shared_ptr<const TableIndex> index_;  // of the next one, if it had to be loaded
  uint64_t index_bytes_ = 0;
  std::string block_;
  uint64_t blocks_read_ = 0;
};

}  // namespace varve::engine
