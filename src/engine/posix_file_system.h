#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/env.h"

namespace varve::engine {

// The real file system.
// Threads: any.
// Errors:  name the call, the file and, where there is one, the range. Interrupted and partial
//          calls are carried on; nothing else is retried.
class PosixFileSystem : public FileSystem {
 public:
  Result<std::unique_ptr<RandomAccessFile>> OpenForRead(const std::string& path) override;
  Result<std::unique_ptr<WritableFile>> Create(const std::string& path) override;
  Result<std::unique_ptr<WritableFile>> OpenForWrite(const std::string& path) override;
  Result<std::string> ReadWhole(const std::string& path) override;
  Result<void> Rename(const std::string& from, const std::string& to) override;
  Result<void> Remove(const std::string& path) override;
  Result<bool> Exists(const std::string& path) override;
  Result<uint64_t> FileSize(const std::string& path) override;
  Result<std::vector<std::string>> List(const std::string& directory) override;
  // Directories that are made are durable in their parents when this returns.
  Result<void> CreateDirectories(const std::string& directory) override;
  Result<void> SyncDirectory(const std::string& directory) override;
  // By flock(2) of the file at `path`, which is made when missing and left behind. The holder's
  // process id stands in it, for the message of those who come second (kInvalidArgument).
  Result<std::unique_ptr<DirectoryLock>> Lock(const std::string& path) override;
  Result<uint64_t> FreeBytes(const std::string& directory) override;
};

}  // namespace varve::engine
