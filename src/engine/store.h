#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/command_lock.h"
#include "engine/compaction_picker.h"
#include "engine/engine.h"
#include "engine/row_memory.h"
#include "engine/transaction_state.h"
#include "engine/tree.h"
#include "engine/version_lookup.h"
#include "engine/wal.h"
#include "engine/write_record.h"

namespace varve::engine {

// Everything that commands touch: databases, the rows in memory, versions, and who waits for what.
// Memory only; the I/O that it asks for runs on the executors and comes back through the Land...()
// members. Threads: all members under the command lock, mutex(), except where said otherwise.
class Store {
 public:
  // What the store asks of the background; called under the lock, must only post.
  struct Hooks {
    std::function<void()> writing;          // the first write after AskForTidying(), or of all
    std::function<void()> sealed;           // a generation waits to be flushed
    std::function<void(Lsn)> tree_dropped;  // a FLUSHDB was logged
    std::function<void()> memory_to_trim;   // until TrimRowMemory() is done
    std::function<void()> key_sets_wanted;  // a tree's tables should have key sets
  };

  Store(const Env& env, const Options& options, const PositionSecret& secret,
        const SpaceReserve& reserve);

  CommandLock& mutex() { return mutex_; }
  const PositionSecret& secret() const { return secret_; }

  // ---- Commands: the members of Guard. The state is the caller's transaction's.
  Lookup Get(TransactionState& state, int db, std::string_view key);
  Presence Contains(TransactionState& state, int db, std::string_view key);
  void Put(TransactionState& state, int db, std::string_view key, Value value);
  Presence Delete(TransactionState& state, int db, std::string_view key);
  std::optional<uint64_t> KeyCount(TransactionState& state, int db);
  std::optional<ScanPage> Scan(TransactionState& state, int db, ScanToken from, size_t count_hint);
  std::optional<std::optional<std::string>> RandomKey(TransactionState& state, int db);
  void Prefetch(TransactionState& state, int db, std::string_view key);
  void Warm(int db, std::span<const std::string_view> keys) const;
  Outcome Commit(TransactionState& state);
  void BeginRun(TransactionState& state);
  void EndCommand(TransactionState& state);
  void Wait(TransactionState& state, Work resume, BlockReader* reader);

  // ---- Start: before commands run, on one thread.
  void SetHooks(Hooks hooks) { hooks_ = std::move(hooks); }
  void AddTree(int db, std::shared_ptr<Tree> tree);
  std::atomic<uint64_t>& next_number() { return next_number_; }
  // Applies one WAL record's payload that was found in segment `generation`.
  Result<void> Replay(uint64_t generation, std::string_view payload);
  // The WAL is open and takes records from now on.
  void StartWriting(Wal* wal);

