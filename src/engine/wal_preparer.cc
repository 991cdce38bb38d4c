#include "engine/wal_preparer.h"

#include <spdlog/logger.h>

#include <algorithm>
#include <utility>

namespace varve::engine {

namespace {

constexpr size_t kSpareFilesMax = 2;
constexpr uint64_t kFirstPauseUs = 100'000;
constexpr uint64_t kLongestPauseUs = 1'000'000;

// Deletes on a full disk get segments of this part of the normal size: some ten thousand of them.
constexpr uint64_t kSmallSegmentPart = 16;
constexpr uint64_t kSmallSegmentBytesMin = 8 << 10;

bool IsNoSpace(const Result<void>& result) {
  return !result && result.error().code == Errc::kNoSpace;
}

}  // namespace

WalPreparer::WalPreparer(const Env& env, const Options& options, uint64_t segment_bytes,
                         uint64_t next_number, std::shared_ptr<SpaceReserve> reserve)
    : env_(env),
      directory_(options.directory),
      logger_(options.logger),
      segment_bytes_(std::max(segment_bytes, kWalOverheadBytes + kLogRecordHeaderBytes)),
      small_segment_bytes_(std::min(
          segment_bytes_, std::max(segment_bytes_ / kSmallSegmentPart, kSmallSegmentBytesMin))),
      reserve_(std::move(reserve)),
      next_number_(next_number),
      zero_fill_(options.sync_mode == SyncMode::kAlways) {}

uint64_t WalPreparer::FileBytes(uint64_t payload_bytes, uint64_t least) const {
  return std::max(least, kWalOverheadBytes + kLogRecordHeaderBytes + payload_bytes);
}

Result<std::shared_ptr<WalSegment>> WalPreparer::MakeFirst(Lsn base) {
  TRY(FindSegments());
  auto first = Make(segment_bytes_, base);
  if (first || first.error().code != Errc::kNoSpace) return first;
  DropSpare();
  return MakeFromReserve(small_segment_bytes_, base, SpaceReserve::Use::kStart);
}

Result<std::shared_ptr<WalSegment>> WalPreparer::Make(uint64_t file_bytes,
                                                      std::optional<Lsn> base) {
  WalSegmentPlan plan{directory_, next_number_, file_bytes, base, "", zero_fill_};
  if (file_bytes == segment_bytes_ && !spare_.empty()) {
    plan.recycled_path = std::move(spare_.back());
    spare_.pop_back();
  }
  TRY_ASSIGN(auto segment, CreateWalSegment(env_, plan));
  file_bytes_[next_number_++] = file_bytes;
  return segment;
}

Result<std::shared_ptr<WalSegment>> WalPreparer::MakeFromReserve(uint64_t file_bytes,
                                                                 std::optional<Lsn> base,
                                                                 SpaceReserve::Use use) {
  auto made = Make(file_bytes, base);
  SpaceReserve::Lease lease(*reserve_, use);
  while (!made && made.error().code == Errc::kNoSpace && lease.Extend(file_bytes)) {
    made = Make(file_bytes, base);
  }
  return made;
}

// Those that recovery has read are to be flushed, too.
Result<void> WalPreparer::FindSegments() {
  TRY_ASSIGN(const std::vector<std::string> names, env_.files->List(directory_));
  for (const std::string& name : names) {
    const std::optional<uint64_t> number = ParseWalName(name);
    if (!number) continue;
    TRY_ASSIGN(file_bytes_[*number], env_.files->FileSize(WalPath(directory_, *number)));
  }
  SizeReserve();
  return {};
}

void WalPreparer::SizeReserve() {
  uint64_t largest = segment_bytes_;
  for (const auto& [number, bytes] : file_bytes_) largest = std::max(largest, bytes);
  reserve_->SetFlushBytes(largest);
}

// True: there were some.
bool WalPreparer::DropSpare() {
  for (const std::string& path : spare_) {
    [[maybe_unused]] const Result<void> removed =
        env_.files->Remove(path);  // else at the next start
  }
  return !std::exchange(spare_, {}).empty();
}

Result<void> WalPreparer::AddSpare(std::vector<std::string> paths) {
  const size_t spare_max = reserve_->is_short() ? 0 : kSpareFilesMax;
  bool removed = false;
  for (std::string& path : paths) {
    TRY_ASSIGN(const uint64_t size, env_.files->FileSize(path));
    // Larger ones held one large record; kept, they would be room that nobody uses.
    if (spare_.size() < spare_max && size <= segment_bytes_) {
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
  std::erase_if(file_bytes_, [number](const auto& segment) { return segment.first < number; });
  SizeReserve();
  // From the directory: those that recovery read are among them.
  TRY_ASSIGN(const std::vector<std::string> names, env_.files->List(directory_));
  std::vector<std::string> paths;
  for (const std::string& name : names) {
    const std::optional<uint64_t> found = ParseWalName(name);
    if (!found || *found >= number) continue;
    const std::string path = WalPath(directory_, *found);
    if (std::find(spare_.begin(), spare_.end(), path) == spare_.end()) paths.push_back(path);
  }
  TRY(AddSpare(std::move(paths)));
  // There is room now, which need not wait for the next attempt.
  if (reserve_->is_short()) Hurry();
  return {};
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

Result<void> WalPreparer::error(bool may_use_reserve) const {
  const std::lock_guard lock(mutex_);
  return may_use_reserve ? reserve_error_ : error_;
}

void WalPreparer::Stop() {
  const std::lock_guard lock(mutex_);
  is_stopped_ = true;
}

void WalPreparer::Prepare(size_t payload_bytes, bool may_use_reserve, Work done) {
  const std::lock_guard lock(mutex_);
  if (done) waiting_.push_back(std::move(done));
  wanted_payload_bytes_ = std::max<uint64_t>(wanted_payload_bytes_, payload_bytes);
  may_use_reserve_ |= may_use_reserve;
  is_asked_ = true;
  // What frees space does not wait for the end of a pause.
  if (!std::exchange(is_posted_, true) || may_use_reserve) Post(0);
}

void WalPreparer::Hurry() {
  const std::lock_guard lock(mutex_);
  is_asked_ = is_posted_ = true;
  Post(0);
}

void WalPreparer::Post(uint64_t delay_us) {
  auto run = [weak = weak_from_this(), order = ++order_] {
    if (const auto self = weak.lock()) self->Run(order);
  };
  if (delay_us == 0) {
    env_.log->Post(std::move(run));
  } else {
    env_.log->PostAfter(delay_us, std::move(run));
  }
}

void WalPreparer::Run(uint64_t order) {
  uint64_t wanted = 0;
  bool may_use_reserve = false;
  std::vector<Work> waiting;
  bool is_stopped = false;
  {
    const std::lock_guard lock(mutex_);
    if (order != order_) return;
    wanted = std::exchange(wanted_payload_bytes_, 0);
    may_use_reserve = std::exchange(may_use_reserve_, false);
    waiting = std::exchange(waiting_, {});
    is_asked_ = false;
    is_stopped = is_stopped_;
  }
  if (!is_stopped) Attempt(wanted, may_use_reserve);
  for (const Work& done : waiting) done();
}

void WalPreparer::Attempt(uint64_t payload_bytes, bool may_use_reserve) {
  const Result<void> filled = FillReserve();
  Result<void> made;
  // What there is of space is the reserve's first.
  if (!Fits(payload_bytes)) made = IsNoSpace(filled) ? filled : PrepareNext(payload_bytes);
  Result<void> made_small = made;
  if (IsNoSpace(made) && may_use_reserve) made_small = MakeSmallNext(payload_bytes);
  {
    const std::lock_guard lock(mutex_);
    // Forgotten at the next attempt: then the next one who frees space tries again.
    reserve_error_ = may_use_reserve ? std::move(made_small) : Result<void>();
  }
  Note(filled, std::move(made));
}

void WalPreparer::Note(const Result<void>& filled, Result<void> made) {
  if (IsNoSpace(made) && filled) made = Fail(reserve_->WithFreeBytes(made.error()));
  const std::lock_guard lock(mutex_);
  if (filled && made) {
    if (!error_) logger_->info("preparing WAL segments goes on");
    pause_us_ = 0;
    // Somebody may have asked again since the attempt began.
    is_posted_ = is_asked_;
    if (is_posted_) Post(0);
  } else {
    // Once, and not at each attempt, of which there is one a second while the disk is full.
    if (!made && error_ && !IsNoSpace(filled)) {
      logger_->warn("preparing a WAL segment failed, trying again: {}", made.error().context);
    }
    // A large record that found no room is refused and forgotten; the next one tries anew.
    pause_us_ = filled && Fits(0) ? kFirstPauseUs
                                  : std::clamp(pause_us_ * 2, kFirstPauseUs, kLongestPauseUs);
    Post(pause_us_);
  }
  error_ = std::move(made);
}

Result<void> WalPreparer::FillReserve() {
  Result<void> filled = reserve_->Fill();
  if (IsNoSpace(filled) && DropSpare()) filled = reserve_->Fill();
  return filled;
}

Result<void> WalPreparer::PrepareNext(uint64_t payload_bytes) {
  const uint64_t file_bytes = FileBytes(payload_bytes, segment_bytes_);
  Result<void> made = MakeNext(file_bytes);
  if (IsNoSpace(made) && DropSpare()) made = MakeNext(file_bytes);
  // Room for one large record must not stand against all the small ones.
  if (!made && file_bytes > segment_bytes_ && !Fits(0)) {
    [[maybe_unused]] const Result<void> normal = MakeNext(segment_bytes_);
  }
  return made;
}

Result<void> WalPreparer::MakeNext(uint64_t file_bytes) {
  TRY(reserve_->CoverFlush(file_bytes));
  auto segment = Make(file_bytes, std::nullopt);
  if (segment) SetNext(*std::move(segment));
  SizeReserve();  // for what there is now
  return segment ? Result<void>() : Fail(segment.error());
}

Result<void> WalPreparer::MakeSmallNext(uint64_t payload_bytes) {
  TRY_ASSIGN(std::shared_ptr<WalSegment> segment,
             MakeFromReserve(FileBytes(payload_bytes, small_segment_bytes_), std::nullopt,
                             SpaceReserve::Use::kDeletes));
  SetNext(std::move(segment));
  return {};
}

void WalPreparer::SetNext(std::shared_ptr<WalSegment> segment) {
  std::shared_ptr<WalSegment> too_small;
  {
    const std::lock_guard lock(mutex_);
    next_data_bytes_.store(segment->data_end_max - kWalDataOffset, std::memory_order_release);
    too_small = std::exchange(next_, std::move(segment));
  }
  // Never in use, so nobody misses it if the removal fails: recovery removes it then.
  if (too_small != nullptr) {
    file_bytes_.erase(too_small->header.number);
    [[maybe_unused]] const Result<void> removed = env_.files->Remove(too_small->file->path());
  }
}

}  // namespace varve::engine
