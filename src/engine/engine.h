#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/env.h"
#include "engine/error.h"
#include "engine/options.h"
#include "engine/value.h"

// The storage engine: 16 databases of keys and values, each a log-structured merge tree ordered by
// a hash of the key. All commands run under one lock, which a Guard holds, and nothing that runs
// under it does I/O: an operation that needs a row which only a table has reports a fault; the
// caller then lets go of the lock, waits until the row has been loaded, and runs the whole command
// again (DESIGN: docs/architecture.md). One command looks like this:
//
//   Transaction transaction;                     // one per connection, used again and again
//   for (;;) {
//     Guard guard(engine, transaction);          // takes the lock; may serve many commands
//     guard.Begin();
//     ... guard.Get(), guard.Put() ...           // on a fault: return early, change nothing else
//     Outcome outcome = guard.Commit();
//     if (outcome == Outcome::kWait) { guard.Wait(resume); release; suspend until resumed; again }
//     if (outcome == Outcome::kRefused) reply with guard.refusal()
//   }
//   engine.WriteLog(guard's log_end())           // outside the lock, before the reply is sent
namespace varve::engine {

class EngineCore;
class TransactionState;

using Lsn = uint64_t;  // a point in the WAL: count of the bytes ever appended to it

enum class Presence {
  kAbsent,
  kPresent,
  kFault,  // not known without a read; Commit() will answer kWait (or kRefused if the read failed)
};

struct Lookup {
  Presence presence = Presence::kAbsent;
  ValueType type = ValueType::kString;
  // Valid until the next call of Commit(), Rollback() or Begin(). `value.owner` is set for large
  // values and may be kept for as long as one likes: nobody changes those bytes.
  Value value;
};

enum class Outcome {
  kDone,     // all changes are applied, as one WAL record
  kWait,     // nothing is applied: call Wait(), release the lock, run the command again
  kRefused,  // nothing is applied: see refusal()
};

// The cursor of SCAN: the top 48 bits of the position to go on from. 0 is the start, and the end.
using ScanToken = uint64_t;

struct ScanPage {
  std::vector<std::string> keys;  // in no order that a user would know; each of them live
  ScanToken next = 0;             // 0: there are no more
};

// What one command, EXEC or script keeps from run to run until it succeeds: its write set, and the
// rows that it has loaded, which stay in memory until it ends. Empty between commands.
// Threads: one at a time. Lifetime: destroyed before the engine, and not while a Wait() is pending;
// if its last Commit() answered kWait, after a Rollback().
class Transaction {
 public:
  Transaction();
  ~Transaction();
  Transaction(Transaction&&) noexcept;
  Transaction& operator=(Transaction&&) noexcept;

 private:
  friend class Guard;
  std::unique_ptr<TransactionState> state_;
};

// Figures for INFO; bytes unless the name says otherwise.
struct LevelStats {
  uint64_t tables = 0;
  uint64_t bytes = 0;
};
struct Stats {
  // memory
  uint64_t memtable_bytes = 0, sealed_memtable_bytes = 0, sealed_memtables = 0;
  uint64_t row_cache_bytes = 0, row_cache_bytes_max = 0, row_cache_rows = 0;
  uint64_t filter_index_bytes = 0;
  // reads
  uint64_t memory_hits = 0, row_cache_evictions = 0;
  uint64_t faults = 0, loads = 0, loads_joined = 0, loads_stale = 0, load_blocks_read = 0;
  uint64_t settling_loads = 0, settling_pending = 0;
  // writes
  uint64_t wal_records = 0, wal_bytes = 0, wal_syncs = 0, wal_segments = 0;
  uint64_t flushes = 0, compactions = 0, flush_bytes_written = 0;
  uint64_t compaction_bytes_read = 0, compaction_bytes_written = 0;
  uint64_t value_bytes_written = 0;  // to value files, by flush and collection
  uint64_t value_bytes_read = 0;     // by collection
  uint64_t value_collections = 0, value_bytes_collected = 0;  // given back
  double collection_pressure = 0;                             // as compaction_pressure
  uint64_t write_waits = 0, longest_write_wait_us = 0, write_delay_us = 0;
  uint64_t compaction_debt = 0;
  uint64_t compactions_running = 0;
  double compaction_pressure = 0;  // from 1.0 on a step is due
  // files
  std::vector<LevelStats> levels;
  uint64_t table_bytes = 0;
  uint64_t value_files = 0, value_file_bytes = 0, value_live_bytes = 0;
  // since the start
  uint64_t recovered_records = 0, recovered_bytes = 0, recovery_us = 0;
  std::string write_error;  // empty: writes are accepted
  uint64_t disk_free_bytes = 0, disk_reserve_bytes = 0, disk_reserve_bytes_wanted = 0;
  std::string wal_preparation_error;  // why there is no next WAL segment, empty when there is one
  std::string background_error;  // of the last failed flush or compaction, empty when it passed
};

class Engine {
 public:
  // Opens or creates the database and recovers what the WAL holds. Blocks. Errors: kCorruption
  // (names file and offset, and is never repaired silently), kInvalidArgument (the directory is in
  // use, a newer format), kIo. `env` outlives the engine.
  static Result<std::unique_ptr<Engine>> Open(const Env& env, Options options);
  // As Close(). No Guard is alive, no Wait() or WhenDurable() is pending.
  ~Engine();

