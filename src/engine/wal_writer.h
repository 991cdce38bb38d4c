#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/env.h"
#include "engine/error.h"
#include "engine/options.h"
#include "engine/wal.h"
#include "engine/wal_buffer.h"
#include "engine/wal_segment.h"

namespace varve::engine {

// The way of the WAL's records from memory into segments and onto the disk. Appending copies into a
// buffer; who wants it written takes the whole buffer and writes for all.
// Threads: [lock] under the engine's command lock; the others from any, outside it.
// Errors:  the first failed write or sync is final: each later call that would have to write or
//          sync returns it. What was appended is then dropped.
class WalWriter {
 public:
  // `first` is in use; its bytes so far are durable.
  WalWriter(std::shared_ptr<spdlog::logger> logger, std::shared_ptr<WalSegment> first);

  bool Fits(size_t payload_bytes) const;                 // [lock]
  Lsn Append(const WalRecord& record);                   // [lock] needs Fits()
  void Rotate(std::shared_ptr<WalSegment> next);         // [lock]
  Lsn end() const { return end_; }                       // [lock]
  const WalSegment& active() const { return *active_; }  // [lock]
  uint64_t active_bytes_used() const;                    // [lock]

  // Writes what was appended, if that is needed to get up to `lsn`. Blocks.
  Result<void> WriteUpTo(Lsn lsn);
  // Writes and syncs all that was appended before the call. Blocks. One at a time.
  Result<void> Sync();
  // Writes what there is, and the active segment's start and end if that is nothing: so that the
  // next start does not take a segment that got no record for a torn one. Blocks.
  Result<void> WriteEnd();
  // Nothing below this segment has to be synced any more; its records are all written. Blocks.
  Result<void> Forget(uint64_t number);

  Lsn written() const { return written_.load(std::memory_order_acquire); }
  Lsn durable() const { return durable_.load(std::memory_order_acquire); }
  Result<void> error() const;
  WalStats stats() const;
  void ResetStats();

 private:
  Result<void> Drain(bool even_nothing = false);  // needs write_mutex_
  Result<void> Write(WalBuffer& buffer);          // needs write_mutex_
  Result<void> SyncFiles(const std::vector<std::shared_ptr<WalSegment>>& segments);
  Result<void> MarkDurable(Lsn lsn);
  tl::unexpected<Error> SetError(const Error& error);

  const std::shared_ptr<spdlog::logger> logger_;

  // Changed under the command lock and buffer_mutex_ both, so either is enough to read.
  std::shared_ptr<WalSegment> active_;
  Lsn end_;

  mutable std::mutex buffer_mutex_;  // guards pending_, records_, bytes_; held for a copy at most
  std::vector<WalBuffer> pending_;   // one for each segment since the last drain; never empty
  uint64_t records_ = 0;
  uint64_t bytes_ = 0;

  std::mutex write_mutex_;  // guards what is below, and the writing of files; before buffer_mutex_
  std::vector<WalBuffer> draining_;  // its memory is used again
  std::shared_ptr<WalSegment> newest_written_;
  std::vector<std::shared_ptr<WalSegment>> unsynced_;  // in order

  std::mutex sync_mutex_;  // one Sync() at a time; before write_mutex_
  std::atomic<Lsn> written_;
  std::atomic<Lsn> durable_;
  std::atomic<uint64_t> syncs_{0};

  std::atomic<bool> has_failed_{false};
  mutable std::mutex error_mutex_;
  Result<void> error_;
};

}  // namespace varve::engine
