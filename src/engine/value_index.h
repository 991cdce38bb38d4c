#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/block.h"
#include "engine/env.h"
#include "engine/error.h"
#include "engine/value_format.h"

namespace varve::engine {

// Where the records of a value file are.
// Format: the index block's payload, varints, for the file's runs, ascending:
//           run_count | run_count times: run | record_count | for each record of it, ascending:
//           ordinal, or by how much it is more than the one before, less 1 | record bytes
//         Records fill the file from its beginning to the index block.
// Threads: any; it never changes.
class ValueIndex {
 public:
  struct Run {
    uint64_t number;
    size_t begin;  // its records are [begin, end)
    size_t end;
  };

  // Reads and checks footer and index. Blocks. `expected`: what the manifest says; a file that says
  // otherwise is corrupt. Errors: kCorruption, kInvalidArgument (a format this release does not
  // know), kIo.
  static Result<std::unique_ptr<const ValueIndex>> Load(const RandomAccessFile& file,
                                                        const ValueFileInfo& expected);

  size_t record_count() const { return ordinals_.size(); }
  const std::vector<Run>& runs() const { return runs_; }
  const Run* FindRun(uint64_t run) const;  // null: the file has none of it
  std::optional<size_t> Find(uint64_t run, uint32_t ordinal) const;
  uint32_t ordinal(size_t record) const { return ordinals_[record]; }
  BlockHandle handle(size_t record) const {
    return {offsets_[record], offsets_[record + 1] - offsets_[record] - kBlockTrailerBytes};
  }
  uint64_t memory_bytes() const;

 private:
  ValueIndex() = default;
  [[nodiscard]] bool Decode(std::string_view payload, uint64_t record_count, uint64_t data_bytes);
  [[nodiscard]] bool DecodeRun(std::string_view& payload);

  std::vector<Run> runs_;
  std::vector<uint32_t> ordinals_;
  std::vector<uint64_t> offsets_;  // and the end of the last one
};

// Collects an index block.
class ValueIndexBuilder {
 public:
  // In the order of (run, ordinal).
  void Add(uint64_t run, uint32_t ordinal, uint64_t record_bytes);
  uint64_t record_count() const { return record_count_; }
  std::string Finish();  // the payload

 private:
  void EndRun();

  std::string runs_;     // those that are complete
  std::string records_;  // of the last one
  uint64_t run_ = 0;
  uint32_t last_ordinal_ = 0;
  uint64_t run_records_ = 0;
  uint64_t run_count_ = 0;
  uint64_t record_count_ = 0;
};

}  // namespace varve::engine
