#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/table_builder.h"

namespace varve::engine {

// Writes a sorted run of rows as tables of one dyadic range each: the output of a flush or of a
// compaction.
// Owns:    the files until Release(): destroyed before that, it removes them.
// Threads: one at a time (the background strand). Blocks on writes.
// Errors:  after one the writer is only good for being destroyed.
class RangeWriter {
 public:
  // Each table covers the range of `range_bits` bits that its rows lie in.
  RangeWriter(FileSystem* files, std::string directory, std::atomic<uint64_t>* next_number,
              const PositionSecret* secret, int range_bits, TableBuilder::Settings settings);
  ~RangeWriter();

  // In order of (position, key), each key once.
  Result<void> Add(const Row& row);
  // Ends the last table; each table has been synced and read back, the directory is synced too.
  // Opens them all, indexes in memory.
  Result<void> Finish();

  uint64_t row_count() const { return row_count_; }
  uint64_t file_bytes() const;
  const std::vector<std::shared_ptr<Table>>& tables() const { return tables_; }  // after Finish()
  // The tables are (or may be) named by the manifest: the files stay.
  void Release() { released_ = true; }

 private:
  Result<void> FinishTable();

  FileSystem* const files_;
  const std::string directory_;
  std::atomic<uint64_t>* const next_number_;
  const PositionSecret* const secret_;
  const int range_bits_;
  const TableBuilder::Settings settings_;

  std::unique_ptr<TableBuilder> builder_;
  DyadicRange range_;  // of builder_
  std::vector<TableInfo> infos_;
  std::vector<std::shared_ptr<Table>> tables_;
  uint64_t row_count_ = 0;
  bool released_ = false;
};

}  // namespace varve::engine
