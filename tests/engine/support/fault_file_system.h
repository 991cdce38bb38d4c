#pragma once

#include <cerrno>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "engine/env.h"

namespace varve::engine::testing {

// The calls that can be made to fail, one name for each of env.h's.
enum class FileCall {
  kOpenForRead,
  kCreate,
  kOpenForWrite,
  kReadWhole,
  kReadAt,
  kWriteAt,
  kAllocate,
  kSync,
  kRename,
  kRemove,
  kTruncate,
  kExists,
  kFileSize,
  kList,
  kCreateDirectories,
  kSyncDirectory,
  kLock,
  kSpace,
};

// Which calls fail. A run that fails call 1, 2, 3... until none failed has tried them all:
//
//   for (uint64_t n = 1;; ++n) {
//     plan.Fail({.nth = n});
//     ... run, check what was promised ...
//     if (!plan.failed()) break;
//   }
//   plan.Clear();
//
// Threads: one.
class FaultPlan {
 public:
  struct Rule {
    uint64_t nth = 1;                  // the first matching call after Fail() is 1
    uint64_t count = 1;                // how many matching calls fail from there on
    std::vector<FileCall> calls = {};  // empty: any
    std::string path_contains = {};    // empty: any
    int system_error = EIO;
  };

  // Replaces the rule and starts counting anew.
  void Fail(Rule rule);
  void Clear();
  bool failed() const { return failures_ > 0; }          // since Fail(): has a call failed?
  uint64_t matching_calls() const { return matching_; }  // since Fail()
  // Called before each call is made, failing or not: the place to take a CrashClone().
  void SetObserver(std::function<void(FileCall, const std::string& path)> observer);

  // For FaultFileSystem. The error that the call must return, 0 for none.
  int Next(FileCall call, const std::string& path);

 private:
  bool active_ = false;
  Rule rule_;
  uint64_t matching_ = 0;
  uint64_t failures_ = 0;
  std::function<void(FileCall, const std::string&)> observer_;
};

// Passes calls on to `base`, except those that `plan` fails. A failing WriteAt has written the
// first half of its bytes. Both outlive it and its files.
class FaultFileSystem : public FileSystem {
 public:
  FaultFileSystem(FileSystem* base, FaultPlan* plan) : base_(base), plan_(plan) {}

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
  Result<void> CreateDirectories(const std::string& directory) override;
  Result<void> SyncDirectory(const std::string& directory) override;
  Result<std::unique_ptr<DirectoryLock>> Lock(const std::string& path) override;
  Result<DiskSpace> Space(const std::string& directory) override;

 private:
  Result<void> Check(FileCall call, const std::string& path);

  FileSystem* const base_;
  FaultPlan* const plan_;
};

}  // namespace varve::engine::testing