  // ---- Background: flush, compaction, drops.
  std::shared_ptr<Generation> OldestSealed() const;
  // The one that will be the oldest when that is flushed: the log is needed from there on.
  uint64_t GenerationBehindOldest() const;
  // On a full disk: what deletes have been made goes to be flushed, however little it is, since it
  // frees no space in memory.
  void SealDeletes();
  // Evicts a few rows, and takes in a segment that is ready to be written to.
  struct Trimmed {
    bool done = false;
    bool wants_spare = false;  // one more such segment
    // To be let go of outside the lock.
    std::vector<std::shared_ptr<const void>> indexes;
  };
  Trimmed TrimRowMemory(Segment::Pointer spare);
  // A tree's next version. Only the background strand makes versions, so it makes them outside the
  // lock; what was installed before goes out with the change, to be let go of outside the lock too.
  struct Change {
    std::shared_ptr<Tree> tree;
    std::shared_ptr<const Version> version = nullptr;
    uint64_t bytes_read = 0;           // of tables, by the flush or compaction that made it
    uint64_t bytes_written = 0;        // to tables
    uint64_t value_bytes_written = 0;  // to value files
  };
  // The generation is in these versions now, and the manifest says so. Returns those who waited.
  [[nodiscard]] std::vector<Work> InstallFlush(const Generation& generation,
                                               std::vector<Change>& changes, uint64_t elapsed_us);
  void InstallCompaction(Change& change);
  void SetCompactionDebt(const CompactionDebt& debt);
  // Space was given back, `bytes_freed` of value files.
  void InstallCollection(Change& change, uint64_t bytes_freed);
  void SetCollectionPressure(double pressure);
  // Seals the active memtables, if the next segment is there and they hold anything: all of them,
  // or only where they hide so many rows of tables that a flush frees more than it costs.
  bool SealActive(bool only_if_worthwhile);
  bool has_active_rows() const { return !active_.members.empty(); }
  // Everything is tidy: the next write calls the hook `writing`.
  void AskForTidying() { is_tidy_ = true; }
  std::vector<std::shared_ptr<Tree>> LiveTrees() const;
  // The drops recorded in generations up to `generation` (flush), or up to `lsn`.
  std::vector<TreeDrop> DropsUpTo(uint64_t generation, Lsn lsn) const;
  void ForgetDrops(const std::vector<TreeDrop>& persisted);
  // The last flush or compaction failed (or nothing, again): for INFO.
  void SetBackgroundError(std::optional<Error> error) { background_error_ = std::move(error); }
  // The last flush failed, or passed: writers that find no room until it passes are refused with
  // it. Returns those who waited.
  [[nodiscard]] std::vector<Work> SetFlushError(std::optional<Error> error);
  // Nothing can be written any more, ever (a manifest write failed), or the engine closes.
  [[nodiscard]] std::vector<Work> RefuseWrites(Error error);
  uint64_t table_bytes() const;                                          // of files
  const CompactionLimits& compaction_limits() const { return limits_; }  // any thread: constant
  // Whether there is memory for more key sets, filters and indexes being needed more. Any thread.
  bool has_key_set_room() const { return has_key_set_room_.load(std::memory_order_relaxed); }
  // A table of a current version that lacks its key set and should have it, while there is room.
  std::shared_ptr<Table> TableWithoutKeySet() const;
  void NoteIndexLoaded(uint64_t bytes);

  // ---- Figures and settings.
  void FillStats(Stats& stats) const;
  void ResetStats();
  void SetMemoryBytesMax(uint64_t bytes);
  void SetWriteBufferBytes(uint64_t bytes);
  // Memory outside the engine that the limit covers: by how much it has changed.
  void AddForeignBytes(int64_t bytes);
  uint64_t write_delay_us() const;  // any thread
  size_t loads_in_flight() const { return loads_in_flight_; }
  Lsn log_end() const { return wal_->end(); }

 private:
  struct LoadKey {
    TreeId tree;
    Position position;
    std::string key;
    bool operator==(const LoadKey&) const = default;
  };
  struct LoadKeyHash {
    size_t operator()(const LoadKey& key) const { return key.position ^ key.tree; }
  };
  // A row on its way from the tables to memory. A write to its key takes it out of loads_
  // and marks it stale: what it brings is then too old to be kept.
  struct Load {
    Miss miss;
    std::shared_ptr<const Version> version;
    std::vector<TransactionState*> waiters;
    bool stale = false;
  };
  // A blind write whose key may or may not have been live in the tables beneath it.
  struct Settling {
    std::shared_ptr<Tree> tree;
    std::shared_ptr<TreeMemtable> memtable;
    std::shared_ptr<const Version> version;
    Position position;
    std::string key;
  };
  enum class Room { kYes, kWait, kRefused };

  // Reading.
  Existence FindBeneath(const Tree& tree, Position position, std::string_view key) const;
  Presence Fault(TransactionState& state, int db, Position position, std::string_view key);

  // Writing.
  Outcome Fault(TransactionState& state);
  static Value WithOwner(Value value);  // large ones are held, not copied, from here on
  Room MakeRoom(TransactionState& state, size_t payload_bytes);
  bool MakeSettlingRoom(TransactionState& state);
  void Seal();
  TreeMemtable& ActiveOf(const std::shared_ptr<Tree>& tree);
  RowMemory::Known Write(Tree& tree, const Row& row, const Value& value);
  void Apply(const WriteSet::Write& write);
  void ApplyPut(const std::shared_ptr<Tree>& tree, const Row& row, const Value& value);
  void ApplyDelete(const std::shared_ptr<Tree>& tree, Position position, std::string_view key);
  void ReplaceTree(int db, TreeId new_tree, uint64_t generation, Lsn lsn);
  uint64_t ActiveBytes() const;
  uint64_t IndexBytes() const;

