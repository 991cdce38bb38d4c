#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "engine/env.h"
#include "engine/error.h"

namespace varve::engine {

// Writes a new file from its beginning to its end: in pieces of some size, which the kernel is told
// to write to the disk as they come, so that the sync at the end does not find all of it undone.
// Owns:    the file, removed by the destructor unless Keep() was called.
// Threads: one at a time. Blocks on writes.
// Errors:  after one the file is only good for being removed.
class FileAppender {
 public:
  static Result<std::unique_ptr<FileAppender>> Create(FileSystem* files, std::string path);
  ~FileAppender();
  FileAppender(const FileAppender&) = delete;
  FileAppender& operator=(const FileAppender&) = delete;

  Result<void> Append(std::string_view bytes);
  // Where the next byte will stand: so many have been appended.
  uint64_t offset() const { return written_ + pending_.size(); }
  // Writes what is pending and makes the file durable, not its name.
  Result<void> Sync();
  const std::string& path() const { return path_; }
  // The file is complete, and closed.
  void Keep();

 private:
  FileAppender(FileSystem* files, std::string path, std::unique_ptr<WritableFile> file);
  Result<void> WritePending(std::string_view more);

  FileSystem* const files_;
  const std::string path_;
  std::unique_ptr<WritableFile> file_;
  bool kept_ = false;
  std::string pending_;  // not written yet, begins at written_
  uint64_t written_ = 0;
  uint64_t writeback_begin_ = 0;  // before it, the kernel was told to write
};

}  // namespace varve::engine
