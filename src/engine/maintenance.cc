#include "engine/maintenance.h"

#include <spdlog/logger.h>

#include <algorithm>

#include "engine/merge_cursor.h"

namespace varve::engine {
namespace {

// Rows between two yields. A flush takes larger steps, so that it gets most of the strand when a
// compaction runs beside it: writers wait for flushes.
constexpr size_t kFlushStepRows = 4096;
constexpr size_t kMergeStepRows = 512;
// Holds of the lock between two yields while memory is made free: as fast as a flush fills it.
constexpr size_t kTrimSteps = 32;

constexpr size_t kMergeReadaheadBytes = 256 * 1024;
constexpr uint64_t kRetryPauseMinUs = 100'000;
constexpr uint64_t kRetryPauseMaxUs = 5'000'000;
constexpr uint64_t kSettlingPollUs = 500;

// Into how many dyadic parts the flush of so many bytes is cut: as many as L1 has ranges, unless
// they would be tiny.
int FlushRangeBits(uint64_t bytes, const CompactionLimits& limits) {
  int bits = 0;
  while (bits < kFanoutBits && bytes >> (bits + 1) >= limits.table_bytes / 8) ++bits;
  return bits;
}

bool IsDroppedBy(const std::vector<TreeDrop>& drops, const Tree& tree) {
  return std::any_of(drops.begin(), drops.end(),
                     [&](const TreeDrop& drop) { return drop.dropped.get() == &tree; });
}

uint64_t TotalRows(const Compaction& compaction) {
  uint64_t rows = 0;
  for (const auto& table : compaction.upper) rows += table->info().row_count;
  for (const auto& table : compaction.lower) rows += table->info().row_count;
  return rows;
}

uint64_t TotalBytes(const Version::Tables& tables) {
  uint64_t bytes = 0;
  for (const auto& table : tables) bytes += table->info().file_bytes;
  return bytes;
}

}  // namespace

Maintenance::Maintenance(const Env& env, const Options& options, Store& store, Wal& wal,
                         std::unique_ptr<Manifest> manifest)
    : env_(env), options_(options), store_(store), wal_(wal), manifest_(std::move(manifest)) {}

// ---- Scheduling

void Maintenance::Post(Work work) {
  ++pending_;
  env_.background->Post([this, work = std::move(work)] {
    if (!stopping_) work();
    --pending_;
  });
}

void Maintenance::ScheduleFlush() {
  Post([this] {
    if (!flush_.done()) return;
    flush_ = FlushAll();
    flush_.Start();
  });
}

void Maintenance::ScheduleCompaction() {
  Post([this] {
    if (!compaction_.done()) return;
    compaction_ = CompactAll();
    compaction_.Start();
  });
}

void Maintenance::ScheduleDrops(Lsn lsn) {
  // Not before the FLUSHDB itself is durable: a power cut could otherwise take back writes that
  // came before it, and not the FLUSHDB.
  wal_.WhenDurable(lsn, [this, lsn](const Result<void>& durable) {
    if (durable) Post([this, lsn] { PersistDrops(lsn); });
  });
}

void Maintenance::ScheduleTrim() {
  Post([this] {
    if (!trim_.done()) return;
    trim_ = Trim();
    trim_.Start();
  });
}

Task<bool> Maintenance::Trim() {
  ++pending_;
  Store::Trimmed trimmed;
  for (size_t steps = 1; !stopping_; ++steps) {
    Segment::Pointer spare = trimmed.wants_spare ? Segment::NewPopulated() : nullptr;
    {
      std::lock_guard lock(store_.mutex().background());
      trimmed = store_.TrimRowMemory(std::move(spare));
    }
    trimmed.indexes.clear();
    if (trimmed.done) break;  // at once: the next ScheduleTrim() must find it done
    if (steps % kTrimSteps == 0) co_await Yield{*env_.background};
  }
  --pending_;
  co_return true;
}

Task<bool> Maintenance::Pause(uint64_t us) {
  constexpr uint64_t kStepUs = 20'000;  // Stop() is heeded within this time
  for (uint64_t waited = 0; waited < us && !stopping_; waited += kStepUs) {
    co_await Yield{*env_.background, std::min(us - waited, kStepUs)};
  }
  co_return true;
}

tl::unexpected<Error> Maintenance::Stopped() const {
  return Fail(Errc::kClosed, "the engine is closing");
}

void Maintenance::ReportFailure(const char* what, const Error& error) {
  options_.logger->error("{} failed, will be tried again: {}", what, error.context);
  failing_ = true;
  std::vector<Work> resumed;
  {
    std::lock_guard lock(store_.mutex().background());
    resumed = store_.SetBackgroundError(error);
  }
  RunAll(resumed);
}

void Maintenance::ReportSuccess() {
  if (!failing_) return;
  failing_ = false;
  options_.logger->warn("background work goes on again");
  std::lock_guard lock(store_.mutex().background());
  RunAll(store_.SetBackgroundError(std::nullopt));
}

// ---- Manifest

Result<void> Maintenance::AppendEdit(VersionEdit edit) {
  edit.next_number = store_.next_number().load();
  Result<void> appended = manifest_->Append(edit);
  if (appended || manifest_->takes_edits()) return appended;
  manifest_failed_ = true;
  options_.logger->error("writes are refused from now on, restart when the cause is removed: {}",
                         appended.error().context);
  std::vector<Work> resumed;
  {
    std::lock_guard lock(store_.mutex().background());
    resumed = store_.RefuseWrites(appended.error());
  }
  RunAll(resumed);
  return appended;
}

void Maintenance::AddDrops(const std::vector<TreeDrop>& drops, VersionEdit& edit) {
  if (drops.empty()) return;
  edit.databases = manifest_->state().databases;
  for (const TreeDrop& drop : drops) {
    (*edit.databases)[drop.db] = drop.tree;
    const TreeId dropped = drop.dropped->id;
    if (manifest_->state().trees.contains(dropped)) edit.dropped_trees.push_back(dropped);
  }
}

// The manifest does not know these trees any more: their files go when the last reader lets go.
void Maintenance::FinishDrops(const std::vector<TreeDrop>& drops) {
  if (drops.empty()) return;
  std::vector<std::shared_ptr<const Version>> versions;
  {
    std::lock_guard lock(store_.mutex().background());
    for (const TreeDrop& drop : drops) versions.push_back(drop.dropped->version);
    store_.ForgetDrops(drops);
  }
  for (const TreeDrop& drop : drops) drop.dropped->drop_persisted = true;
  size_t tables = 0;
  for (const auto& version : versions) {
    for (int level = 0; level < kLevelCount; ++level) {
      for (const auto& table : version->level(level)) table->MarkObsolete();
    }
    tables += version->table_count();
  }
  options_.logger->info("flushed databases: {} trees with {} tables dropped", drops.size(), tables);
}

void Maintenance::PersistDrops(Lsn lsn) {
  std::vector<TreeDrop> drops;
  {
    std::lock_guard lock(store_.mutex().background());
    drops = store_.DropsUpTo(0, lsn);
  }
  if (drops.empty() || manifest_failed_) return;  // a flush was there first
  VersionEdit edit;
  AddDrops(drops, edit);
  if (AppendEdit(std::move(edit))) FinishDrops(drops);
}

// ---- Flush

std::unique_ptr<RangeWriter> Maintenance::NewWriter(int range_bits) {
  return std::make_unique<RangeWriter>(
      env_.files, options_.directory, &store_.next_number(), &store_.secret(), range_bits,
      TableBuilder::Settings{options_.block_bytes, options_.filter_bits_per_key});
}

std::vector<std::pair<int, std::shared_ptr<Table>>> Maintenance::TablesAt(
    int level, const RangeWriter& writer) const {
  std::vector<std::pair<int, std::shared_ptr<Table>>> tables;
  for (const auto& table : writer.tables()) {
    tables.emplace_back(level, ReleasedOn(env_.background, table));
  }
  return tables;
}

// What the manifest will state as of this memtable, whose blind writes have been settled.
uint64_t Maintenance::LiveKeyCount(const Tree& tree, const TreeMemtable& memtable) const {
  uint64_t before = 0;
  const auto known = manifest_->state().trees.find(tree.id);
  if (known != manifest_->state().trees.end()) before = known->second.live_key_count;
  std::lock_guard lock(store_.mutex().background());
  if (tree.count_error || before == kKeyCountUnknown) return kKeyCountUnknown;
  const int64_t count = static_cast<int64_t>(before) + memtable.key_count_delta;
  INVARIANT(count >= 0);
  return static_cast<uint64_t>(count);
}

Task<bool> Maintenance::FlushAll() {
  ++pending_;
  uint64_t pause_us = kRetryPauseMinUs;
  while (!stopping_ && !manifest_failed_) {
    std::shared_ptr<Generation> generation;
    {
      std::lock_guard lock(store_.mutex().background());
      generation = store_.OldestSealed();
    }
    if (generation == nullptr) break;
    const Result<void> flushed = co_await Flush(std::move(generation));
    if (flushed) {
      ReportSuccess();
      ScheduleCompaction();
      pause_us = kRetryPauseMinUs;
    } else if (!stopping_ && !manifest_failed_) {
      ReportFailure("flush", flushed.error());
      co_await Pause(pause_us);
      pause_us = std::min(2 * pause_us, kRetryPauseMaxUs);
    }
  }
  --pending_;
  co_return true;
}

Task<Result<void>> Maintenance::WriteMemtable(const TreeMemtable& memtable, RangeWriter& writer) {
  const auto cursor = memtable.rows.NewCursor();
  size_t rows = 0;
  for (cursor->Seek(0); cursor->Valid(); cursor->Next()) {
    CO_TRY(writer.Add(cursor->row()));
    if (++rows % kFlushStepRows != 0) continue;
    co_await Yield{*env_.background};
    if (stopping_) co_return Stopped();
  }
  CO_TRY(writer.Finish());
  if (writer.row_count() != memtable.rows.row_count()) {
    co_return Fail(Errc::kCorruption, "flush of generation {}: {} rows written of {}",
                   memtable.rows.generation(), writer.row_count(), memtable.rows.row_count());
  }
  co_return Result<void>();
}

Task<Result<void>> Maintenance::Flush(std::shared_ptr<Generation> generation) {
  const uint64_t began_us = env_.clock->MonotonicUs();
  // The count of live keys that the manifest will state must be exact.
  for (bool settled = false; !settled;) {
    settled = true;
    {
      std::lock_guard lock(store_.mutex().background());
      for (const auto& member : generation->members) settled &= member.second->settling == 0;
    }
    if (settled) break;
    if (stopping_) co_return Stopped();
    co_await Yield{*env_.background, kSettlingPollUs};
  }

  std::vector<std::unique_ptr<RangeWriter>> writers;
  for (const auto& member : generation->members) {
    const uint64_t bytes = member.second->rows.memory_bytes();
    writers.push_back(NewWriter(FlushRangeBits(bytes, store_.compaction_limits())));
    if (member.first->drop_persisted) continue;
    const Result<void> written = co_await WriteMemtable(*member.second, *writers.back());
    if (!written) co_return Fail(written.error());
  }
  if (stopping_) co_return Stopped();

  // From here to the end there is no yield: nothing else changes the manifest in between.
  std::vector<TreeDrop> drops;
  VersionEdit edit;
  std::vector<Store::Change> changes;
  std::vector<RangeWriter*> named;  // whose tables are in the edit
  uint64_t wal_oldest = 0;
  {
    std::lock_guard lock(store_.mutex().background());
    drops = store_.DropsUpTo(generation->number, 0);
    wal_oldest = store_.GenerationBehindOldest();
  }
  uint64_t rows = 0;
  uint64_t bytes = 0;
  for (size_t i = 0; i < writers.size(); ++i) {
    const auto& [tree, memtable] = generation->members[i];
    if (tree->drop_persisted || IsDroppedBy(drops, *tree)) continue;
    VersionEdit::Tree changed{tree->id, {}, {}, std::nullopt};
    changed.live_key_count = LiveKeyCount(*tree, *memtable);
    for (const auto& table : writers[i]->tables()) changed.added.push_back({0, table->info()});
    edit.trees.push_back(std::move(changed));
    rows += writers[i]->row_count();
    bytes += writers[i]->file_bytes();
    changes.push_back(
        {tree, tree->version->Edited({}, TablesAt(0, *writers[i])), 0, writers[i]->file_bytes()});
    named.push_back(writers[i].get());
  }
  AddDrops(drops, edit);
  edit.wal_oldest = wal_oldest;
  const Result<void> appended = AppendEdit(std::move(edit));
  if (appended || manifest_failed_) {
    for (RangeWriter* writer : named) writer->Release();
  }
  CO_TRY(appended);
  std::vector<Work> resumed;
  const uint64_t elapsed_us = env_.clock->MonotonicUs() - began_us;
  {
    std::lock_guard lock(store_.mutex().background());
    resumed = store_.InstallFlush(*generation, changes, elapsed_us);
  }
  RunAll(resumed);
  FinishDrops(drops);
  wal_.Release(wal_oldest);
  options_.logger->info("flush: generation {}, {} rows to L0, {} bytes, {} ms", generation->number,
                        rows, bytes, elapsed_us / 1000);
  co_return Result<void>();
}

// ---- Compaction

std::optional<std::pair<std::shared_ptr<Tree>, Compaction>> Maintenance::PickNext(
    std::shared_ptr<const Version>* version) {
  std::vector<std::pair<std::shared_ptr<Tree>, std::shared_ptr<const Version>>> candidates;
  {
    std::lock_guard lock(store_.mutex().background());
    for (const auto& tree : store_.LiveTrees()) candidates.emplace_back(tree, tree->version);
  }
  const CompactionLimits& limits = store_.compaction_limits();
  double best = 0;
  std::optional<std::pair<std::shared_ptr<Tree>, Compaction>> picked;
  for (const auto& [tree, candidate] : candidates) {
    if (tree->drop_persisted) continue;
    double score = 0;
    for (int level = 0; level < kLevelCount; ++level) {
      score = std::max(score, CompactionScore(*candidate, level, limits));
    }
    if (score <= best) continue;
    std::optional<Compaction> compaction = PickCompaction(*candidate, limits);
    if (!compaction) continue;
    best = score;
    picked.emplace(tree, std::move(*compaction));
    *version = candidate;
  }
  return picked;
}

Task<bool> Maintenance::CompactAll() {
  ++pending_;
  uint64_t pause_us = kRetryPauseMinUs;
  while (!stopping_ && !manifest_failed_) {
    std::shared_ptr<const Version> version;
    auto picked = PickNext(&version);
    if (!picked) break;
    const Result<void> compacted =
        co_await Compact(std::move(picked->first), std::move(version), std::move(picked->second));
    if (compacted) {
      ReportSuccess();
      pause_us = kRetryPauseMinUs;
    } else if (!stopping_ && !manifest_failed_) {
      ReportFailure("compaction", compacted.error());
      co_await Pause(pause_us);
      pause_us = std::min(2 * pause_us, kRetryPauseMaxUs);
    }
  }
  --pending_;
  co_return true;
}

// Merges the inputs into `writer`. Every input row is accounted for: written, hidden by a newer one
// of its key, or a tombstone that hides nothing any more.
Task<Result<void>> Maintenance::Merge(const Version& version, const Compaction& compaction,
                                      RangeWriter& writer) {
  std::vector<std::unique_ptr<RowCursor>> sources;
  for (const Version::Tables* tables : {&compaction.upper, &compaction.lower}) {
    for (const auto& table : *tables) {
      sources.push_back(
          std::make_unique<TableCursor>(table, &store_.secret(), kMergeReadaheadBytes, true));
    }
  }
  MergeCursor merged(std::move(sources));
  uint64_t dropped = 0;
  size_t steps = 0;
  for (merged.Seek(0); merged.Valid(); merged.Next()) {
    const Row& row = merged.row();
    bool drop = false;
    if (row.is_tombstone) {
      CO_TRY_ASSIGN(drop, CanDropTombstone(version, compaction.level + 1, row.position));
    }
    if (drop) {
      ++dropped;
    } else {
      CO_TRY(writer.Add(row));
    }
    if (++steps % kMergeStepRows != 0) continue;
    co_await Yield{*env_.background};
    if (stopping_) co_return Stopped();
  }
  CO_TRY(merged.status());
  CO_TRY(writer.Finish());
  const uint64_t accounted = writer.row_count() + dropped + merged.hidden_rows();
  if (accounted != TotalRows(compaction)) {
    co_return Fail(Errc::kCorruption, "compaction of L{}: {} rows accounted for of {}",
                   compaction.level, accounted, TotalRows(compaction));
  }
  co_return Result<void>();
}

Task<Result<void>> Maintenance::Compact(std::shared_ptr<Tree> tree,
                                        std::shared_ptr<const Version> version,
                                        Compaction compaction) {
  const uint64_t began_us = env_.clock->MonotonicUs();
  const int output_level = compaction.level + 1;
  const std::unique_ptr<RangeWriter> writer = NewWriter(LevelRangeBits(output_level));
  const Result<void> merged = co_await Merge(*version, compaction, *writer);
  if (!merged) co_return Fail(merged.error());
  if (tree->drop_persisted) co_return Result<void>();  // a FLUSHDB overtook: the output goes

  VersionEdit::Tree changed{tree->id, {}, {}, std::nullopt};
  for (const Version::Tables* tables : {&compaction.upper, &compaction.lower}) {
    for (const auto& table : *tables) changed.removed.push_back(table->info().number);
  }
  for (const auto& table : writer->tables()) changed.added.push_back({output_level, table->info()});
  const uint64_t input_bytes = TotalBytes(compaction.upper) + TotalBytes(compaction.lower);
  // The tree's version of now: flushes may have added to it since the compaction was picked.
  Store::Change change{tree,
                       tree->version->Edited(changed.removed, TablesAt(output_level, *writer)),
                       input_bytes, writer->file_bytes()};
  VersionEdit edit;
  edit.trees.push_back(std::move(changed));
  const Result<void> appended = AppendEdit(std::move(edit));
  if (appended || manifest_failed_) writer->Release();
  CO_TRY(appended);
  {
    std::lock_guard lock(store_.mutex().background());
    store_.InstallCompaction(change);
  }
  for (const Version::Tables* tables : {&compaction.upper, &compaction.lower}) {
    for (const auto& table : *tables) table->MarkObsolete();
  }
  options_.logger->info(
      "compaction: L{} to L{}, {}+{} tables, {} bytes in, {} tables, {} bytes out, {} ms",
      compaction.level, output_level, compaction.upper.size(), compaction.lower.size(), input_bytes,
      writer->tables().size(), writer->file_bytes(), (env_.clock->MonotonicUs() - began_us) / 1000);
  co_return Result<void>();
}

}  // namespace varve::engine
