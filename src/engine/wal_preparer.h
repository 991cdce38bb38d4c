#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/env.h"
#include "engine/error.h"
#include "engine/options.h"
#include "engine/wal_segment.h"

namespace varve::engine {

// Keeps the WAL's next segment ready before it is needed, and recycles old files for it.
// Threads: TakeNext() under the command lock; the others from any. Files are made on env.log.
// Errors:  a failure is tried again with a growing pause (a full disk may get room), and error()
//          tells it meanwhile.
class WalPreparer : public std::enable_shared_from_this<WalPreparer> {
 public:
  // Segments get the numbers from `next_number` on, and room for at least `segment_bytes`.
  WalPreparer(const Env& env, const Options& options, uint64_t segment_bytes, uint64_t next_number);

  // Blocks: makes a segment at once, in use from `base` on, for Wal::Open().
  Result<std::shared_ptr<WalSegment>> MakeFirst(Lsn base);
  // Adds old segment files, of which a few are kept for recycling and the others removed. Blocks.
  Result<void> AddSpare(std::vector<std::string> paths);
  // The same with all segment files below `number`. On env.log.
  Result<void> RecycleBelow(uint64_t number);

  // See Wal::PrepareNext().
  void Prepare(size_t payload_bytes, Work done);
  // Whether the next segment is there and a record of this size fits into it. Does not block.
  bool Fits(size_t payload_bytes) const;
  // Needs Fits(0).
  std::shared_ptr<WalSegment> TakeNext();
  Result<void> error() const;
  void Stop();  // nothing is prepared any more

 private:
  void Post(uint64_t delay_us);
  void Run();  // on env.log
  void Attempt(uint64_t payload_bytes);
  Result<void> MakeNext(uint64_t file_bytes);
  Result<std::shared_ptr<WalSegment>> Make(uint64_t file_bytes, std::optional<Lsn> base);

  const Env env_;
  const std::string directory_;
  const std::shared_ptr<spdlog::logger> logger_;
  const uint64_t segment_bytes_;

  // By one thread at a time: first by Wal::Open(), then on env.log.
  uint64_t next_number_;
  const bool zero_fill_;  // of new segments: pays when each record is synced
  std::vector<std::string> spare_;

  std::atomic<uint64_t> next_data_bytes_{0};  // that fit into next_; 0: there is none

  mutable std::mutex mutex_;  // guards all below
  std::shared_ptr<WalSegment> next_;
  uint64_t wanted_payload_bytes_ = 0;
  std::vector<Work> waiting_;
  bool is_asked_ = false;   // since the last attempt began
  bool is_posted_ = false;  // Run() will come
  bool is_stopped_ = false;
  uint64_t pause_us_ = 0;  // until the next attempt, after a failure
  Result<void> error_;
};

}  // namespace varve::engine
