#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/error.h"

// All that the engine takes from the outside: files, time, randomness, threads. Given to it at
// construction, so that tests put a simulated disk and scheduler in its place; nothing else in the
// engine calls the system. Paths are plain strings, absolute or relative to the working directory.
namespace varve::engine {

// A file that is read at random. Threads: any number at once.
class RandomAccessFile {
 public:
  virtual ~RandomAccessFile() = default;
  // Fills `out`, blocking. A file that ends before that is kCorruption (it names path and offset).
  virtual Result<void> ReadAt(uint64_t offset, std::span<char> out) const = 0;
  virtual uint64_t size() const = 0;  // at the time of opening
  virtual const std::string& path() const = 0;
  // Hints, without an error: the bytes will be read soon; will not be needed again.
  virtual void WillNeed(uint64_t offset, uint64_t size) const = 0;
  virtual void DontNeed(uint64_t offset, uint64_t size) const = 0;
  // For a BlockReader that hands its reads to the system itself; -1: only ReadAt() reads it.
  virtual int descriptor() const { return -1; }
};

// A file that is written. Not closed with a sync: what was not synced may be lost.
// Threads: one writer at a time, except Sync(), which may run beside a write.
class WritableFile {
 public:
  virtual ~WritableFile() = default;
  // Writes the pieces one after the other at `offset`, blocking. EINTR and short writes are
  // retried; after an error any part of them may have been written.
  virtual Result<void> WriteAt(uint64_t offset, std::span<const std::string_view> pieces) = 0;
  // Makes sure that [0, size) can be written without ENOSPC, growing the file to `size` if shorter.
  virtual Result<void> Allocate(uint64_t size) = 0;
  // Makes all that was written before the call durable (fdatasync). Blocks. Never to be retried:
  // the kernel may have dropped the pages that it could not write.
  virtual Result<void> Sync() = 0;
  // A hint to start writing these bytes back and to drop clean ones from the page cache.
  virtual void StartWriteback(uint64_t offset, uint64_t size) = 0;
  virtual const std::string& path() const = 0;
};

// An exclusive lock on a directory, held until destroyed or until the process ends.
class DirectoryLock {
 public:
  virtual ~DirectoryLock() = default;
};

// Of the file system that a directory is on, as far as it can be used by us; quotas do not show.
struct DiskSpace {
  uint64_t free_bytes = 0;
  uint64_t total_bytes = 0;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual Result<std::unique_ptr<RandomAccessFile>> OpenForRead(const std::string& path) = 0;
  // Creates the file, or truncates it. The name is durable only after SyncDirectory().
  virtual Result<std::unique_ptr<WritableFile>> Create(const std::string& path) = 0;
  // Opens an existing file, its bytes kept.
  virtual Result<std::unique_ptr<WritableFile>> OpenForWrite(const std::string& path) = 0;
  virtual Result<std::string> ReadWhole(const std::string& path) = 0;
  virtual Result<void> Rename(const std::string& from, const std::string& to) = 0;  // replaces `to`
  virtual Result<void> Remove(const std::string& path) = 0;
  // Cuts the file to `size`, which is not above its size; needs no open file.
  virtual Result<void> Truncate(const std::string& path, uint64_t size) = 0;
  virtual Result<bool> Exists(const std::string& path) = 0;
  virtual Result<uint64_t> FileSize(const std::string& path) = 0;
  virtual Result<std::vector<std::string>> List(const std::string& directory) = 0;  // names only
  virtual Result<void> CreateDirectories(const std::string& directory) = 0;
  // Makes creations, renames and removals in `directory` durable.
  virtual Result<void> SyncDirectory(const std::string& directory) = 0;
  virtual Result<std::unique_ptr<DirectoryLock>> Lock(const std::string& path) = 0;
  virtual Result<DiskSpace> Space(const std::string& directory) = 0;
};

class Clock {
 public:
  virtual ~Clock() = default;
  virtual uint64_t UnixMs() const = 0;
  virtual uint64_t MonotonicUs() const = 0;
  // Blocks the calling thread. A simulated clock runs the executors' work meanwhile, so that one
  // who waits in a loop of sleeps makes progress on one thread too.
  virtual void SleepUs(uint64_t us) = 0;
};

class Random {
 public:
  virtual ~Random() = default;
  virtual void Fill(std::span<char> out) = 0;  // unpredictable bytes. Threads: any
};

using Work = std::function<void()>;

inline void RunAll(const std::vector<Work>& works) {
  for (const Work& work : works) work();
}

// Runs work on threads of its own. Threads: Post from any; Post never runs the work itself and
// never blocks. Whoever destroys an executor first sees to it that nothing needs its work: work
// that has not started by then is dropped.
class Executor {
 public:
  virtual ~Executor() = default;
  virtual void Post(Work work) = 0;
  virtual void PostAfter(uint64_t delay_us, Work work) = 0;
};

// Reads pieces of files, many at once, without a thread that waits for each.
// Threads: Post() from any. Whoever destroys it first sees to it that nothing is under way.
class BlockReader {
 public:
  virtual ~BlockReader() = default;
  // Runs short work, which never blocks and may call Read(), on a thread of the reader.
  virtual void Post(Work work) = 0;
  // Fills `out` as RandomAccessFile::ReadAt() does, and calls `done` on a thread of the reader,
  // maybe before it returns. Only from work that was posted, or from `done`. File and `out` stay
  // till then.
  virtual void Read(const RandomAccessFile& file, uint64_t offset, std::span<char> out,
                    std::function<void(Result<void>)> done) = 0;
};

// Reads with threads that wait. Lifetime: the executor outlives it.
class PoolBlockReader : public BlockReader {
 public:
  explicit PoolBlockReader(Executor* threads) : threads_(threads) {}
  void Post(Work work) override { threads_->Post(std::move(work)); }
  void Read(const RandomAccessFile& file, uint64_t offset, std::span<char> out,
            std::function<void(Result<void>)> done) override {
    done(file.ReadAt(offset, out));
  }

 private:
  Executor* const threads_;
};

struct Env {
  FileSystem* files;
  Clock* clock;
  Random* random;
  Executor* background;  // serial (a strand): flushes, plans, installs, deletes
  Executor* workers;     // parallel: merges
  Executor* log;         // serial: writes and syncs the WAL, prepares its segments
  Executor* reads;       // parallel: reads that block: filters, indexes, ranges, large blocks
  BlockReader* blocks;   // reads single blocks, for rows
};

}  // namespace varve::engine
