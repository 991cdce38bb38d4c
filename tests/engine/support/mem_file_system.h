#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "engine/env.h"

namespace varve::engine::testing {

// A file system in memory that knows what a power loss would leave: bytes are durable once their
// file was synced, names once their directory was.
//
//   MemFileSystem files;
//   ... run the code under test on it ...
//   auto after = files.CrashClone(seed);   // what the disk could hold if the power failed now
//   ... recover on *after; the code under test may be destroyed at leisure, on its own disk ...
//
// Paths are compared as text ("a//b" is not "a/b"); directories themselves are durable at once.
// Threads: any.
class MemFileSystem : public FileSystem {
 public:
  MemFileSystem();
  ~MemFileSystem() override;

  // A disk of its own with what is durable here, plus a random part of the rest: of all unsynced
  // creations, renames and removals a prefix; of each unsynced 4 KiB page nothing, all, or the
  // bytes up to a random point; of a size that was not synced any in between. The same seed gives
  // the same disk. Seed 0 keeps only what is durable.
  std::unique_ptr<MemFileSystem> CrashClone(uint64_t seed) const;
  // What a killed process leaves: all that was written, synced or not.
  std::unique_ptr<MemFileSystem> KillClone() const;

  // For tests of damage, the bytes at once durable. The file must exist, and hold the offset.
  void Corrupt(const std::string& path, uint64_t offset);  // flips one bit
  void CutOff(const std::string& path, uint64_t size);
  // Creates or replaces; durable with its name.
  void Write(const std::string& path, std::string bytes);

  // Growing files beyond this sum fails with kNoSpace. Default: no limit.
  void SetCapacity(uint64_t bytes);
  uint64_t used_bytes() const;  // sizes of all files that have a name
  // Names whose creation, rename or removal a crash could still lose, and files whose bytes are.
  size_t unsynced_name_changes() const;
  bool IsSynced(const std::string& path) const;

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
  struct Inode;
  class ReadHandle;
  class WriteHandle;
  class LockHandle;
  using InodePtr = std::shared_ptr<Inode>;
  // One change of the name space that is not durable yet: `path` now is `inode`, or gone (null).
  // A rename is two of them that survive together (`with_next`).
  struct NameChange {
    std::string path;
    InodePtr inode;
    bool with_next = false;
  };

  Result<InodePtr> Find(const std::string& path, const char* call) const;  // needs mutex_
  Result<void> RequireDirectory(const std::string& path, const char* call) const;
  void SetName(const std::string& path, InodePtr inode, bool with_next);
  Result<void> CheckRoom(uint64_t more_bytes, const std::string& what) const;
  uint64_t UsedBytes() const;

  // shared_ptr: handles may outlive the file system's destruction in a failing test.
  const std::shared_ptr<std::mutex> mutex_ = std::make_shared<std::mutex>();
  std::map<std::string, InodePtr> names_;
  std::map<std::string, InodePtr> durable_names_;
  std::vector<NameChange> unsynced_;
  std::set<std::string> directories_;
  const std::shared_ptr<std::set<std::string>> locks_ = std::make_shared<std::set<std::string>>();
  uint64_t capacity_bytes_ = std::numeric_limits<uint64_t>::max();
};

}  // namespace varve::engine::testing
