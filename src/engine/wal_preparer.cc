#include "engine/wal_preparer.h"

#include <spdlog/logger.h>

#include <algorithm>
#include <utility>

namespace varve::engine {

namespace {

constexpr size_t kSpareFilesMax = 2;
constexpr uint64_t kFirstPauseUs = 100'000;
constexpr uint64_t kLongestPauseUs = 5'000'000;

}  // namespace

WalPreparer::WalPreparer(const Env& env, const Options& options, uint64_t segment_bytes,
                         uint64_t next_number)
    : env_(env),
      directory_(options.directory),
      logger_(options.logger),
      segment_bytes_(std::max(segment_bytes, kWalOverheadBytes + kLogRecordHeaderBytes)),
      next_number_(next_number),
      zero_fill_(options.sync_mode == SyncMode::kAlways) {}

Result<std::shared_ptr<WalSegment>> WalPreparer::MakeFirst(Lsn base) {
  return Make(segment_bytes_, base);
}

Result<std::shared_ptr<WalSegment>> WalPreparer::Make(uint64_t file_bytes,
                                                      std::optional<Lsn> base) {
  WalSegmentPlan plan{directory_, next_number_, file_bytes, base, "", zero_fill_};
  if (file_bytes == segment_bytes_ && !spare_.empty()) {
    plan.recycled_path = std::move(spare_.back());
    spare_.pop_back();
  }
  TRY_ASSIGN(auto segment, CreateWalSegment(env_, plan));
  ++next_number_;
  return segment;
}

Result<void> WalPreparer::AddSpare(std::vector<std::string> paths) {
  bool removed = false;
  for (std::string& path : paths) {
    TRY_ASSIGN(const uint64_t size, env_.files->FileSize(path));
    // Larger ones held one large record; kept, they would be room that nobody uses.
    if (spare_.size() < kSpareFilesMax && size <= segment_bytes_) {
      spare_.push_back(std::move(path));
    } else {
      TRY(env_.files->Remove(path));
      removed = true;
    }
  }
  if (removed) TRY(env_.files->SyncDirectory(directory_));
  return {};
}

Result<void> WalPreparer::RecycleBelow(uint64_t number) {
  // From the directory: those that recovery read are among them.
  TRY_ASSIGN(const std::vector<std::string> names, env_.files->List(directory_));
  std::vector<std::string> paths;
  for (const std::string& name : names) {
    const std::optional<uint64_t> found = ParseWalName(name);
    if (!found || *found >= number) continue;
    const std::string path = WalPath(directory_, *found);
    if (std::find(spare_.begin(), spare_.end(), path) == spare_.end()) paths.push_back(path);
  }
  return AddSpare(std::move(paths));
}

bool WalPreparer::Fits(size_t payload_bytes) const {
  return kLogRecordHeaderBytes + payload_bytes <= next_data_bytes_.load(std::memory_order_acquire);
}

std::shared_ptr<WalSegment> WalPreparer::TakeNext() {
  const std::lock_guard lock(mutex_);
  INVARIANT(next_ != nullptr);
  next_data_bytes_.store(0, std::memory_order_release);
  return std::exchange(next_, nullptr);
}

Result<void> WalPreparer::error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}

void WalPreparer::Stop() {
  const std::lock_guard lock(mutex_);
  is_stopped_ = true;
}

void WalPreparer::Prepare(size_t payload_bytes, Work done) {
  const std::lock_guard lock(mutex_);
  if (done) waiting_.push_back(std::move(done));
  wanted_payload_bytes_ = std::max<uint64_t>(wanted_payload_bytes_, payload_bytes);
  is_asked_ = true;
  if (!std::exchange(is_posted_, true)) Post(0);
}

void WalPreparer::Post(uint64_t delay_us) {
  auto run = [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->Run();
  };
  if (delay_us == 0) {
    env_.log->Post(std::move(run));
  } else {
    env_.log->PostAfter(delay_us, std::move(run));
  }
}

void WalPreparer::Run() {
  uint64_t wanted = 0;
  std::vector<Work> waiting;
  bool is_stopped = false;
  {
    const std::lock_guard lock(mutex_);
    wanted = std::exchange(wanted_payload_bytes_, 0);
    waiting = std::exchange(waiting_, {});
    is_asked_ = false;
    is_stopped = is_stopped_;
  }
  if (!is_stopped) Attempt(wanted);
  for (const Work& done : waiting) done();
}

void WalPreparer::Attempt(uint64_t payload_bytes) {
  Result<void> result;
  if (!Fits(payload_bytes)) {
    const uint64_t file_bytes =
        std::max(segment_bytes_, kWalOverheadBytes + kLogRecordHeaderBytes + payload_bytes);
    result = MakeNext(file_bytes);
    // Room for one large record must not stand against all the small ones.
    if (!result && file_bytes > segment_bytes_ && !Fits(0)) {
      [[maybe_unused]] const Result<void> small = MakeNext(segment_bytes_);
    }
  }
  const std::lock_guard lock(mutex_);
  if (result) {
    if (!error_) logger_->info("preparing WAL segments goes on");
    pause_us_ = 0;
    // Somebody may have asked again since the attempt began.
    is_posted_ = is_asked_;
    if (is_posted_) Post(0);
  } else {
    if (error_) {
      logger_->warn("preparing a WAL segment failed, trying again: {}", result.error().context);
    }
    // A large record that found no room is refused and forgotten; the next one tries anew.
    pause_us_ = Fits(0) ? kFirstPauseUs : std::clamp(pause_us_ * 2, kFirstPauseUs, kLongestPauseUs);
    Post(pause_us_);
  }
  error_ = std::move(result);
}

Result<void> WalPreparer::MakeNext(uint64_t file_bytes) {
  TRY_ASSIGN(std::shared_ptr<WalSegment> segment, Make(file_bytes, std::nullopt));
  std::shared_ptr<WalSegment> too_small;
  {
    const std::lock_guard lock(mutex_);
    next_data_bytes_.store(segment->data_end_max - kWalDataOffset, std::memory_order_release);
    too_small = std::exchange(next_, std::move(segment));
  }
  // Never in use, so nobody misses it if the removal fails: recovery removes it then.
  if (too_small != nullptr) {
    [[maybe_unused]] const Result<void> removed = env_.files->Remove(too_small->file->path());
  }
  return {};
}

}  // namespace varve::engine
