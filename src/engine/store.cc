#include "engine/store.h"

#include <algorithm>

#include "engine/key_set.h"

namespace varve::engine {
namespace {

// Look-ahead for one fault: rows beyond that would only push each other out of a small cache.
constexpr size_t kLookAheadMax = 128;

// A command of many keys asks for so many missing rows in one run, plus a part of what has been
// loaded for it already: neither does it hold the lock for long, nor is it run again too often.
constexpr size_t kMissesMax = 256;
constexpr size_t kMissesPerPins = 16;

// What a command may have read on the thread that runs it.
constexpr size_t kReadByCallerMax = 8;

// Rows that a command looks at to evict some while there are too many: more than it adds.
constexpr size_t kEvictedPerCommand = 16;

// A record is read into memory whole by recovery, so there is a largest one.
constexpr size_t kTransactionBytesMax = size_t{2} << 30;

// Compaction works with at least this much, or its tables would be smaller than blocks.
constexpr uint64_t kWriteBufferBytesMin = 16 * 1024;

// What an operation adds to its key and value in a WAL record, at most.
constexpr size_t kOperationBytesMax = 16 + kRowHeaderBytesMax;

}  // namespace

Store::Store(const Env& env, const Options& options, const PositionSecret& secret,
             const SpaceReserve& reserve)
    : env_(env),
      options_(options),
      secret_(secret),
      reserve_(reserve),
      memory_(options.memory_bytes_max),
      memory_bytes_max_(options.memory_bytes_max),
      write_buffer_bytes_(options.write_buffer_bytes) {
  limits_.write_buffer_bytes = std::max(options.write_buffer_bytes, kWriteBufferBytesMin);
}

// ---- Reading

// What is known of a key that no row in memory has, without a read.
Existence Store::FindBeneath(const Tree& tree, Position position, std::string_view key) const {
  Existence existence = Existence::kAbsent;
  tree.version->ForEachCovering(position, [&](const std::shared_ptr<Table>& table) {
    if (table->index_loaded() && !table->MayContain(position)) return true;
    const KeySet* keys = table->key_set();
    if (keys == nullptr) {
      existence = Existence::kUnknown;
      return false;
    }
    const KeySet::Answer answer = keys->Find(position, key);
    if (answer == KeySet::Answer::kLive) existence = Existence::kLive;
    return answer == KeySet::Answer::kNothing;
  });
  return existence;
}

Lookup Store::Get(TransactionState& state, int db, std::string_view key) {
  const Position position = secret_.Of(key);
  const WriteSet::Write* write = nullptr;
  switch (state.writes.Find(db, position, key, &write)) {
    case WriteSet::Found::kPut:
      return {Presence::kPresent, write->type, write->value};
    case WriteSet::Found::kDeleted:
      return {};
    case WriteSet::Found::kNothing:
      break;
  }
  // This run is in vain, and has asked for enough.
  if (state.misses.size() >= kMissesMax + state.pins.size() / kMissesPerPins) [[unlikely]] {
    return {Presence::kFault, ValueType::kString, {}};
  }
  const Tree& tree = *databases_[db];
  if (const MemoryRow* row = tree.rows->table.Find(position, key)) {
    // A command that has waited for loads runs again, and meets rows that it has visited already.
    row->MarkVisited(!state.pins.empty());
    ++counters_.memory_hits;
    if (row->is_absent()) return {};
    return {Presence::kPresent, row->type(), row->value()};
  }
  if (FindBeneath(tree, position, key) == Existence::kAbsent) return {};
  return {Fault(state, db, position, key), ValueType::kString, {}};
}

Presence Store::Contains(TransactionState& state, int db, std::string_view key) {
  const Position position = secret_.Of(key);
  const WriteSet::Write* write = nullptr;
  const Tree& tree = *databases_[db];
  if (state.writes.Find(db, position, key, &write) == WriteSet::Found::kNothing &&
      tree.rows->table.Find(position, key) == nullptr &&
      FindBeneath(tree, position, key) == Existence::kLive) {
    return Presence::kPresent;
  }
  return Get(state, db, key).presence;
}

Presence Store::Fault(TransactionState& state, int db, Position position, std::string_view key) {
  const std::shared_ptr<Tree>& tree = databases_[db];
  for (const auto& [miss, error] : state.failures) {
    if (miss.tree == tree && miss.key == key) {
      state.refusal = error;
      return Presence::kFault;
    }
  }
  state.misses.push_back({tree, position, std::string(key)});
  return Presence::kFault;
}

void Store::Prefetch(TransactionState& state, int db, std::string_view key) {
  if (!state.needs_something() || state.misses.size() >= kLookAheadMax) return;
  const Position position = secret_.Of(key);
  const std::shared_ptr<Tree>& tree = databases_[db];
  if (tree->rows->table.Find(position, key) != nullptr) return;
  if (FindBeneath(*tree, position, key) != Existence::kAbsent)
    state.misses.push_back({tree, position, std::string(key)});
}

void Store::Warm(int db, std::span<const std::string_view> keys) const {
  const RowTable& table = databases_[db]->rows->table;
  std::array<Position, kWarmKeysMax> positions;
  const size_t count = std::min(keys.size(), kWarmKeysMax);
  for (size_t i = 0; i < count; ++i) {
    positions[i] = secret_.Of(keys[i]);
    table.PrefetchBucket(positions[i]);
  }
  // By now the first buckets have come; each leads to a row, which is another miss.
  for (size_t i = 0; i < count; ++i) table.PrefetchRow(positions[i]);
}

std::optional<uint64_t> Store::KeyCount(TransactionState& state, int db) {
  INVARIANT(state.writes.empty());
  const Tree& tree = *databases_[db];
  if (tree.count_error) {
    state.refusal = tree.count_error;
    return std::nullopt;
  }
  if (settling_ > 0) {
    state.settling_needed = true;
    return std::nullopt;
  }
  INVARIANT(tree.key_count >= 0);
  return static_cast<uint64_t>(tree.key_count);
}

std::optional<ScanPage> Store::Scan(TransactionState& state, int db, ScanToken from,
                                    size_t count_hint) {
  INVARIANT(state.writes.empty());
  if (from >= ScanToken{1} << (64 - kScanTokenShift)) return ScanPage{};
  const std::shared_ptr<Tree>& tree = databases_[db];
  const Position begin = from << kScanTokenShift;
  const size_t count = std::clamp<size_t>(count_hint, 1, kScanCountMax);

  std::erase_if(state.ranges, [](const auto& range) { return !range->IsCurrent(); });
  std::shared_ptr<const ScanRange> range;
  for (const auto& loaded : state.ranges) {
    if (loaded->request().tree == tree && loaded->request().begin == begin) range = loaded;
  }
  if (range == nullptr) {
    if (state.range_failure) {
      state.refusal = state.range_failure;
      return std::nullopt;
    }
    ScanRange::Request request{tree, tree->version, tree->flushed_generation, begin, count};
    if (!tree->version->empty()) {
      state.range_misses.push_back(std::move(request));
      return std::nullopt;
    }
    range = ScanRange::Empty(std::move(request));
  }
  std::optional<Position> next;
  ScanPage page{CollectLiveKeys(*range, count, &next), 0};
  if (next) page.next = *next >> kScanTokenShift;
  return page;
}

std::optional<std::optional<std::string>> Store::RandomKey(TransactionState& state, int db) {
  // Few enough to be quick, enough that a key behind a large gap is not much likelier than others.
  constexpr size_t kCandidates = 16;
  const Tree& tree = *databases_[db];
  if (tree.key_count == 0 && settling_ == 0) return std::optional<std::string>();
  uint64_t random = 0;
  env_.random->Fill({reinterpret_cast<char*>(&random), sizeof random});
  if (!state.random_position) state.random_position = random;
  ScanToken from = *state.random_position >> kScanTokenShift;
  for (bool wrapped = false;;) {
    std::optional<ScanPage> page = Scan(state, db, from, kCandidates);
    if (!page) return std::nullopt;
    if (!page->keys.empty()) return std::move(page->keys[random % page->keys.size()]);
    from = page->next;
    if (from != 0) continue;
    if (wrapped) return std::optional<std::string>();
    wrapped = true;
  }
}

// ---- Writing

void Store::Put(TransactionState& state, int db, std::string_view key, Value value) {
  state.writes.Put(db, secret_.Of(key), key, WithOwner(std::move(value)), ValueType::kString);
}

Value Store::WithOwner(Value value) {
  if (value.owner != nullptr || value.bytes.size() < kSharedValueBytes) return value;
  value.owner = std::make_shared<const std::string>(value.bytes);
  value.bytes = *value.owner;
  return value;
}

Presence Store::Delete(TransactionState& state, int db, std::string_view key) {
  const Presence presence = Contains(state, db, key);
  if (presence == Presence::kPresent) state.writes.Delete(db, secret_.Of(key), key);
  return presence;
}

Outcome Store::Commit(TransactionState& state) {
  if (!state.refusal && state.needs_something()) {
    return Fault(state);
  }
  if (!state.refusal && !state.writes.empty()) {
    const size_t payload_bytes =
        state.writes.payload_bytes() + state.writes.writes().size() * kOperationBytesMax;
    if (write_refusal_) {
      state.refusal = write_refusal_;
    } else if (Result<void> log = wal_->write_error(); !log) {
      state.refusal = log.error();
    } else if (payload_bytes > kTransactionBytesMax) {
      state.refusal = Error{Errc::kInvalidArgument, "the command writes more than 2 GiB at once"};
    } else if (MakeSettlingRoom(state)) {
      switch (MakeRoom(state, payload_bytes)) {
        case Room::kYes:
          record_.Clear();
          for (size_t i = 0; i < state.writes.writes().size(); ++i) {
            if (!state.writes.IsCleared(i)) Apply(state.writes.writes()[i]);
          }
          wal_->Append(record_.Finish());
          if (memory_.wants_spare()) StartTrimming();
          if (is_tidy_) [[unlikely]] {
            is_tidy_ = false;
            hooks_.writing();
          }
          if (is_paced_.load(std::memory_order_relaxed)) PayForWrite(payload_bytes);
          break;
        case Room::kWait:
        case Room::kRefused:
          break;
      }
    }
    if (!state.refusal && state.needs_something()) return Fault(state);
  }
  const Outcome outcome = state.refusal ? Outcome::kRefused : Outcome::kDone;
  EndCommand(state);
  return outcome;
}

Outcome Store::Fault(TransactionState& state) {
  ++counters_.faults;
  state.writes.Clear();
  return Outcome::kWait;
}

void Store::BeginRun(TransactionState& state) {
  // The background frees memory; when it can't keep pace, commands help, before they see any row.
  if (memory_.has_victims()) [[unlikely]]
    memory_.EvictSome(kEvictedPerCommand);
  state.writes.Clear();
  state.misses.clear();
  state.range_misses.clear();
  state.room_needed.reset();
  state.may_use_reserve = false;
  state.settling_needed = false;
  state.refusal.reset();
}

void Store::EndCommand(TransactionState& state) {
  state.writes.Clear();
  state.misses.clear();
  state.range_misses.clear();
  state.pins.clear();
  state.ranges.clear();
  state.failures.clear();
  state.range_failure.reset();
  state.random_position.reset();
}

// Room for the record in the active generation, going over to the next one when this one is full.
Store::Room Store::MakeRoom(TransactionState& state, size_t payload_bytes) {
  if (reserve_.is_short()) [[unlikely]] {
    if (!state.may_use_reserve) {
      state.refusal = reserve_.shortage();
      return Room::kRefused;
    }
    frees_space_ = true;
  }
  const bool full = ActiveBytes() >= std::min(write_buffer_bytes_, memory_bytes_max_ / 8);
  const bool fits = wal_->Fits(payload_bytes);
  if (fits && !full) return Room::kYes;
  if (sealed_.size() >= static_cast<size_t>(options_.sealed_memtables_max)) {
    if (flush_error_) {
      state.refusal = flush_error_;
      return Room::kRefused;
    }
  } else {
    if (wal_->NextFits(payload_bytes)) {
      Seal();
      return Room::kYes;
    }
    // The next segment is on its way, or the disk is full: this one is used up first.
    if (fits) return Room::kYes;
    if (auto preparation = wal_->preparation_error(state.may_use_reserve); !preparation) {
      state.refusal = preparation.error();
      return Room::kRefused;
    }
  }
  state.room_needed = payload_bytes;
  return Room::kWait;
}

// False: too many blind writes are open, so this command's unknown keys are loaded first, like any
// other command's.
bool Store::MakeSettlingRoom(TransactionState& state) {
  const size_t room = settling_waiters_.empty() && settling_ < options_.settling_loads_max
                          ? options_.settling_loads_max - settling_
                          : 0;
  if (state.writes.writes().size() <= room) return true;
  size_t unknown = 0;
  for (const WriteSet::Write& write : state.writes.writes()) {
    if (write.kind != WriteSet::Kind::kPut || state.writes.clears(write.db)) continue;
    const Tree& tree = *databases_[write.db];
    if (tree.rows->table.Find(write.position, write.key) != nullptr ||
        FindBeneath(tree, write.position, write.key) != Existence::kUnknown) {
      continue;
    }
    ++unknown;
    Fault(state, write.db, write.position, write.key);
    if (state.refusal) return false;
  }
  if (unknown > room) return false;
  state.misses.clear();
  return true;
}

void Store::Seal() {
  auto generation = std::make_shared<Generation>(std::move(active_));
  generation->number = generation_;
  for (const auto& member : generation->members) member.first->active = nullptr;
  sealed_.push_back(std::move(generation));
  active_ = Generation{};
  frees_space_ = false;
  if (wal_ != nullptr) generation_ = wal_->Rotate();
  UpdateBudgets();
  UpdatePacing();
  if (hooks_.sealed) hooks_.sealed();
}

TreeMemtable& Store::ActiveOf(const std::shared_ptr<Tree>& tree) {
  if (tree->active == nullptr) {
    tree->active = std::make_shared<TreeMemtable>(generation_);
    active_.members.emplace_back(tree, tree->active);
  }
  return *tree->active;
}

uint64_t Store::ActiveBytes() const {
  uint64_t bytes = 0;
  for (const auto& [tree, memtable] : active_.members) bytes += memtable->rows.memory_bytes();
  return bytes;
}

void Store::Apply(const WriteSet::Write& write) {
  const std::shared_ptr<Tree>& tree = databases_[write.db];
  switch (write.kind) {
    case WriteSet::Kind::kPut: {
      const Row row{write.position, write.key, write.value.bytes, write.type, false};
      ApplyPut(tree, row, write.value);
      break;
    }
    case WriteSet::Kind::kDelete:
      ApplyDelete(tree, write.position, write.key);
      break;
    case WriteSet::Kind::kClearDatabase: {
      const TreeId id = next_number_.fetch_add(1);
      record_.NewTree(write.db, id);
      // The record that it stands in has not been appended yet: it ends behind the log's end.
      ReplaceTree(write.db, id, generation_, wal_->end() + 1);
      hooks_.tree_dropped(wal_->end() + 1);
      break;
    }
  }
}

void Store::ApplyPut(const std::shared_ptr<Tree>& tree, const Row& row, const Value& value) {
  TreeMemtable& memtable = ActiveOf(tree);
  Existence existence = Existence::kUnknown;
  switch (Write(*tree, row, value)) {
    case RowMemory::Known::kLive:
      existence = Existence::kLive;
      break;
    case RowMemory::Known::kAbsent:
      existence = Existence::kAbsent;
      break;
    case RowMemory::Known::kNothing:
      existence = FindBeneath(*tree, row.position, row.key);
      break;
  }
  if (existence != Existence::kLive) {
    ++tree->key_count;
    ++memtable.key_count_delta;
  }
  if (existence != Existence::kAbsent) ++memtable.hidden_rows;
  if (existence == Existence::kUnknown) {
    StartSettling(tree, tree->active, row.position, row.key);
    WantKeySets(*tree);
  }
  record_.Put(tree->id, existence, row, value);
}

void Store::ApplyDelete(const std::shared_ptr<Tree>& tree, Position position,
                        std::string_view key) {
  TreeMemtable& memtable = ActiveOf(tree);
  const Row tombstone{position, key, {}, ValueType::kString, true};
  (void)Write(*tree, tombstone, {});  // it was live: Delete() has looked
  --tree->key_count;
  --memtable.key_count_delta;
  ++memtable.hidden_rows;
  record_.Delete(tree->id, tombstone);
}

// Into the active memtable, in the place of what memory knew of the key: it says what that was.
RowMemory::Known Store::Write(Tree& tree, const Row& row, const Value& value) {
  const RowMemory::Known known = memory_.Write(*tree.rows, tree.active->rows, row.position, row.key,
                                               value, row.type, row.is_tombstone);
  // Memory knew nothing, so the key may be on its way from the tables: a thing of the past now.
  if (known == RowMemory::Known::kNothing && !loads_.empty()) [[unlikely]] {
    const auto load = loads_.find(LoadKey{tree.id, row.position, std::string(row.key)});
    if (load != loads_.end()) {
      load->second->stale = true;
      loads_.erase(load);
    }
  }
  return known;
}

void Store::ReplaceTree(int db, TreeId new_tree, uint64_t generation, Lsn lsn) {
  std::shared_ptr<Tree>& tree = databases_[db];
  tree->dropped = true;
  memory_.Detach(*tree->rows);
  drops_.push_back({generation, lsn, db, tree, new_tree});
  tree = std::make_shared<Tree>(new_tree, env_.background);
}

// ---- Waiting

void Store::Wait(TransactionState& state, Work resume, BlockReader* reader) {
  state.resume = std::move(resume);
  state.outstanding = 1;  // this call itself: nothing resumes before it ends
  if (reader == nullptr || state.misses.size() > kReadByCallerMax) reader = env_.blocks;
  for (const Miss& miss : state.misses) StartLoad(miss, &state, *reader);
  for (const ScanRange::Request& request : state.range_misses) StartRangeLoad(request, &state);
  if (state.settling_needed) {
    ++state.outstanding;
    settling_waiters_.push_back(&state);
  }
  if (state.room_needed) {
    ++state.outstanding;
    ++counters_.write_waits;
    if (room_waiters_.empty()) room_wait_began_us_ = env_.clock->MonotonicUs();
    room_waiters_.push_back(&state);
    if (sealed_.size() < static_cast<size_t>(options_.sealed_memtables_max)) {
      wal_->PrepareNext(*state.room_needed, state.may_use_reserve, [this] {
        std::vector<Work> resumed;
        {
          std::lock_guard lock(mutex_);
          TakeWaiters(room_waiters_, resumed);
        }
        RunAll(resumed);
      });
    }
  }
  if (--state.outstanding == 0) env_.reads->Post(std::move(state.resume));
}

void Store::Arrive(TransactionState* waiter, std::vector<Work>& resumed) {
  INVARIANT(waiter->outstanding > 0);
  if (--waiter->outstanding == 0) resumed.push_back(std::move(waiter->resume));
}

void Store::TakeWaiters(std::vector<TransactionState*>& waiters, std::vector<Work>& resumed) {
  if (&waiters == &room_waiters_ && !waiters.empty()) {
    const uint64_t waited_us = env_.clock->MonotonicUs() - room_wait_began_us_;
    counters_.longest_write_wait_us = std::max(counters_.longest_write_wait_us, waited_us);
  }
  for (TransactionState* waiter : waiters) Arrive(waiter, resumed);
  waiters.clear();
}

}  // namespace varve::engine
