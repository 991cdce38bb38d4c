#include "engine/maintenance_context.h"

#include <spdlog/logger.h>

#include <algorithm>

namespace varve::engine {

namespace {

// What an edit of the manifest may need: it is allocated by steps that are smaller.
constexpr uint64_t kEditBytesMax = 1 << 20;

}  // namespace

MaintenanceContext::MaintenanceContext(const Env& env, const Options& options, Store& store,
                                       SpaceReserve& reserve, std::unique_ptr<Manifest> manifest)
    : env_(env),
      options_(options),
      store_(store),
      reserve_(reserve),
      manifest_(std::move(manifest)),
      pace_(env.clock, options.background_io_limit),
      last_level_compression_(options.last_level_compression) {}

void MaintenanceContext::Post(Work work) {
  ++pending_;
  env_.background->Post([this, work = std::move(work)] {
    if (!stopping_) work();
    --pending_;
  });
}

Task<bool> MaintenanceContext::Pause(uint64_t us) {
  constexpr uint64_t kStepUs = 20'000;  // Stop() is heeded within this time
  for (uint64_t waited = 0; waited < us && !stopping_; waited += kStepUs) {
    co_await Yield{*env_.background, std::min(us - waited, kStepUs)};
  }
  co_return true;
}

Task<bool> MaintenanceContext::WaitOnWorkers(uint64_t us) {
  constexpr uint64_t kStepUs = 20'000;  // Stop() is heeded within this time
  uint64_t waited = 0;
  do {
    co_await Yield{*env_.workers, std::min(us - waited, kStepUs)};
    waited += kStepUs;
  } while (waited < us && !stopping_ && !flush_needs_room_);
  co_return true;
}

tl::unexpected<Error> MaintenanceContext::Stopped() const {
  return Fail(Errc::kClosed, "the engine is closing");
}

Task<bool> MaintenanceContext::RunRewrites(
    const char* what, std::function<std::optional<Task<Result<void>>>()> next) {
  BeginWork();
  RetryPause retry;
  SpaceReserve::Lease lease(reserve_, SpaceReserve::Use::kCompaction);
  while (!ended() && !flush_needs_room()) {
    std::optional<Task<Result<void>>> job = next();
    if (!job) break;
    const Result<void> done = co_await *std::move(job);
    if (done) {
      lease.Return();
      ReportSuccess();
      retry.Reset();
    } else if (flush_needs_room()) {
      break;  // which starts this again
    } else if (done.error().code == Errc::kNoSpace && lease.Extend(reserve_.bytes_wanted())) {
      log().info("{}: the reserve gives the room that the disk lacks", what);
    } else if (!ended()) {
      lease.Return();
      ReportFailure(what, done.error());
      co_await Pause(retry.Next());
    }
  }
  EndWork();
  co_return true;
}

void MaintenanceContext::ReportFailure(const char* what, const Error& error) {
  log().error("{} failed, will be tried again: {}", what, error.context);
  failing_ = true;
  std::lock_guard lock(store_.mutex().background());
  store_.SetBackgroundError(error);
}

void MaintenanceContext::ReportSuccess() {
  if (!failing_) return;
  failing_ = false;
  log().warn("background work goes on again");
  std::lock_guard lock(store_.mutex().background());
  store_.SetBackgroundError(std::nullopt);
}

Result<void> MaintenanceContext::AppendEdit(VersionEdit edit) {
  edit.next_number = store_.next_number().load();
  Result<void> appended = manifest_->Append(edit);
  if (!appended && appended.error().code == Errc::kNoSpace && manifest_->takes_edits()) {
    SpaceReserve::Lease lease(reserve_, SpaceReserve::Use::kFlush);
    if (lease.Extend(kEditBytesMax)) appended = manifest_->Append(edit);
  }
  if (appended || manifest_->takes_edits()) return appended;
  manifest_failed_ = true;
  log().error("writes are refused from now on, restart when the cause is removed: {}",
              appended.error().context);
  std::vector<Work> resumed;
  {
    std::lock_guard lock(store_.mutex().background());
    resumed = store_.RefuseWrites(appended.error());
  }
  RunAll(resumed);
  return appended;
}

// What lies above the last level is written again soon: there a slower compression costs more than
// it saves.
bool MaintenanceContext::Recompresses(int level) const {
  return level == kLevelCount - 1 && last_level_compression_ == LastLevelCompression::kZstd;
}

std::unique_ptr<RangeWriter> MaintenanceContext::NewWriter(const Tree& tree, int level,
                                                           std::vector<DyadicRange> ranges) {
  TableBuilder::Settings settings{options_.block_bytes, options_.filter_bits_per_key,
                                  tree.wants_key_sets && store_.has_key_set_room()};
  if (Recompresses(level)) settings.compression = Compression::kZstd;
  return std::make_unique<RangeWriter>(env_.files, options_.directory, &store_.next_number(),
                                       &store_.secret(), std::move(ranges), settings);
}

std::vector<std::pair<int, std::shared_ptr<Table>>> MaintenanceContext::TablesAt(
    int level, const RangeWriter& writer) const {
  std::vector<std::pair<int, std::shared_ptr<Table>>> tables;
  for (const auto& table : writer.tables()) {
    tables.emplace_back(level, ReleasedOn(env_.background, table));
  }
  return tables;
}

Result<std::unique_ptr<ValueFileBuilder>> MaintenanceContext::NewValueFile() {
  return ValueFileBuilder::Create(env_.files, options_.directory,
                                  store_.next_number().fetch_add(1));
}

std::shared_ptr<const ValueSet> MaintenanceContext::ValuesNow(
    const Tree& tree, std::shared_ptr<ValueFile> added) const {
  ValueSet::Files files;
  if (added != nullptr) files.push_back(ReleasedOn(env_.background, std::move(added)));
  const ValueSet& before = tree.version->values();
  auto now =
      std::make_shared<const ValueSet>(manifest_->state().trees.at(tree.id).values, before, files);
  for (const auto& file : before.FilesNotIn(*now)) file->MarkObsolete();
  return now;
}

}  // namespace varve::engine
