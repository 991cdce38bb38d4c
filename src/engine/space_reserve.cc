#include "engine/space_reserve.h"

#include <spdlog/logger.h>

#include <algorithm>
#include <cerrno>
#include <numeric>
#include <utility>

namespace varve::engine {
namespace {

// It grows by such parts: what is not enough for one is left to others.
constexpr uint64_t kGrowthSteps = 8;
constexpr uint64_t kGrowthBytesMin = 64 << 10;

// A merge out of L0 rewrites an eighth of the next level, which is nearly all that there is while
// the tables are few; with more of them there are levels between, and a step is nine tables or so.
constexpr uint64_t kTablesPart = 8;
constexpr uint64_t kUnitsMax = 9;  // a unit is the size of one full table

// Parts of what a flush may need.
constexpr uint64_t kStartPart = 8;
constexpr uint64_t kStartBytesMin = 32 << 10;
constexpr uint64_t kDeletesPart = 4;

Error InUse() { return FailSystem(ENOSPC, "a part of the disk's reserve is in use").value(); }

}  // namespace

SpaceReserve::SpaceReserve(const Env& env, const Options& options, uint64_t flush_bytes)
    : env_(env),
      directory_(options.directory),
      path_(options.directory + "/reserve"),
      logger_(options.logger),
      unit_bytes_(std::max<uint64_t>(options.write_buffer_bytes, 1)) {
  SetPart(Use::kStart, std::max(flush_bytes / kStartPart, kStartBytesMin));
  SetPart(Use::kFlush, flush_bytes);
  SetPart(Use::kDeletes, flush_bytes / kDeletesPart);
  SetPart(Use::kCompaction, unit_bytes_);
}

void SpaceReserve::SetPart(Use use, uint64_t bytes) {
  PartOf(use) = bytes;
  bytes_wanted_ = std::accumulate(parts_.begin(), parts_.end(), uint64_t{0});
}

void SpaceReserve::Open() {
  const std::lock_guard lock(mutex_);
  const Result<uint64_t> size = env_.files->FileSize(path_);
  if (!size || *size == 0) return;
  bytes_ = *size;
  const auto file = env_.files->OpenForWrite(path_);
  if (file && !(*file)->Allocate(*size)) CutTo(0);
}

void SpaceReserve::SetHook(Work hook) {
  const std::lock_guard lock(mutex_);
  hook_ = std::move(hook);
}

Result<void> SpaceReserve::Fill() {
  const std::lock_guard lock(mutex_);
  const uint64_t wanted = bytes_wanted_;
  const Result<void> grown = GrowTo(wanted - std::min(wanted, lent_));
  if (!grown && grown.error().code != Errc::kNoSpace) return grown;
  if (grown && lent_ == 0) {
    SetWhole();
    return {};
  }
  SetShort(grown ? InUse() : grown.error());
  return Fail(shortage());
}

Result<void> SpaceReserve::CoverFlush(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  const uint64_t covered = PartOf(Use::kFlush);
  if (bytes <= covered) return {};
  const uint64_t before = bytes_;
  if (Result<void> grown = GrowTo(bytes_wanted_ + bytes - covered); !grown) {
    CutTo(before);
    return grown;
  }
  SetPart(Use::kFlush, bytes);
  return {};
}

void SpaceReserve::SetFlushBytes(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  SetPart(Use::kFlush, bytes);
  if (bytes_ > bytes_wanted_) CutTo(bytes_wanted_);
}

void SpaceReserve::SetTableBytes(uint64_t bytes) {
  const uint64_t units = std::min(bytes / kTablesPart / unit_bytes_ + 1, kUnitsMax);
  const std::lock_guard lock(mutex_);
  if (units * unit_bytes_ == PartOf(Use::kCompaction)) return;
  SetPart(Use::kCompaction, units * unit_bytes_);
  if (bytes_ > bytes_wanted_) CutTo(bytes_wanted_);
  if (bytes_ < bytes_wanted_ && hook_) hook_();
}

Result<std::unique_ptr<WritableFile>> SpaceReserve::OpenFile() {
  if (bytes_ > 0) {
    auto file = env_.files->OpenForWrite(path_);
    if (file || file.error().code != Errc::kNotFound) return file;
    bytes_ = 0;  // somebody has helped himself to it
  }
  return env_.files->Create(path_);
}

Result<void> SpaceReserve::GrowTo(uint64_t bytes) {
  if (bytes_ >= bytes) return {};
  TRY_ASSIGN(const auto file, OpenFile());
  const uint64_t step = std::max(bytes_wanted_ / kGrowthSteps, kGrowthBytesMin);
  while (bytes_ < bytes) {
    const uint64_t next = std::min(bytes_ + step, bytes);
    if (Result<void> allocated = file->Allocate(next); !allocated) {
      CutTo(bytes_);  // a part of the step may have been allocated
      return allocated;
    }
    bytes_ = next;
  }
  return {};
}

void SpaceReserve::CutTo(uint64_t bytes) {
  const Result<void> cut = env_.files->Truncate(path_, bytes);
  if (cut) {
    bytes_ = bytes;
  } else if (cut.error().code == Errc::kNotFound) {
    bytes_ = 0;
  } else {
    logger_->warn("the reserve cannot be cut: {}", cut.error().context);
  }
}

uint64_t SpaceReserve::Lend(Use use, uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  const uint64_t before = bytes_;
  const uint64_t kept =
      std::accumulate(parts_.begin(), parts_.begin() + static_cast<int>(use), uint64_t{0});
  const uint64_t given = std::min(bytes, before - std::min(before, kept));
  if (given == 0) return 0;
  CutTo(before - given);
  const uint64_t freed = before - bytes_;
  lent_ += freed;
  if (freed > 0) SetShort(InUse());
  return freed;
}

void SpaceReserve::TakeBack(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  lent_ -= bytes;
}

Error SpaceReserve::WithFreeBytes(const Error& error) const {
  const Result<DiskSpace> space = env_.files->Space(directory_);
  const std::string free_bytes = space ? std::to_string(space->free_bytes) : "?";
  return {error.code,
          fmt::format("{} ({} bytes are free in {})", error.context, free_bytes, directory_),
          error.system_error};
}

void SpaceReserve::SetShort(const Error& error) {
  {
    Error shortage = WithFreeBytes(error);
    shortage.context += fmt::format("; {} of {} bytes are kept for flushes and deletes",
                                    bytes_.load(), bytes_wanted_.load());
    const std::lock_guard lock(text_mutex_);
    shortage_ = std::move(shortage);
  }
  if (is_short_.exchange(true)) return;
  logger_->warn("writes are refused until there is room on the disk: {}", this->shortage().context);
  if (hook_) hook_();
}

void SpaceReserve::SetWhole() {
  if (is_short_.exchange(false)) {
    logger_->warn("there is room on the disk again: writes are taken");
  }
}

Error SpaceReserve::shortage() const {
  const std::lock_guard lock(text_mutex_);
  return shortage_;
}

bool SpaceReserve::Lease::Extend(uint64_t bytes) {
  const uint64_t freed = reserve_.Lend(use_, bytes);
  bytes_ += freed;
  return freed > 0;
}

void SpaceReserve::Lease::Return() {
  if (bytes_ > 0) reserve_.TakeBack(std::exchange(bytes_, 0));
}

}  // namespace varve::engine