  // Makes the log durable and stops the background work. Blocks. Reads and writes fail afterwards.
  Result<void> Close();

  // Outside the lock: sees to it that the WAL's bytes up to `lsn` are in the kernel, so that a
  // killed process loses none of them. Blocks for one write(2), for all callers together.
  Result<void> WriteLog(Lsn lsn);
  // Outside the lock: the same, and synced, on the calling thread. Blocks for the disk.
  Result<void> SyncLog(Lsn lsn);
  // Outside the lock: calls `done` from any thread once the WAL is durable up to `lsn` (written and
  // synced, whatever the sync mode), or has failed. Does not block.
  void WhenDurable(Lsn lsn, std::function<void(Result<void>)> done);

  // How far the WAL has been written. Any thread.
  Lsn log_written() const;

  SyncMode sync_mode() const;  // any thread

  // How long a client that writes is asked to pause now, by the debt of flush and compaction; 0
  // almost always. Any thread.
  uint64_t write_delay_us() const;

  // Merges all that is there now into the last level, in the background. Any thread; only posts.
  void Compact();

  // Any thread; take the lock for a moment.
  Stats stats();
  void SetSyncMode(SyncMode mode);
  void SetMemoryBytesMax(uint64_t bytes);
  // Memory outside the engine (clients' buffers) that the limit covers: by how much it has changed.
  void AddForeignBytes(int64_t bytes);
  void SetWriteBufferBytes(uint64_t bytes);
  void SetLastLevelCompression(LastLevelCompression compression);  // of tables written from now on
  void ResetStats();                                               // counters, not sizes

 private:
  friend class Guard;
  explicit Engine(std::unique_ptr<EngineCore> core);
  std::unique_ptr<EngineCore> core_;
};

// Holds the command lock; every operation on data is a member, so none can be called without it.
// `db` is 0..kDatabaseCount-1. Keys and values are any bytes; views passed in must stay valid until
// Commit(), Rollback() or Begin(). Reads see the changes of the command itself first.
class Guard {
 public:
  Guard(Engine& engine, Transaction& transaction);
  ~Guard();  // drops what was not committed and releases the lock
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

  // Starts a command (or its next run): the write set is empty.
  void Begin();

  // Behind Begin(): this command frees space (DEL and the like), so on a full disk, where others
  // are refused, it may use what is kept for that.
  void UseReserve();

  Lookup Get(int db, std::string_view key);
  Presence Contains(int db, std::string_view key);
  // Never faults by itself: whether the key existed is settled behind the reply when unknown.
  // A value of kSharedValueBytes or more should have an owner, or it is copied.
  void Put(int db, std::string_view key, Value value);
  // Says whether the key was there; on kFault nothing is recorded.
  Presence Delete(int db, std::string_view key);
  // Removes all keys of `db`, at once for any size; files go in the background.
  void Clear(int db);
  // The exact number of live keys; nothing on a fault.
  std::optional<uint64_t> KeyCount(int db);
  // About `count_hint` live keys from `from` on, never splitting keys that share a token. Each key
  // that is live during the whole walk is returned exactly once. Nothing on a fault. The write set
  // must be empty. `count_hint` is cut to kScanCountMax.
  std::optional<ScanPage> Scan(int db, ScanToken from, size_t count_hint);
  // A live key at random, or an empty optional inside when there is none; nothing on a fault.
  std::optional<std::optional<std::string>> RandomKey(int db);
  // A hint before a batch: starts to fetch the cache lines that commands on these keys will touch,
  // for the first kWarmKeysMax of them. With many rows nearly every lookup misses the processor's
  // caches, and a batch can wait for all of them at the same time instead of one by one.
  void Warm(int db, std::span<const std::string_view> keys);
  // Look-ahead: if a fault is waited for, this row will be loaded along. Called between a Commit()
  // that answered kWait and Wait(), for the keys of the commands that follow in the pipeline.
  void Prefetch(int db, std::string_view key);

  // Ends the command. With an empty write set kDone costs nothing.
  Outcome Commit();
  // Drops the write set and any fault: the command ended in an error reply of its own.
  void Rollback();
  // After kRefused: what stands against it.
  const Error& refusal() const;
  // After kWait, before the lock is released: starts the loads (or waits for room); `resume` is
  // called once, from any thread, never from within Wait(), when the command may run again. A few
  // rows are read by `reader`, if there is one, on whose thread they also land; many by the Env's,
  // so that its thread has time for others.
  void Wait(Work resume, BlockReader* reader = nullptr);

  // The end of the WAL as of the last Commit(): what WriteLog() and WhenDurable() take.
  Lsn log_end() const;

 private:
  EngineCore& core_;
  TransactionState& state_;
};

inline constexpr size_t kScanCountMax = 4096;
inline constexpr size_t kWarmKeysMax = 64;

}  // namespace varve::engine
