#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/env.h"
#include "engine/error.h"
#include "engine/loaded_on_use.h"
#include "engine/loaded_row.h"
#include "engine/value_format.h"

namespace varve::engine {

class ValueIndex;

// A value file: records, each with one row whose table has only the key.
// Format:  value_format.h, docs/formats.md. Immutable.
// Owns:    the open file. The file is removed from the disk by whoever calls MarkObsolete(), when
//          the last reference goes.
// Threads: all members from any thread.
// Errors:  kCorruption names file and offset; nothing damaged is ever returned as a row.
class ValueFile {
 public:
  // Opens the file without reading it. `files` outlives it.
  static Result<std::shared_ptr<ValueFile>> Open(FileSystem* files, const std::string& directory,
                                                 const ValueFileInfo& info);
  ~ValueFile();

  const ValueFileInfo& info() const { return info_; }
  const std::string& path() const { return file_->path(); }
  const RandomAccessFile& file() const { return *file_; }

  // As Table's: the index comes when it is first needed, and may be dropped again.
  std::shared_ptr<const ValueIndex> UseIndex() const;
  Result<std::shared_ptr<const ValueIndex>> LoadIndex(uint64_t* loaded_bytes = nullptr) const;
  uint64_t index_bytes() const;  // under the command lock
  std::shared_ptr<const ValueIndex> DropUnusedIndex() const;

  // A read in steps: which bytes of file() the record is (`index`: this file's; kCorruption if the
  // file does not have it), and what they say: nothing if the record is of another key.
  Result<Extent> ExtentOf(const ValueIndex& index, uint64_t run, uint32_t ordinal) const;
  Result<std::optional<LoadedRow>> FindIn(const Extent& extent, std::string bytes,
                                          Position position, std::string_view key) const;
  // All steps at once. Blocks.
  Result<std::optional<LoadedRow>> Find(const ValueReference& reference, Position position,
                                        std::string_view key) const;

  // From now on the file is removed when the last reference to it goes.
  void MarkObsolete() { obsolete_.store(true); }

 private:
  ValueFile(FileSystem* files, std::unique_ptr<RandomAccessFile> file, const ValueFileInfo& info);

  FileSystem* const files_;
  const std::unique_ptr<RandomAccessFile> file_;
  const ValueFileInfo info_;
  LoadedOnUse<ValueIndex> index_;
  std::atomic<bool> obsolete_{false};
};

// The row of a record's payload. False: it is not exactly one whole row with its value.
[[nodiscard]] bool ParseValueRecord(std::string_view payload, Row& row);

}  // namespace varve::engine
