#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/value_builder.h"
#include "engine/value_file.h"
#include "engine/value_runs.h"

namespace varve::engine {

// One collection: copies the records of some value files that are live as of now into a new file.
// Records that die meanwhile are copied too, and are dead in the new file.
// Owns:    the new file until Release(): destroyed before that, it removes it.
// Threads: one at a time. Blocks on I/O.
// Errors:  after one the collector is only good for being destroyed.
class ValueCollector {
 public:
  // `runs`: all of `files`, and which of their records are live.
  ValueCollector(std::vector<std::shared_ptr<ValueFile>> files, const ValueRuns& runs,
                 std::unique_ptr<ValueFileBuilder> builder);

  // Does a part of the work, for about `bytes`. True when the new file is complete, synced (not the
  // directory) and read back.
  Result<bool> Step(uint64_t bytes);

  // After that. The edit that puts the file in the place of the others: with the runs of them that
  // `now` still has; empty if there are none.
  ValueEdit Edit(const ValueRuns& now) const;
  Result<std::shared_ptr<ValueFile>> Open() const { return builder_->Open(); }
  uint64_t bytes_read() const { return bytes_read_; }
  uint64_t file_bytes() const { return builder_->file_bytes(); }
  // The file is (or may be) named by the manifest: it stays.
  void Release() { builder_->Release(); }

 private:
  struct Run {
    uint64_t number;
    const ValueFile* file;
    std::vector<bool> live;
    uint32_t live_count;
  };

  // Copies live records of runs_[run_] from record_ on that stand close together.
  Result<uint64_t> CopySome();
  Result<void> EndRun(const Run& run);
  Result<void> CopyRecord(const Run& run, const ValueIndex& index, size_t record);
  Result<void> ReadChunk(const Run& run, const ValueIndex& index, size_t first, size_t end);

  const std::vector<std::shared_ptr<ValueFile>> files_;
  const std::unique_ptr<ValueFileBuilder> builder_;
  std::vector<Run> runs_;  // by number: the order of the new file
  size_t run_ = 0;         // the next to be copied
  size_t record_ = 0;      // of it
  uint32_t run_copied_ = 0;
  std::string chunk_;  // of its file, from chunk_begin_ on
  uint64_t chunk_begin_ = 0;
  uint64_t bytes_read_ = 0;
  bool finished_ = false;
};

}  // namespace varve::engine
