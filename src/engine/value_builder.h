#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "engine/block_builder.h"
#include "engine/block_compressor.h"
#include "engine/env.h"
#include "engine/error.h"
#include "engine/file_appender.h"
#include "engine/value_file.h"
#include "engine/value_index.h"
#include "engine/value_runs.h"

namespace varve::engine {

// Writes one value file, record by record.
// Format:  value_format.h, docs/formats.md.
// Owns:    the file; that of a builder that was destroyed before Release() is removed.
// Threads: one at a time. Blocks on writes.
// Errors:  after one the builder is only good for being destroyed.
class ValueFileBuilder {
 public:
  static Result<std::unique_ptr<ValueFileBuilder>> Create(FileSystem* files,
                                                          const std::string& directory,
                                                          uint64_t number);
  ~ValueFileBuilder();

  // A new record, the next of the run that has this file's number. Copies the row.
  Result<ValueReference> Add(const Row& row);
  // A record of another file, payload and trailer as they stand at `from`: in the order of
  // (run, ordinal). It gets a checksum for its new place. kCorruption if it is not intact.
  Result<void> Copy(uint64_t run, uint32_t ordinal, std::string stored, const BlockPlace& from);

  uint64_t number() const { return info_.number; }
  uint64_t record_count() const { return index_.record_count(); }
  uint64_t file_bytes() const { return file_ == nullptr ? info_.file_bytes : file_->offset(); }

  // Writes the index and syncs the file (not the directory). Needs at least one record.
  Result<void> Finish();
  // After Finish(): reads back some records, at least `bytes` of them, as a reader would. True when
  // it has been through them all, each was intact, and they were those that were written.
  Result<bool> VerifySome(uint64_t bytes);
  // After that: opens the file, its index in memory.
  Result<std::shared_ptr<ValueFile>> Open() const;
  // After Finish(), of a file whose records were all added: the file and the run.
  void AddTo(ValueEdit& edit) const;
  const ValueFileInfo& info() const { return info_; }  // after Finish()
  // The file is (or may be) named by the manifest: it stays.
  void Release() { released_ = true; }

 private:
  ValueFileBuilder(FileSystem* files, std::string directory, std::unique_ptr<FileAppender> file,
                   uint64_t number);
  BlockPlace NextPlace() const { return {file_->path(), info_.number, file_->offset()}; }
  Result<void> Append(uint64_t run, uint32_t ordinal, std::string_view record, const Row& row);
  static uint64_t Digest(uint64_t run, uint32_t ordinal, const Row& row);

  FileSystem* const files_;
  const std::string directory_;
  std::unique_ptr<FileAppender> file_;  // until Finish()
  ValueFileInfo info_;
  bool released_ = false;
  BlockBuilder block_;
  BlockCompressor compressor_;
  ValueIndexBuilder index_;
  std::string scratch_;
  uint64_t digest_ = 0;  // of all records: what is read back must be what was written

  std::shared_ptr<ValueFile> written_;  // from the first VerifySome() on
  size_t verified_ = 0;                 // records
  size_t verified_run_ = 0;
  uint64_t digest_read_ = 0;
};

}  // namespace varve::engine
