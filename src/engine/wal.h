#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/env.h"
#include "engine/error.h"
#include "engine/options.h"
#include "engine/space_reserve.h"
#include "engine/value.h"

namespace varve::engine {

using Lsn = uint64_t;  // count of the bytes ever appended, record headers included

// One record's payload, in pieces that follow each other: small ones are copied, large ones
// (kSharedValueBytes or more) are held until they are written.
struct WalRecord {
  std::string_view head;            // copied
  std::vector<Value> large_values;  // each behind the head, in this order; usually none
  size_t size() const;
};

struct WalStats {
  uint64_t records = 0, bytes = 0, syncs = 0, segments = 0;
};

// The write-ahead log: a sequence of segments, files of `segment_bytes` that are allocated before
// they are needed and recycled (renamed) when nothing in them is needed any more. One segment holds
// the records of one memtable generation: the engine seals its memtables when it rotates.
// Format:  wal_format.h, docs/formats.md. A record's checksum covers the segment number, so that
//          what a recycled file held before cannot pass. Each segment's header states its base LSN,
//          so the end of its predecessor is known. Each write ends in a sync point ("durable up to
//          LSN x"), which the next one overwrites; after a sync it is renewed, before those who
//          wait are answered.
// Threads: members marked [lock] under the engine's command lock, where they do no I/O; all others
//          from any thread outside it.
// Errors:  the first failed write or sync is final: each later call returns it, and it is reported
//          to those who wait. A failure to prepare the next segment is not: it is tried again with
//          a growing pause, and preparation_error() tells it meanwhile.
class Wal {
 public:
  // Starts a new segment `number` at `base` (created, durable in its directory; blocks). `spare`:
  // paths of old segments that may be recycled. `segment_bytes` is a segment's normal size; a
  // record that is larger gets a segment of its own size by PrepareNext(). `reserve`: is kept whole
  // from now on; space for segments comes second.
  static Result<std::unique_ptr<Wal>> Open(const Env& env, const Options& options,
                                           uint64_t segment_bytes, uint64_t number, Lsn base,
                                           std::vector<std::string> spare,
                                           std::shared_ptr<SpaceReserve> reserve);
  // All executors have stopped working for it.
  ~Wal();

  // [lock] Whether a record of this payload size fits into the active segment.
  bool Fits(size_t payload_bytes) const;
  // [lock] Whether the next segment is ready and a record of this size would fit into it.
  bool NextFits(size_t payload_bytes) const;
  // [lock] Goes over to the next segment; needs NextFits(0). Returns its number.
  uint64_t Rotate();
  // [lock] Appends to memory; needs Fits(record.size()). Returns the LSN behind the record.
  Lsn Append(const WalRecord& record);
  // [lock]
  Lsn end() const;
  uint64_t segment_number() const;      // the active one
  uint64_t segment_bytes_used() const;  // of the active one
  // [lock] Sees to it that a next segment becomes ready in which `payload_bytes` fit; `done` is
  // called (any thread, no lock held) when it is, or when the attempt failed. Done by itself after
  // each Rotate() for the normal size. Numbers may have gaps: a segment that proved too small
  // before it came into use is dropped. Who frees space may use the reserve for it.
  void PrepareNext(size_t payload_bytes, bool may_use_reserve, Work done);
  // What keeps the next segment from being ready, if anything. Any thread.
  Result<void> preparation_error(bool may_use_reserve) const;
  // The first failed write or sync; it never goes away. Any thread; cheap.
  Result<void> write_error() const;

  // Writes all bytes up to `lsn` to the files; who comes first writes for all. Blocks for write(2).
  // What is written already stays so, whatever failed since.
  Result<void> WriteUpTo(Lsn lsn);
  // Makes the log durable up to `lsn` on the calling thread. Blocks.
  Result<void> SyncUpTo(Lsn lsn);
  // Calls `done` when the log is durable up to `lsn`, or has failed; never from within the call
  // unless it is durable already. Writing and syncing is done on env.log; while one sync runs, the
  // others gather (group commit).
  void WhenDurable(Lsn lsn, std::function<void(Result<void>)> done);
  Lsn written() const;
  Lsn durable() const;
  // `kEverySecond`: syncs each second what was written (timer on env.log). `kAlways`, `kNever`:
  // only for those who call WhenDurable().
  void SetSyncMode(SyncMode mode);
  // Segments below `number` (at most the active one's) are not needed any more, durably: the
  // manifest says so. They are recycled (a few) or removed, on env.log.
  void Release(uint64_t number);
  // Stops the timer, writes and syncs everything. Blocks. Nothing may be appended afterwards.
  Result<void> Close();

  WalStats stats() const;
  void ResetStats();

 private:
  struct State;
  explicit Wal(std::shared_ptr<State> state);
  const std::shared_ptr<State> state_;
};

std::string WalPath(const std::string& directory, uint64_t number);  // <dir>/wal-<number>.log

// What RecoverWal() found.
struct WalRecovery {
  uint64_t next_number = 1;  // for Wal::Open(): above every segment file that exists
  Lsn end = 0;               // of the last record that counts: the base of the new segment
  uint64_t records = 0, bytes = 0;
  uint64_t segments = 0;           // that were read
  std::vector<std::string> spare;  // segment files below `oldest`: may be recycled
  std::string cut;                 // empty, or what was cut off a torn tail, for the log
};

// Reads all segments from `oldest` on, in order, and hands each record's payload (a view valid
// during the call) to `apply`, with its segment's number. Segments are read in large steps, not
// whole; a record is in memory once. Blocks.
//
// A record that is torn or damaged: if a valid sync point behind it (in its segment or a later one)
// says that it was durable, it is corruption: kCorruption naming file, offset and `varve-check`.
// Otherwise it is the torn tail: the log ends there, and what follows (in later segments too; those
// files are removed, durably) is dropped, since it had not been promised. A log that begins behind
// `oldest` is corruption too, if it shows that there was something before. What counts is synced,
// so that it stays even if the process had been killed with unsynced bytes in the kernel.
Result<WalRecovery> RecoverWal(
    const Env& env, const std::string& directory, uint64_t oldest,
    const std::function<Result<void>(uint64_t segment, std::string_view payload)>& apply);

}  // namespace varve::engine
