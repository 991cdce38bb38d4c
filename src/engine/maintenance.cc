#include "engine/maintenance.h"

#include <spdlog/logger.h>

#include <algorithm>
#include <utility>

namespace varve::engine {
namespace {

// Rows between two yields. Larger steps than a merge takes, so that a flush gets most of the thread
// that both run on: writers wait for flushes.
constexpr size_t kFlushStepRows = 4096;
constexpr size_t kFlushStepBytes = 2 << 20;  // the same, of values
// Holds of the lock between two yields while memory is made free: as fast as a flush fills it.
constexpr size_t kTrimSteps = 32;

constexpr uint64_t kSettlingPollUs = 500;
constexpr size_t kKeySetReadBytes = 256 * 1024;
constexpr uint64_t kRoomPauseUs = 1'000;  // for merges that give way
constexpr uint64_t kReliefPauseUs = 500'000;
constexpr uint64_t kDropPauseUs = 1'000'000;

// Nobody writes when less than this part of a write buffer came in so long.
constexpr uint64_t kIdleUs = 5'000'000;
constexpr uint64_t kIdleBytesPart = 64;
constexpr uint64_t kWholeCompactionPollUs = 20'000;

// Into how many dyadic parts the flush of so many bytes is cut: as many as L0 has ranges, unless
// they would be tiny. But tables that cover all positions make the step that takes them out of L0
// one over the whole tree, which a disk that is nearly full has no room for.
int FlushRangeBits(uint64_t bytes, const Version& version, const CompactionLimits& limits) {
  uint64_t tree_bytes = 0;
  for (int level = 0; level < kLevelCount; ++level) tree_bytes += version.level_bytes(level);
  if (tree_bytes >= limits.write_buffer_bytes) return kFanoutBits;
  int bits = 0;
  while (bits < kFanoutBits && bytes >> (bits + 1) >= limits.write_buffer_bytes / 16) ++bits;
  return bits;
}

// What its flush needs, at most and about.
uint64_t BytesOf(const Generation& generation) {
  uint64_t bytes = 0;
  for (const auto& member : generation.members) bytes += member.second->rows.memory_bytes();
  return bytes;
}

bool IsDroppedBy(const std::vector<TreeDrop>& drops, const Tree& tree) {
  return std::any_of(drops.begin(), drops.end(),
                     [&](const TreeDrop& drop) { return drop.dropped.get() == &tree; });
}

}  // namespace

Maintenance::Maintenance(const Env& env, const Options& options, Store& store, Wal& wal,
                         SpaceReserve& reserve, std::unique_ptr<Manifest> manifest)
    : context_(env, options, store, reserve, std::move(manifest)),
      store_(store),
      wal_(wal),
      collector_(context_),
      compactor_(context_, [this] { collector_.Start(); }) {}

// ---- Scheduling

template <typename Make>
void Maintenance::PostTask(Task<bool>& task, Make make) {
  context_.Post([&task, make] {
    if (!task.done()) return;
    task = make();
    task.Start();
  });
}

void Maintenance::ScheduleFlush() {
  PostTask(flush_, [this] { return FlushAll(); });
}

void Maintenance::ScheduleCompaction() {
  context_.Post([this] { StartRewriting(); });
}

void Maintenance::ScheduleTrim() {
  PostTask(trim_, [this] { return Trim(); });
}

void Maintenance::ScheduleTidying() {
  PostTask(tidying_, [this] { return TidyUp(); });
}

void Maintenance::ScheduleKeySets() {
  PostTask(key_sets_, [this] { return MakeKeySets(); });
}

void Maintenance::ScheduleWholeCompaction() {
  PostTask(whole_, [this] { return CompactWhole(); });
}

void Maintenance::ScheduleDrops(Lsn lsn) {
  // Not before the FLUSHDB itself is durable: a power cut could otherwise take back writes that
  // came before it, and not the FLUSHDB.
  wal_.WhenDurable(lsn, [this, lsn](const Result<void>& durable) {
    if (!durable) return;
    context_.Post([this, lsn] { dropped_until_ = std::max(dropped_until_, lsn); });
    PostTask(drop_, [this] { return PersistDrops(); });
  });
}

void Maintenance::ScheduleRelief() {
  PostTask(relief_, [this] { return Relieve(); });
}

Task<bool> Maintenance::Trim() {
  context_.BeginWork();
  Store::Trimmed trimmed;
  for (size_t steps = 1; !context_.stopping(); ++steps) {
    Segment::Pointer spare = trimmed.wants_spare ? Segment::NewPopulated() : nullptr;
    {
      std::lock_guard lock(store_.mutex().background());
      trimmed = store_.TrimRowMemory(std::move(spare));
    }
    trimmed.indexes.clear();
    if (trimmed.done) break;  // at once: the next ScheduleTrim() must find it done
    if (steps % kTrimSteps == 0) co_await Yield{*context_.env().background};
  }
  context_.EndWork();
  co_return true;
}

Task<bool> Maintenance::TidyUp() {
  context_.BeginWork();
  const uint64_t idle_bytes = store_.compaction_limits().write_buffer_bytes / kIdleBytesPart;
  Lsn known_end = 0;
  for (bool tidy = false; !tidy;) {
    co_await context_.Pause(kIdleUs);
    if (context_.ended()) break;
    bool sealed = false;
    bool idle = false;
    {
      std::lock_guard lock(store_.mutex().background());
      idle = store_.log_end() - known_end <= idle_bytes;
      known_end = store_.log_end();
      if (idle) sealed = store_.SealActive(true);
    }
    SetTidiesUp(idle);
    StartRewriting();
    if (!idle || sealed || compactor_.has_idle_work() || collector_.has_idle_work()) continue;
    tidy = true;
    std::lock_guard lock(store_.mutex().background());
    store_.AskForTidying();
  }
  SetTidiesUp(false);
  context_.EndWork();
  co_return true;
}

// What deletes have left is worth a merge now, however many writes there are.
Task<bool> Maintenance::Relieve() {
  context_.BeginWork();
  while (!context_.ended() && context_.reserve().is_short()) {
    co_await context_.Pause(kReliefPauseUs);
    if (context_.ended()) break;
    {
      std::lock_guard lock(store_.mutex().background());
      store_.SealDeletes();
    }
    SetTidiesUp(true);
    StartRewriting();
  }
  SetTidiesUp(false);
  context_.EndWork();
  co_return true;
}

// Those of new tables come with them. These here are of tables that were there before: after a
// start, and when blind writes begin.
Task<bool> Maintenance::MakeKeySets() {
  context_.BeginWork();
  while (!context_.ended()) {
    std::shared_ptr<Table> table;
    {
      std::lock_guard lock(store_.mutex().background());
      table = store_.TableWithoutKeySet();
    }
    if (table == nullptr) break;
    const Result<std::shared_ptr<const KeySet>> keys = co_await ReadKeySet(table);
    if (!keys) {
      // Who needs the damaged block will hear of it; settling loads do without key sets.
      if (!context_.ended()) context_.log().warn("key set: {}", keys.error().context);
      break;
    }
    table->AddKeySet(*keys);
    std::lock_guard lock(store_.mutex().background());
    store_.NoteIndexLoaded((*keys)->memory_bytes());
  }
  context_.EndWork();
  co_return true;
}

Task<Result<std::shared_ptr<const KeySet>>> Maintenance::ReadKeySet(
    std::shared_ptr<const Table> table) {
  KeySetBuilder keys(table->info().range, table->info().row_count);
  TableCursor cursor(table, &store_.secret(), kKeySetReadBytes, false);
  size_t rows = 0;
  for (cursor.Seek(0); cursor.Valid(); cursor.Next()) {
    keys.Add(cursor.row().position, cursor.row().key, cursor.row().is_tombstone);
    if (++rows % kFlushStepRows != 0) continue;
    co_await Yield{*context_.env().background};
    if (context_.stopping()) co_return context_.Stopped();
  }
  CO_TRY(cursor.status());
  co_return keys.Finish();
}

Task<bool> Maintenance::CompactWhole() {
  context_.BeginWork();
  for (bool flushed = false, sealed = false; !flushed && !context_.ended();) {
    {
      std::lock_guard lock(store_.mutex().background());
      if (!sealed) sealed = !store_.has_active_rows() || store_.SealActive(false);
      flushed = sealed && store_.OldestSealed() == nullptr;
    }
    if (!flushed) co_await context_.Pause(kWholeCompactionPollUs);
  }
  if (!context_.ended()) compactor_.CompactWhole();
  context_.EndWork();
  co_return true;
}

// ---- Drops

void Maintenance::AddDrops(const std::vector<TreeDrop>& drops, VersionEdit& edit) {
  if (drops.empty()) return;
  edit.databases = context_.manifest_state().databases;
  for (const TreeDrop& drop : drops) {
    (*edit.databases)[drop.db] = drop.tree;
    const TreeId dropped = drop.dropped->id;
    if (context_.manifest_state().trees.contains(dropped)) edit.dropped_trees.push_back(dropped);
  }
}

// The manifest does not know these trees any more: their files go when the last reader lets go.
void Maintenance::FinishDrops(const std::vector<TreeDrop>& drops) {
  if (drops.empty()) return;
  std::vector<std::shared_ptr<const Version>> versions;
  {
    std::lock_guard lock(store_.mutex().background());
    // The tree itself may stay for a while, with rows that wait to be flushed.
    const auto empty = std::make_shared<const Version>();
    for (const TreeDrop& drop : drops) {
      versions.push_back(std::exchange(drop.dropped->version, empty));
    }
    store_.ForgetDrops(drops);
  }
  for (const TreeDrop& drop : drops) drop.dropped->drop_persisted = true;
  size_t tables = 0;
  for (const auto& version : versions) {
    for (int level = 0; level < kLevelCount; ++level) {
      for (const auto& table : version->level(level)) table->MarkObsolete();
    }
    for (const auto& file : version->values().files()) file->MarkObsolete();
    tables += version->table_count();
  }
  context_.log().info("flushed databases: {} trees with {} tables dropped", drops.size(), tables);
}

Task<bool> Maintenance::PersistDrops() {
  context_.BeginWork();
  while (!context_.ended()) {
    std::vector<TreeDrop> drops;
    {
      std::lock_guard lock(store_.mutex().background());
      drops = store_.DropsUpTo(0, dropped_until_);
    }
    if (drops.empty()) break;  // all are done, by a flush maybe
    VersionEdit edit;
    AddDrops(drops, edit);
    if (context_.AppendEdit(std::move(edit))) {
      FinishDrops(drops);
    } else {
      co_await context_.Pause(kDropPauseUs);  // a full disk may get room
    }
  }
  context_.EndWork();
  co_return true;
}

// ---- Flush

// What the manifest will state as of this memtable, whose blind writes have been settled.
uint64_t Maintenance::LiveKeyCount(const Tree& tree, const TreeMemtable& memtable) const {
  uint64_t before = 0;
  const auto known = context_.manifest_state().trees.find(tree.id);
  if (known != context_.manifest_state().trees.end()) before = known->second.live_key_count;
  std::lock_guard lock(store_.mutex().background());
  if (tree.count_error || before == kKeyCountUnknown) return kKeyCountUnknown;
  const int64_t count = static_cast<int64_t>(before) + memtable.key_count_delta;
  INVARIANT(count >= 0);
  return static_cast<uint64_t>(count);
}

bool Maintenance::IsRewriting() const { return compactor_.is_merging() || collector_.is_copying(); }

void Maintenance::SetTidiesUp(bool tidies_up) {
  compactor_.SetTidiesUp(tidies_up);
  collector_.SetTidiesUp(tidies_up);
}

void Maintenance::StartRewriting() {
  compactor_.Start();
  collector_.Start();
}

// True: it is worth another attempt at once.
bool Maintenance::GivesRoomToFlush(SpaceReserve::Lease& lease, const Generation& generation) {
  const bool lent = lease.Extend(BytesOf(generation));
  if (lent) context_.log().info("flush: the reserve gives the room that the disk lacks");
  const bool gives = lent || IsRewriting();
  context_.SetFlushNeedsRoom(gives);
  // If all that is not enough, one of these may be what frees space.
  if (!gives) StartRewriting();
  return gives;
}

void Maintenance::SetFlushError(std::optional<Error> error) {
  std::vector<Work> resumed;
  {
    std::lock_guard lock(store_.mutex().background());
    resumed = store_.SetFlushError(std::move(error));
  }
  RunAll(resumed);
}

Task<bool> Maintenance::FlushAll() {
  context_.BeginWork();
  RetryPause retry;
  SpaceReserve::Lease lease(context_.reserve(), SpaceReserve::Use::kFlush);
  while (!context_.ended()) {
    std::shared_ptr<Generation> generation;
    {
      std::lock_guard lock(store_.mutex().background());
      generation = store_.OldestSealed();
    }
    if (generation == nullptr) break;
    const Result<void> flushed = co_await Flush(generation);
    if (flushed) {
      lease.Return();
      context_.SetFlushNeedsRoom(false);
      SetFlushError(std::nullopt);
      context_.ReportSuccess();
      StartRewriting();
      retry.Reset();
    } else if (flushed.error().code == Errc::kNoSpace && GivesRoomToFlush(lease, *generation)) {
      do {
        co_await context_.Pause(kRoomPauseUs);
      } while (IsRewriting() && !context_.ended());
    } else if (!context_.ended()) {
      context_.ReportFailure("flush", flushed.error());
      SetFlushError(flushed.error());
      co_await context_.Pause(retry.Next());
    }
  }
  context_.SetFlushNeedsRoom(false);
  context_.EndWork();
  co_return true;
}

bool Maintenance::IsSeparated(const Row& row, const FlushOutput& output) const {
  return context_.options().value_threshold_bytes > 0 && !row.is_tombstone &&
         row.value.size() >= context_.options().value_threshold_bytes &&
         row.value.size() <= kSeparatedBytesMax &&
         (output.values == nullptr || output.values->record_count() < kValueRunRecordsMax);
}

Result<void> Maintenance::AddFlushedRow(Row row, FlushOutput& output) {
  if (IsSeparated(row, output)) {
    if (output.values == nullptr) {
      TRY_ASSIGN(output.values, context_.NewValueFile());
    }
    TRY_ASSIGN(row.reference, output.values->Add(row));
    row.value = {};
  }
  return output.tables->Add(row);
}

Task<Result<void>> Maintenance::FinishValues(FlushOutput& output) {
  CO_TRY(output.values->Finish());
  for (bool verified = false; !verified;) {
    co_await Yield{*context_.env().background};
    if (context_.stopping()) co_return context_.Stopped();
    CO_TRY_ASSIGN(verified, output.values->VerifySome(kFlushStepBytes));
  }
  CO_TRY_ASSIGN(output.value_file, output.values->Open());
  co_return Result<void>();
}

Task<Result<void>> Maintenance::WriteMemtable(const TreeMemtable& memtable, FlushOutput& output) {
  const auto cursor = memtable.rows.NewCursor();
  size_t rows = 0;
  size_t bytes = 0;
  for (cursor->Seek(0); cursor->Valid(); cursor->Next()) {
    bytes += cursor->row().value.size();
    CO_TRY(AddFlushedRow(cursor->row(), output));
    if (++rows % kFlushStepRows != 0 && bytes < kFlushStepBytes) continue;
    bytes = 0;
    co_await Yield{*context_.env().background};
    if (context_.stopping()) co_return context_.Stopped();
  }
  // Before the tables, which sync the directory when they are complete.
  if (output.values != nullptr) {
    const Result<void> finished = co_await FinishValues(output);
    if (!finished) co_return Fail(finished.error());
  }
  CO_TRY(output.tables->Finish());
  if (output.tables->row_count() != memtable.rows.row_count()) {
    co_return Fail(Errc::kCorruption, "flush of generation {}: {} rows written of {}",
                   memtable.rows.generation(), output.tables->row_count(),
                   memtable.rows.row_count());
  }
  co_return Result<void>();
}

Task<Result<void>> Maintenance::Flush(std::shared_ptr<Generation> generation) {
  const uint64_t began_us = context_.env().clock->MonotonicUs();
  // The count of live keys that the manifest will state must be exact.
  for (bool settled = false; !settled;) {
    settled = true;
    {
      std::lock_guard lock(store_.mutex().background());
      for (const auto& member : generation->members) settled &= member.second->settling == 0;
    }
    if (settled) break;
    if (context_.stopping()) co_return context_.Stopped();
    co_await Yield{*context_.env().background, kSettlingPollUs};
  }

  std::vector<FlushOutput> outputs;
  for (const auto& member : generation->members) {
    const uint64_t bytes = member.second->rows.memory_bytes();
    outputs.push_back({context_.NewWriter(
        *member.first, 0,
        EvenRanges(FlushRangeBits(bytes, *member.first->version, store_.compaction_limits())))});
    if (member.first->drop_persisted) continue;
    const Result<void> written = co_await WriteMemtable(*member.second, outputs.back());
    if (!written) co_return Fail(written.error());
  }
  if (context_.stopping()) co_return context_.Stopped();

  // From here to the end there is no yield: nothing else changes the manifest in between.
  std::vector<TreeDrop> drops;
  VersionEdit edit;
  std::vector<std::pair<std::shared_ptr<Tree>, FlushOutput*>> named;  // what is in the edit
  uint64_t wal_oldest = 0;
  {
    std::lock_guard lock(store_.mutex().background());
    drops = store_.DropsUpTo(generation->number, 0);
    wal_oldest = store_.GenerationBehindOldest();
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    const auto& [tree, memtable] = generation->members[i];
    if (tree->drop_persisted || IsDroppedBy(drops, *tree)) continue;
    VersionEdit::Tree changed{.id = tree->id};
    changed.live_key_count = LiveKeyCount(*tree, *memtable);
    for (const auto& table : outputs[i].tables->tables()) {
      changed.added.push_back({0, table->info()});
    }
    if (outputs[i].values != nullptr) outputs[i].values->AddTo(changed.values);
    edit.trees.push_back(std::move(changed));
    named.emplace_back(tree, &outputs[i]);
  }
  AddDrops(drops, edit);
  edit.wal_oldest = wal_oldest;
  const Result<void> appended = context_.AppendEdit(std::move(edit));
  if (appended || context_.manifest_failed()) {
    for (const auto& [tree, output] : named) {
      output->tables->Release();
      if (output->values != nullptr) output->values->Release();
    }
  }
  CO_TRY(appended);
  uint64_t rows = 0;
  uint64_t bytes = 0;
  uint64_t value_bytes = 0;
  std::vector<Store::Change> changes;
  for (const auto& [tree, output] : named) {
    Store::Change change{.tree = tree};
    change.bytes_written = output->tables->file_bytes();
    std::shared_ptr<const ValueSet> values;
    if (output->value_file != nullptr) {
      values = context_.ValuesNow(*tree, output->value_file);
      change.value_bytes_written = output->values->file_bytes();
    }
    change.version =
        tree->version->Edited({}, context_.TablesAt(0, *output->tables), std::move(values));
    rows += output->tables->row_count();
    bytes += change.bytes_written;
    value_bytes += change.value_bytes_written;
    changes.push_back(std::move(change));
  }
  std::vector<Work> resumed;
  const uint64_t elapsed_us = context_.env().clock->MonotonicUs() - began_us;
  {
    std::lock_guard lock(store_.mutex().background());
    resumed = store_.InstallFlush(*generation, changes, elapsed_us);
  }
  RunAll(resumed);
  FinishDrops(drops);
  wal_.Release(wal_oldest);
  context_.log().info("flush: generation {}, {} rows to L0, {} bytes, {} of values, {} ms",
                      generation->number, rows, bytes, value_bytes, elapsed_us / 1000);
  co_return Result<void>();
}

}  // namespace varve::engine