  // Loading.
  void StartLoad(const Miss& miss, TransactionState* waiter, BlockReader& reader);
  void LandLoad(const std::shared_ptr<Load>& load, const VersionLookup::Outcome& found);
  RowMemory::Pin KeepLoaded(const Miss& miss, const std::optional<LoadedRow>& loaded);
  void StartRangeLoad(const ScanRange::Request& request, TransactionState* waiter);
  void StartSettling(const std::shared_ptr<Tree>& tree,
                     const std::shared_ptr<TreeMemtable>& memtable, Position position,
                     std::string_view key);
  void RunSettling(const Settling& settling);
  void LandSettling(const Settling& settling, const VersionLookup::Outcome& found);
  static void Arrive(TransactionState* waiter, std::vector<Work>& resumed);
  void TakeWaiters(std::vector<TransactionState*>& waiters, std::vector<Work>& resumed);

  void UpdateBudgets();
  void ShareMemory();
  void StartTrimming();
  uint64_t IndexBytesMax() const;
  template <typename Visit>
  void ForEachIndexed(Visit visit) const;
  void DropIndexes(std::vector<std::shared_ptr<const void>>& dropped);
  void WantKeySets(Tree& tree);
  void UpdatePacing();
  void PayForWrite(uint64_t bytes);
  void NoteFlushRate(uint64_t bytes, uint64_t elapsed_us);

  const Env env_;
  const Options options_;
  const PositionSecret secret_;
  const SpaceReserve& reserve_;
  CompactionLimits limits_;
  std::atomic<uint64_t> next_number_{0};

  CommandLock mutex_;
  Hooks hooks_;
  Wal* wal_ = nullptr;
  WriteRecordBuilder record_;  // of the commit that is under way
  std::array<std::shared_ptr<Tree>, kDatabaseCount> databases_;
  RowMemory memory_;
  bool trimming_ = false;     // the background has been asked to
  bool is_tidy_ = true;       // nothing was written since the background has tidied up
  uint64_t index_bytes_ = 0;  // of filters and indexes, as far as is known
  std::atomic<bool> has_key_set_room_{true};
  uint64_t blind_writes_ = 0;  // since key sets were last asked for
  size_t index_hand_ = 0;      // tables that DropIndexes() has passed, in its round
  int64_t foreign_bytes_ = 0;

  uint64_t generation_ = 0;  // of the active memtables: the number of the WAL's active segment
  Generation active_;
  bool frees_space_ = false;                        // it holds deletes that a full disk waits for
  std::deque<std::shared_ptr<Generation>> sealed_;  // oldest first
  std::vector<TreeDrop> drops_;                     // not in the manifest yet, oldest first
  uint64_t memory_bytes_max_;
  uint64_t write_buffer_bytes_;  // as configured; write_buffer_limit() is what counts
  std::optional<Error> background_error_;
  std::optional<Error> flush_error_;
  std::optional<Error> write_refusal_;

  std::unordered_map<LoadKey, std::shared_ptr<Load>, LoadKeyHash> loads_;
  size_t loads_in_flight_ = 0;  // of all kinds, stale ones and settling ones too
  size_t settling_ = 0;
  std::vector<TransactionState*> room_waiters_;
  std::vector<TransactionState*> settling_waiters_;
  uint64_t room_wait_began_us_ = 0;

  // Pacing. While there is debt, each write costs time at the admitted rate; who wrote pauses until
  // what was admitted is paid for.
  double flushed_bytes_per_us_ = 64;  // what flushes reach; a guess before the first one
  double paced_bytes_per_us_ = 0;
  double collection_pressure_ = 0;
  CompactionDebt debt_;
  std::atomic<bool> is_paced_{false};
  std::atomic<uint64_t> paid_until_us_{0};

  Stats counters_;  // the counting ones
};

}  // namespace varve::engine
