#include "engine/engine_core.h"

#include <spdlog/logger.h>

#include <algorithm>
#include <set>

namespace varve::engine {
namespace {

constexpr uint64_t kSegmentBytesMin = 64 * 1024;

// Of the disk, one write buffer takes this part at most: with log and reserve a seventh, then.
constexpr uint64_t kDiskShare = 64;
constexpr uint64_t kWriteBufferBytesMin = 256 * 1024;

// What the reserve gives at once to a start on a full disk.
constexpr uint64_t kStartStepBytes = 64 << 10;

// A segment holds the records of one memtable: what a record and a memtable add to a row is about
// the same, so a quarter more than the memtable is enough unless keys are overwritten much.
uint64_t SegmentBytes(const Options& options) {
  return std::max(options.write_buffer_bytes + options.write_buffer_bytes / 4, kSegmentBytesMin);
}

// A small disk is not to be taken up by buffers: segments and the reserve follow this size.
Options FitToDisk(const Env& env, Options options) {
  const Result<DiskSpace> space = env.files->Space(options.directory);
  if (!space) return options;
  const uint64_t bytes_max = std::max(space->total_bytes / kDiskShare, kWriteBufferBytesMin);
  if (options.write_buffer_bytes > bytes_max) {
    options.logger->warn("write-buffer-size is {} instead of {}, since the disk is small",
                         bytes_max, options.write_buffer_bytes);
    options.write_buffer_bytes = bytes_max;
  }
  return options;
}

bool IsTableFile(const std::string& name) {
  return name.starts_with("table-") && name.ends_with(".sst");
}

}  // namespace

EngineCore::EngineCore(const Env& env, Options options)
    : env_(env),
      options_(std::move(options)),
      sync_mode_(options_.sync_mode),
      reserve_(std::make_shared<SpaceReserve>(env_, options_, SegmentBytes(options_))) {}

EngineCore::~EngineCore() {
  reserve_->SetHook(nullptr);  // the log's executor may still be at it
  if (!closed_ && maintenance_ != nullptr) (void)Close().has_value();
  if (store_ != nullptr && maintenance_ == nullptr) WaitForLoads();  // a start that failed
  maintenance_.reset();
  store_.reset();
  // Its tables are let go of on the background executor (ReleasedOn), and a next engine in this
  // directory must not meet that.
  DrainBackground();
}

Result<std::unique_ptr<EngineCore>> EngineCore::Open(const Env& env, Options options) {
  TRY(env.files->CreateDirectories(options.directory));
  std::unique_ptr<EngineCore> core(new EngineCore(env, FitToDisk(env, std::move(options))));
  TRY_ASSIGN(core->lock_, env.files->Lock(core->options_.directory + "/LOCK"));
  TRY(core->Recover());
  return core;
}

Result<void> EngineCore::Recover() {
  const uint64_t began_us = env_.clock->MonotonicUs();
  reserve_->Open();
  TRY_ASSIGN(std::unique_ptr<Manifest> manifest, OpenManifest());
  const ManifestState& state = manifest->state();
  store_ =
      std::make_unique<Store>(env_, options_, PositionSecret(state.position_secret), *reserve_);
  store_->next_number() = state.next_number;
  TRY(RemoveOrphans(state));
  TRY(OpenTrees(state));

  TRY_ASSIGN(WalRecovery recovery, RecoverWal(env_, options_.directory, state.wal_oldest,
                                              [this](uint64_t segment, std::string_view payload) {
                                                std::lock_guard lock(store_->mutex());
                                                return store_->Replay(segment, payload);
                                              }));
  if (!recovery.cut.empty()) options_.logger->warn("recovery: {}", recovery.cut);
  TRY_ASSIGN(wal_, Wal::Open(env_, options_, SegmentBytes(options_), recovery.next_number,
                             recovery.end, std::move(recovery.spare), reserve_));
  wal_->SetSyncMode(options_.sync_mode);
  TRY(ForgetEmptyLog(recovery, *manifest));
  maintenance_ =
      std::make_unique<Maintenance>(env_, options_, *store_, *wal_, *reserve_, std::move(manifest));
  reserve_->SetHook([this] {
    maintenance_->ScheduleRelief();
    wal_->PrepareNext(0, false, nullptr);  // which fills the reserve first, until it is whole
  });
  {
    std::lock_guard lock(store_->mutex());
    store_->SetHooks(
        {[this] { maintenance_->ScheduleTidying(); }, [this] { maintenance_->ScheduleFlush(); },
         [this](Lsn lsn) { maintenance_->ScheduleDrops(lsn); },
         [this] { maintenance_->ScheduleTrim(); }, [this] { maintenance_->ScheduleKeySets(); }});
    store_->StartWriting(wal_.get());
  }
  maintenance_->ScheduleFlush();
  maintenance_->ScheduleCompaction();
  maintenance_->ScheduleTidying();
  maintenance_->ScheduleRelief();  // the reserve may have got short before it had the hook

  recovered_records_ = recovery.records;
  recovered_bytes_ = recovery.bytes;
  recovery_us_ = env_.clock->MonotonicUs() - began_us;
  options_.logger->info("recovery: {} WAL records, {} bytes from {} segments, {} ms",
                        recovery.records, recovery.bytes, recovery.segments, recovery_us_ / 1000);
  return {};
}

// At each start the manifest is written anew, which needs some room.
Result<std::unique_ptr<Manifest>> EngineCore::OpenManifest() {
  auto manifest = Manifest::Open(env_, options_.directory);
  SpaceReserve::Lease lease(*reserve_, SpaceReserve::Use::kStart);
  while (!manifest && manifest.error().code == Errc::kNoSpace && lease.Extend(kStartStepBytes)) {
    manifest = Manifest::Open(env_, options_.directory);
  }
  return manifest;
}

// Segments without a record would otherwise stay until the next flush, one more at each start.
Result<void> EngineCore::ForgetEmptyLog(const WalRecovery& recovery, Manifest& manifest) {
  if (recovery.records > 0 || recovery.segments == 0) return {};
  VersionEdit edit;
  edit.wal_oldest = wal_->segment_number();
  const Result<void> appended = manifest.Append(edit);
  if (appended) {
    wal_->Release(*edit.wal_oldest);
  } else if (!manifest.takes_edits()) {
    return appended;
  }
  return {};
}

// Tables and value files that no version names: a flush or compaction was cut short, or a removal.
Result<void> EngineCore::RemoveOrphans(const ManifestState& state) {
  std::set<std::string> known;
  for (const auto& [id, tree] : state.trees) {
    for (const auto& [number, table] : tree.tables) {
      const std::string path = TablePath(options_.directory, number);
      known.insert(path.substr(options_.directory.size() + 1));
    }
    for (const auto& [number, file] : tree.values.files) {
      const std::string path = ValuePath(options_.directory, number);
      known.insert(path.substr(options_.directory.size() + 1));
    }
  }
  TRY_ASSIGN(const std::vector<std::string> names, env_.files->List(options_.directory));
  size_t removed = 0;
  for (const std::string& name : names) {
    if ((!IsTableFile(name) && !IsValueFileName(name)) || known.contains(name)) continue;
    TRY(env_.files->Remove(options_.directory + "/" + name));
    ++removed;
  }
  if (removed == 0) return {};
  options_.logger->info("recovery: {} unfinished files removed", removed);
  return env_.files->SyncDirectory(options_.directory);
}

Result<void> EngineCore::OpenTrees(const ManifestState& state) {
  for (int db = 0; db < kDatabaseCount; ++db) {
    auto tree = std::make_shared<Tree>(state.databases[db], env_.background);
    const auto known = state.trees.find(tree->id);
    if (known != state.trees.end()) {
      std::array<Version::Tables, kLevelCount> levels;
      for (const auto& [number, table] : known->second.tables) {
        TRY_ASSIGN(std::shared_ptr<Table> opened,
                   Table::Open(env_.files, options_.directory, table.info));
        levels[table.level].push_back(ReleasedOn(env_.background, std::move(opened)));
      }
      ValueSet::Files values;
      for (const auto& [number, info] : known->second.values.files) {
        TRY_ASSIGN(std::shared_ptr<ValueFile> opened,
                   ValueFile::Open(env_.files, options_.directory, info));
        values.push_back(ReleasedOn(env_.background, std::move(opened)));
      }
      tree->version = std::make_shared<const Version>(
          std::move(levels),
          std::make_shared<const ValueSet>(known->second.values, ValueSet(), values));
      if (known->second.live_key_count == kKeyCountUnknown) {
        tree->count_error = Error{Errc::kCorruption,
                                  "the number of keys is not known: a damaged table was met when "
                                  "they were counted, see the log"};
      } else {
        tree->key_count = static_cast<int64_t>(known->second.live_key_count);
      }
    }
    store_->AddTree(db, std::move(tree));
  }
  return {};
}

Result<void> EngineCore::Close() {
  closed_ = true;
  // First of all: settling loads that fail from now on are given up, and no flush may take the
  // count without them for exact. The WAL knows which they are.
  maintenance_->Stop();
  std::vector<Work> resumed;
  {
    std::lock_guard lock(store_->mutex());
    resumed = store_->RefuseWrites(Error{Errc::kClosed, "the engine is closing"});
  }
  RunAll(resumed);
  WaitUntil([&] { return maintenance_->idle(); });
  WaitForLoads();
  Result<void> closed = wal_->Close();
  WaitUntil([&] { return maintenance_->idle(); });
  DrainBackground();  // the last step of the strand may still be on its way out
  return closed;
}

void EngineCore::WaitForLoads() {
  WaitUntil([&] {
    std::lock_guard lock(store_->mutex());
    return store_->loads_in_flight() == 0;
  });
}

void EngineCore::DrainBackground() {
  std::atomic<bool> passed{false};
  env_.background->Post([&passed] { passed = true; });
  WaitUntil([&] { return passed.load(); });
}

void EngineCore::SetSyncMode(SyncMode mode) {
  sync_mode_.store(mode, std::memory_order_relaxed);
  wal_->SetSyncMode(mode);
}

Stats EngineCore::CollectStats() {
  Stats stats;
  {
    std::lock_guard lock(store_->mutex());
    store_->FillStats(stats);
  }
  const WalStats wal = wal_->stats();
  stats.wal_records = wal.records;
  stats.wal_bytes = wal.bytes;
  stats.wal_syncs = wal.syncs;
  stats.wal_segments = wal.segments;
  stats.recovered_records = recovered_records_;
  stats.recovered_bytes = recovered_bytes_;
  stats.recovery_us = recovery_us_;
  if (reserve_->is_short()) stats.write_error = reserve_->shortage().context;
  if (Result<void> log = wal_->write_error(); !log) stats.write_error = log.error().context;
  if (Result<void> next = wal_->preparation_error(false); !next) {
    stats.wal_preparation_error = next.error().context;
  }
  if (const Result<DiskSpace> space = env_.files->Space(options_.directory)) {
    stats.disk_free_bytes = space->free_bytes;
  }
  stats.disk_reserve_bytes = reserve_->bytes();
  stats.disk_reserve_bytes_wanted = reserve_->bytes_wanted();
  return stats;
}

}  // namespace varve::engine
