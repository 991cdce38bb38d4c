#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/env.h"

namespace varve::check {

// Another file system, seen through glass: reads pass, writes are taken and dropped. So what the
// engine does at its start can be tried on a database without changing it.
// Lifetime: `base` outlives it.
// Threads:  as `base`.
class ReadOnlyFiles : public engine::FileSystem {
 public:
  explicit ReadOnlyFiles(engine::FileSystem& base) : base_(base) {}

  engine::Result<std::unique_ptr<engine::RandomAccessFile>> OpenForRead(
      const std::string& path) override {
    return base_.OpenForRead(path);
  }
  engine::Result<std::unique_ptr<engine::WritableFile>> Create(const std::string& path) override;
  engine::Result<std::unique_ptr<engine::WritableFile>> OpenForWrite(
      const std::string& path) override;
  engine::Result<std::string> ReadWhole(const std::string& path) override {
    return base_.ReadWhole(path);
  }
  engine::Result<void> Rename(const std::string&, const std::string&) override { return {}; }
  engine::Result<void> Remove(const std::string&) override { return {}; }
  engine::Result<void> Truncate(const std::string&, uint64_t) override { return {}; }
  engine::Result<bool> Exists(const std::string& path) override { return base_.Exists(path); }
  engine::Result<uint64_t> FileSize(const std::string& path) override {
    return base_.FileSize(path);
  }
  engine::Result<std::vector<std::string>> List(const std::string& directory) override {
    return base_.List(directory);
  }
  engine::Result<void> CreateDirectories(const std::string&) override { return {}; }
  engine::Result<void> SyncDirectory(const std::string&) override { return {}; }
  // The real lock: nobody may write while it is looked at.
  engine::Result<std::unique_ptr<engine::DirectoryLock>> Lock(const std::string& path) override {
    return base_.Lock(path);
  }
  engine::Result<engine::DiskSpace> Space(const std::string& directory) override {
    return base_.Space(directory);
  }

 private:
  engine::FileSystem& base_;
};

}  // namespace varve::check
