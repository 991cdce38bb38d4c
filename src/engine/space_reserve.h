#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "engine/env.h"
#include "engine/error.h"
#include "engine/options.h"

namespace varve::engine {

// Disk space that is kept for the time when there is no other: the file `reserve` in the database's
// directory, allocated and never written. Whoever needs room on a full disk borrows some, and the
// file is cut by as much. While it is not whole, the engine takes no writes but those that free
// space, so what was written before can always be flushed.
// A file and not a number: a user's quota shows nowhere, and other programs use the disk as well.
// Format:  docs/formats.md. A crash leaves a file of some size, which the next start takes over.
// Threads: any. is_short() and shortage() do not block; the others do, for the file system.
// Errors:  only kNoSpace says that the reserve is short; others (no more open files) change
// nothing.
class SpaceReserve {
 public:
  // Who borrows; each has a part, and leaves those of the ones before it untouched.
  enum class Use {
    kStart,       // a manifest and a small WAL segment
    kFlush,       // one at a time, which frees its WAL segment
    kDeletes,     // small WAL segments for commands that free space
    kCompaction,  // the largest step
  };
  // `flush_bytes`: what a flush may need, and the measure of the parts but the last, which follows
  // the tables.
  SpaceReserve(const Env& env, const Options& options, uint64_t flush_bytes);

  // Takes over the file that is there. A size that is not allocated (a copy with holes) is no room.
  void Open();
  // Called when Fill() has something to do, on any thread, maybe under locks: it must only post.
  void SetHook(Work hook);

  // Makes it whole, but for what is lent; as far as there is room. kNoSpace: it is short.
  Result<void> Fill();
  // A flush of up to so many bytes is to come: grows the flushes' part, or fails and changes
  // nothing.
  Result<void> CoverFlush(uint64_t bytes);
  // The largest flush to come is so large; what is more than it needs is let go of.
  void SetFlushBytes(uint64_t bytes);

  // What compactions may need, now that there are so many bytes of tables. Cheap if that is nothing
  // new.
  void SetTableBytes(uint64_t bytes);

  // Space that one who needs it has been given, until that one is done.
  class Lease {
   public:
    Lease(SpaceReserve& reserve, Use use) : reserve_(reserve), use_(use) {}
    ~Lease() { Return(); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    // Frees up to so many bytes of the disk. False: nothing is left for this use.
    bool Extend(uint64_t bytes);
    // From now on Fill() takes it back.
    void Return();

   private:
    SpaceReserve& reserve_;
    const Use use_;
    uint64_t bytes_ = 0;
  };

  bool is_short() const { return is_short_.load(std::memory_order_relaxed); }
  Error shortage() const;  // names the directory, what is free, and what is missing
  uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  uint64_t bytes_wanted() const { return bytes_wanted_.load(std::memory_order_relaxed); }
  // The error with what is free in the directory behind it, for those who read it.
  Error WithFreeBytes(const Error& error) const;

 private:
  uint64_t Lend(Use use, uint64_t bytes);
  void TakeBack(uint64_t bytes);
  Result<void> GrowTo(uint64_t bytes);  // needs mutex_
  Result<std::unique_ptr<WritableFile>> OpenFile();
  void CutTo(uint64_t bytes);  // needs mutex_
  uint64_t& PartOf(Use use) { return parts_[static_cast<size_t>(use)]; }
  void SetPart(Use use, uint64_t bytes);  // needs mutex_
  void SetShort(const Error& error);      // needs mutex_
  void SetWhole();                        // needs mutex_

  const Env env_;
  const std::string directory_;
  const std::string path_;
  const std::shared_ptr<spdlog::logger> logger_;
  const uint64_t unit_bytes_;  // of the part for compactions

  std::mutex mutex_;                 // held for calls of the file system
  std::array<uint64_t, 4> parts_{};  // by Use
  uint64_t lent_ = 0;
  Work hook_;
  std::atomic<uint64_t> bytes_{0};         // of the file; changed under mutex_
  std::atomic<uint64_t> bytes_wanted_{0};  // likewise

  std::atomic<bool> is_short_{false};
  mutable std::mutex text_mutex_;  // after mutex_; guards shortage_
  Error shortage_{Errc::kNoSpace, "", 0};
};

}  // namespace varve::engine
