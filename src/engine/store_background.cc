// The part of Store that flush and compaction call, and the figures.
#include <algorithm>
#include <cmath>
#include <variant>

#include "engine/key_set.h"
#include "engine/store.h"

namespace varve::engine {
namespace {

// How many rows one hold of the lock looks at to evict some: some 20 us.
constexpr size_t kTrimRows = 256;

// Filters and indexes may take this part of all memory; beyond it they are cached like rows.
constexpr uint64_t kIndexShare = 4;

// Key sets are made until filters, indexes and they have reached this part of their limit.
constexpr double kKeySetShare = 0.9;
constexpr uint64_t kBlindWritesMax = 1024;  // between two requests for key sets

// Pacing: what share of the rate at which memtables are flushed is admitted when so many are
// sealed. One is being flushed while writers fill the next, so up to one is no debt at all.
constexpr double kAdmittedBySealed[] = {0, 0, 1.1, 0.8, 0.5};  // 0: no limit
// Likewise by the pressure of compaction: from here on the share falls by a factor e for each so
// much more, so there is a pressure at which writes come as fast as merges take them down.
constexpr double kPacedPressure = 1.25;
constexpr double kPressureStep = 0.4;
constexpr double kAdmittedMin = 0.02;
// Memtables that hide more than this part of the live rows are flushed when nobody writes, since
// that gives back more space than it takes.
constexpr uint64_t kHiddenRowsPart = 12;
// A client never pauses longer than this at once.
constexpr uint64_t kDelayMaxUs = 30'000;
// How much the last flush counts in the running average of the rate.
constexpr double kNewestFlushWeight = 0.3;

}  // namespace

std::shared_ptr<Generation> Store::OldestSealed() const {
  return sealed_.empty() ? nullptr : sealed_.front();
}

uint64_t Store::GenerationBehindOldest() const {
  return sealed_.size() > 1 ? sealed_[1]->number : generation_;
}

uint64_t Store::table_bytes() const {
  uint64_t bytes = 0;
  for (const auto& tree : databases_) {
    for (int level = 0; level < kLevelCount; ++level) bytes += tree->version->level_bytes(level);
  }
  return bytes;
}

void Store::SealDeletes() {
  if (!frees_space_ || !sealed_.empty()) return;
  if (wal_->NextFits(0)) {
    Seal();
  } else {
    wal_->PrepareNext(0, true, nullptr);
  }
}

std::vector<Work> Store::InstallFlush(const Generation& generation, std::vector<Change>& changes,
                                      uint64_t elapsed_us) {
  INVARIANT(!sealed_.empty() && sealed_.front()->number == generation.number);
  uint64_t bytes = 0;
  for (const auto& [tree, memtable] : generation.members) {
    tree->flushed_generation = generation.number;
    bytes += memtable->rows.memory_bytes();
    if (!tree->dropped) memory_.MakeClean(memtable->rows);
  }
  for (Change& change : changes) {
    std::swap(change.tree->version, change.version);
    counters_.flush_bytes_written += change.bytes_written;
    counters_.value_bytes_written += change.value_bytes_written;
  }
  sealed_.pop_front();
  ++counters_.flushes;
  NoteFlushRate(bytes, elapsed_us);
  UpdateBudgets();
  UpdatePacing();
  std::vector<Work> resumed;
  TakeWaiters(room_waiters_, resumed);
  return resumed;
}

void Store::InstallCompaction(Change& change) {
  std::swap(change.tree->version, change.version);
  counters_.compaction_bytes_read += change.bytes_read;
  counters_.compaction_bytes_written += change.bytes_written;
  ++counters_.compactions;
  UpdateBudgets();
  UpdatePacing();
}

void Store::InstallCollection(Change& change, uint64_t bytes_freed) {
  std::swap(change.tree->version, change.version);
  counters_.value_bytes_read += change.bytes_read;
  counters_.value_bytes_written += change.value_bytes_written;
  counters_.value_bytes_collected += bytes_freed;
  ++counters_.value_collections;
  UpdateBudgets();
}

std::vector<std::shared_ptr<Tree>> Store::LiveTrees() const {
  return {databases_.begin(), databases_.end()};
}

std::vector<TreeDrop> Store::DropsUpTo(uint64_t generation, Lsn lsn) const {
  std::vector<TreeDrop> drops;
  for (const TreeDrop& drop : drops_) {
    if (drop.generation <= generation || drop.lsn <= lsn) drops.push_back(drop);
  }
  return drops;
}

void Store::ForgetDrops(const std::vector<TreeDrop>& persisted) {
  std::erase_if(drops_, [&](const TreeDrop& drop) {
    return std::any_of(persisted.begin(), persisted.end(),
                       [&](const TreeDrop& done) { return done.tree == drop.tree; });
  });
}

std::vector<Work> Store::SetFlushError(std::optional<Error> error) {
  flush_error_ = std::move(error);
  std::vector<Work> resumed;
  if (flush_error_) TakeWaiters(room_waiters_, resumed);
  return resumed;
}

std::vector<Work> Store::RefuseWrites(Error error) {
  if (!write_refusal_) write_refusal_ = std::move(error);
  std::vector<Work> resumed;
  TakeWaiters(room_waiters_, resumed);
  return resumed;
}

void Store::UpdateBudgets() {
  index_bytes_ = IndexBytes();
  ShareMemory();
}

void Store::NoteIndexLoaded(uint64_t bytes) {
  index_bytes_ += bytes;
  ShareMemory();
}

// Clean rows get what the others leave.
void Store::ShareMemory() {
  // What the active memtables may reach; they hold more when the limit has just been lowered.
  uint64_t others = std::max(std::min(write_buffer_bytes_, memory_bytes_max_ / 8), ActiveBytes());
  for (const auto& generation : sealed_) {
    for (const auto& [tree, memtable] : generation->members) {
      others += memtable->rows.memory_bytes();
    }
  }
  others += index_bytes_ + static_cast<uint64_t>(foreign_bytes_);
  has_key_set_room_.store(
      static_cast<double>(index_bytes_) < kKeySetShare * static_cast<double>(IndexBytesMax()),
      std::memory_order_relaxed);
  memory_.SetBytesMax(memory_bytes_max_ - std::min(memory_bytes_max_, others));
  if (memory_.has_victims() || index_bytes_ > IndexBytesMax()) StartTrimming();
}

void Store::StartTrimming() {
  if (!trimming_ && hooks_.memory_to_trim) {
    trimming_ = true;
    hooks_.memory_to_trim();
  }
}

Store::Trimmed Store::TrimRowMemory(Segment::Pointer spare) {
  if (spare != nullptr) memory_.AddSpare(std::move(spare));
  Trimmed trimmed;
  const bool evicted = memory_.EvictSome(kTrimRows);
  if (index_bytes_ > IndexBytesMax()) DropIndexes(trimmed.indexes);
  trimmed.wants_spare = memory_.wants_spare();
  trimmed.done = evicted && !trimmed.wants_spare;
  trimming_ = !trimmed.done;
  return trimmed;
}

void Store::AddForeignBytes(int64_t bytes) {
  foreign_bytes_ += bytes;
  ShareMemory();
}

uint64_t Store::IndexBytesMax() const { return memory_bytes_max_ / kIndexShare; }

// Calls `visit` for each file that has an index to load: tables and value files.
template <typename Visit>
void Store::ForEachIndexed(Visit visit) const {
  for (const auto& tree : databases_) {
    for (int level = 0; level < kLevelCount; ++level) {
      for (const auto& table : tree->version->level(level)) visit(*table);
    }
    for (const auto& file : tree->version->values().files()) visit(*file);
  }
}

// One round over all of them at most: those that were used since the last round are spared. Key
// sets go first, since a table can do without.
void Store::DropIndexes(std::vector<std::shared_ptr<const void>>& dropped) {
  for (const auto& tree : databases_) {
    for (int level = 0; level < kLevelCount; ++level) {
      for (const auto& table : tree->version->level(level)) {
        if (index_bytes_ <= IndexBytesMax()) return;
        if (table->key_set() == nullptr) continue;
        index_bytes_ -= std::min(index_bytes_, table->key_set()->memory_bytes());
        dropped.push_back(table->DropKeySet());
      }
    }
  }
  std::vector<std::variant<const Table*, const ValueFile*>> files;
  ForEachIndexed([&](const auto& file) { files.emplace_back(&file); });
  for (size_t i = 0; i < files.size() && index_bytes_ > IndexBytesMax(); ++i) {
    std::visit(
        [&](const auto* file) {
          const uint64_t bytes = file->index_bytes();
          if (bytes == 0) return;
          if (auto index = file->DropUnusedIndex()) {
            dropped.push_back(std::move(index));
            index_bytes_ -= std::min(index_bytes_, bytes);
          }
        },
        files[index_hand_++ % files.size()]);
  }
}

// A few blind writes can be settled by reads; many of them should know.
void Store::WantKeySets(Tree& tree) {
  if (!has_key_set_room() || ++blind_writes_ < kBlindWritesMax) return;
  blind_writes_ = 0;
  tree.wants_key_sets = true;
  if (hooks_.key_sets_wanted) hooks_.key_sets_wanted();
}

std::shared_ptr<Table> Store::TableWithoutKeySet() const {
  if (!has_key_set_room()) return nullptr;
  for (const auto& tree : databases_) {
    if (!tree->wants_key_sets) continue;
    for (int level = 0; level < kLevelCount; ++level) {
      for (const auto& table : tree->version->level(level)) {
        if (table->key_set() == nullptr) return table;
      }
    }
  }
  return nullptr;
}

uint64_t Store::IndexBytes() const {
  uint64_t bytes = 0;
  ForEachIndexed([&](const auto& file) { bytes += file.index_bytes(); });
  return bytes;
}

// What flushes reach is what writers may use for a while. The share that they are given falls as
// the debt grows, so the two meet well before anything is full, and nobody is stopped dead.
void Store::UpdatePacing() {
  double admitted = kAdmittedBySealed[std::min(sealed_.size(), std::size(kAdmittedBySealed) - 1)];
  const double pressure = std::max(debt_.pressure, collection_pressure_);
  if (pressure > kPacedPressure) {
    const double by_pressure =
        std::max(kAdmittedMin, std::exp((kPacedPressure - pressure) / kPressureStep));
    admitted = admitted == 0 ? by_pressure : std::min(admitted, by_pressure);
  }
  paced_bytes_per_us_ = admitted * flushed_bytes_per_us_;
  is_paced_.store(admitted > 0, std::memory_order_relaxed);
}

void Store::SetCollectionPressure(double pressure) {
  collection_pressure_ = pressure;
  UpdatePacing();
}

void Store::SetCompactionDebt(const CompactionDebt& debt) {
  debt_ = debt;
  UpdatePacing();
}

bool Store::SealActive(bool only_if_worthwhile) {
  if (active_.members.empty() || write_refusal_ || !wal_->NextFits(0) ||
      sealed_.size() >= static_cast<size_t>(options_.sealed_memtables_max)) {
    return false;
  }
  bool worthwhile = !only_if_worthwhile;
  for (const auto& [tree, memtable] : active_.members) {
    const auto live = static_cast<uint64_t>(std::max<int64_t>(tree->key_count, 0));
    worthwhile = worthwhile || memtable->hidden_rows * kHiddenRowsPart > live;
  }
  if (worthwhile) Seal();
  return worthwhile;
}

void Store::PayForWrite(uint64_t bytes) {
  const uint64_t begin = std::max(paid_until_us_.load(), env_.clock->MonotonicUs());
  const double cost_us = static_cast<double>(bytes) / paced_bytes_per_us_;
  paid_until_us_.store(begin + static_cast<uint64_t>(cost_us));
}

uint64_t Store::write_delay_us() const {
  if (!is_paced_.load(std::memory_order_relaxed)) return 0;
  const uint64_t until = paid_until_us_.load();
  const uint64_t now = env_.clock->MonotonicUs();
  return until <= now ? 0 : std::min(until - now, kDelayMaxUs);
}

void Store::NoteFlushRate(uint64_t bytes, uint64_t elapsed_us) {
  // A small one is mostly syncs, and says nothing about the rate.
  if (bytes < write_buffer_bytes_ / 2) return;
  const double rate = static_cast<double>(bytes) / static_cast<double>(elapsed_us + 1);
  flushed_bytes_per_us_ += kNewestFlushWeight * (rate - flushed_bytes_per_us_);
}

void Store::SetMemoryBytesMax(uint64_t bytes) {
  memory_bytes_max_ = bytes;
  UpdateBudgets();
}

void Store::SetWriteBufferBytes(uint64_t bytes) {
  write_buffer_bytes_ = bytes;
  UpdateBudgets();
}

void Store::FillStats(Stats& stats) const {
  stats = counters_;
  stats.memtable_bytes = ActiveBytes();
  stats.sealed_memtables = sealed_.size();
  for (const auto& generation : sealed_) {
    for (const auto& [tree, memtable] : generation->members) {
      stats.sealed_memtable_bytes += memtable->rows.memory_bytes();
    }
  }
  stats.row_cache_bytes = memory_.memory_bytes();
  stats.row_cache_bytes_max = memory_.bytes_max();
  stats.row_cache_rows = memory_.clean_rows();
  stats.row_cache_evictions = memory_.evictions();
  stats.filter_index_bytes = IndexBytes();
  stats.settling_pending = settling_;
  stats.write_delay_us = write_delay_us();
  stats.compaction_debt = debt_.bytes;
  stats.compactions_running = debt_.running;
  stats.compaction_pressure = debt_.pressure;
  stats.collection_pressure = collection_pressure_;
  stats.levels.assign(kLevelCount, {});
  for (const auto& tree : databases_) {
    for (int level = 0; level < kLevelCount; ++level) {
      stats.levels[level].tables += tree->version->level(level).size();
      stats.levels[level].bytes += tree->version->level_bytes(level);
    }
    const ValueSet& values = tree->version->values();
    stats.value_files += values.files().size();
    stats.value_file_bytes += values.file_bytes();
    stats.value_live_bytes += values.live_bytes();
  }
  for (const LevelStats& level : stats.levels) stats.table_bytes += level.bytes;
  if (write_refusal_) stats.write_error = write_refusal_->context;
  if (background_error_) stats.background_error = background_error_->context;
}

void Store::ResetStats() {
  counters_ = Stats{};
  memory_.ResetStats();
}

}  // namespace varve::engine
