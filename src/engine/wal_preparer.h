#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/env.h"
#include "engine/error.h"
#include "engine/options.h"
#include "engine/space_reserve.h"
#include "engine/wal_segment.h"

namespace varve::engine {

// Keeps the WAL's next segment ready before it is needed, and recycles old files for it. Space goes
// to the reserve first: what a segment takes in must be sure of its flush. So while the reserve is
// short, nothing is recycled, and only who may use the reserve gets a segment, a small one.
// Threads: TakeNext() under the command lock; the others from any. Files are made on env.log.
// Errors:  a failure is tried again with a growing pause (a full disk may get room), and error()
//          tells it meanwhile.
class WalPreparer : public std::enable_shared_from_this<WalPreparer> {
 public:
  // Segments get the numbers from `next_number` on, and room for at least `segment_bytes`.
  WalPreparer(const Env& env, const Options& options, uint64_t segment_bytes, uint64_t next_number,
              std::shared_ptr<SpaceReserve> reserve);

  // Blocks: makes a segment at once, in use from `base` on, for Wal::Open(). On a full disk it is a
  // small one, and the reserve gives what it takes.
  Result<std::shared_ptr<WalSegment>> MakeFirst(Lsn base);
  // Adds old segment files, of which a few are kept for recycling and the others removed. Blocks.
  Result<void> AddSpare(std::vector<std::string> paths);
  // The same with all segment files below `number`. On env.log.
  Result<void> RecycleBelow(uint64_t number);

  // See Wal::PrepareNext().
  void Prepare(size_t payload_bytes, bool may_use_reserve, Work done);
  // Whether the next segment is there and a record of this size fits into it. Does not block.
  bool Fits(size_t payload_bytes) const;
  // Needs Fits(0).
  std::shared_ptr<WalSegment> TakeNext();
  // Of the last attempt; with the reserve, if one was made since.
  Result<void> error(bool may_use_reserve) const;
  void Stop();  // nothing is prepared any more

 private:
  void Post(uint64_t delay_us);  // needs mutex_
  void Run(uint64_t order);      // on env.log
  void Attempt(uint64_t payload_bytes, bool may_use_reserve);
  Result<void> FillReserve();
  Result<void> PrepareNext(uint64_t payload_bytes);
  Result<void> MakeNext(uint64_t file_bytes);
  Result<void> MakeSmallNext(uint64_t payload_bytes);
  void SetNext(std::shared_ptr<WalSegment> segment);
  void Note(const Result<void>& filled, Result<void> made);
  Result<std::shared_ptr<WalSegment>> Make(uint64_t file_bytes, std::optional<Lsn> base);
  Result<std::shared_ptr<WalSegment>> MakeFromReserve(uint64_t file_bytes, std::optional<Lsn> base,
                                                      SpaceReserve::Use use);
  uint64_t FileBytes(uint64_t payload_bytes, uint64_t least) const;
  Result<void> FindSegments();
  void SizeReserve();
  void Hurry();
  bool DropSpare();

  const Env env_;
  const std::string directory_;
  const std::shared_ptr<spdlog::logger> logger_;
  const uint64_t segment_bytes_;
  const uint64_t small_segment_bytes_;
  const std::shared_ptr<SpaceReserve> reserve_;

  // By one thread at a time: first by Wal::Open(), then on env.log.
  uint64_t next_number_;
  const bool zero_fill_;  // of new segments: pays when each record is synced
  std::vector<std::string> spare_;
  std::map<uint64_t, uint64_t> file_bytes_;  // by number, of segments whose flush is to come

  std::atomic<uint64_t> next_data_bytes_{0};  // that fit into next_; 0: there is none

  mutable std::mutex mutex_;  // guards all below
  std::shared_ptr<WalSegment> next_;
  uint64_t wanted_payload_bytes_ = 0;
  bool may_use_reserve_ = false;
  std::vector<Work> waiting_;
  bool is_asked_ = false;   // since the last attempt began
  bool is_posted_ = false;  // Run() will come
  uint64_t order_ = 0;      // of the last Post(): those before it do nothing
  bool is_stopped_ = false;
  uint64_t pause_us_ = 0;  // until the next attempt, after a failure
  Result<void> error_;
  Result<void> reserve_error_;  // of an attempt with the reserve, if the last one was
};

}  // namespace varve::engine
