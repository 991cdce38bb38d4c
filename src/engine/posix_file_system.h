#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/env.h"

namespace varve::engine {

class FileDescriptor;

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
  Result<void> Truncate(const std::string& path, uint64_t size) override;
  Result<bool> Exists(const std::string& path) override;
  Result<uint64_t> FileSize(const std::string& path) override;
  Result<std::vector<std::string>> List(const std::string& directory) override;
  // Directories that are made are durable in their parents when this returns.
  Result<void> CreateDirectories(const std::string& directory) override;
  // Keeps the directory open from the first call on: what has been renamed must become durable,
  // even when no more files can be opened.
  Result<void> SyncDirectory(const std::string& directory) override;
  // By flock(2) of the file at `path`, which is made when missing and left behind. The holder's
  // process id stands in it, for the message of those who come second (kInvalidArgument); on a full
  // disk it may be missing.
  Result<std::unique_ptr<DirectoryLock>> Lock(const std::string& path) override;
  Result<DiskSpace> Space(const std::string& directory) override;

 private:
  Result<std::shared_ptr<const FileDescriptor>> OpenDirectory(const std::string& directory);

  std::mutex directories_mutex_;
  std::map<std::string, std::shared_ptr<const FileDescriptor>> directories_;  // by path
};

}  // namespace varve::engine
