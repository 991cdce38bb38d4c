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
// compaction. A range without rows gets no table.
// Owns:    the files until Release(): destroyed before that, it removes them.
// Threads: one at a time. Blocks on writes.
// Errors:  after one the writer is only good for being destroyed.
class RangeWriter {
 public:
  // `ranges`: in order, apart from each other; all rows lie in them.
  RangeWriter(FileSystem* files, std::string directory, std::atomic<uint64_t>* next_number,
              const PositionSecret* secret, std::vector<DyadicRange> ranges,
              TableBuilder::Settings settings);
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
  const std::vector<DyadicRange> ranges_;
  const TableBuilder::Settings settings_;

  std::unique_ptr<TableBuilder> builder_;
  size_t range_ = 0;  // of builder_, or the next one
  std::vector<TableInfo> infos_;
  std::vector<std::shared_ptr<const KeySet>> key_sets_;  // of infos_, null without
  std::vector<std::shared_ptr<Table>> tables_;
  uint64_t row_count_ = 0;
  bool released_ = false;
};

// The `2^bits` ranges that the whole space is cut into.
std::vector<DyadicRange> EvenRanges(int bits);

}  // namespace varve::engine
