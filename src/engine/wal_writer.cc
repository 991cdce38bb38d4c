#include "engine/wal_writer.h"

#include <spdlog/logger.h>

#include <utility>

namespace varve::engine {

WalWriter::WalWriter(std::shared_ptr<spdlog::logger> logger, std::shared_ptr<WalSegment> first)
    : logger_(std::move(logger)),
      active_(std::move(first)),
      end_(active_->base),
      pending_(1),
      draining_(1),
      newest_written_(active_),
      written_(end_),
      durable_(end_) {
  pending_[0].Reset(active_, kWalDataOffset);
}

bool WalWriter::Fits(size_t payload_bytes) const {
  const uint64_t begin = active_->OffsetOf(end_);
  return kLogRecordHeaderBytes + payload_bytes <= active_->data_end_max - begin;
}

uint64_t WalWriter::active_bytes_used() const { return active_->OffsetOf(end_); }

Lsn WalWriter::Append(const WalRecord& record) {
  INVARIANT(Fits(record.size()));
  const uint64_t bytes = kLogRecordHeaderBytes + record.size();
  const std::lock_guard lock(buffer_mutex_);
  end_ += bytes;
  ++records_;
  bytes_ += bytes;
  // Nobody will write them, and nobody is told otherwise: writing up to here returns the error.
  if (!has_failed_.load(std::memory_order_relaxed)) pending_.back().Append(record);
  return end_;
}

void WalWriter::Rotate(std::shared_ptr<WalSegment> next) {
  const std::lock_guard lock(buffer_mutex_);
  next->base = end_;
  active_ = std::move(next);
  pending_.emplace_back().Reset(active_, kWalDataOffset);
}

Result<void> WalWriter::WriteUpTo(Lsn lsn) {
  if (written() >= lsn) return {};
  const std::lock_guard lock(write_mutex_);
  if (written() >= lsn) return {};  // by who came before
  return Drain();
}

Result<void> WalWriter::Drain(bool even_nothing) {
  if (has_failed_.load()) return error();
  Lsn end = 0;
  {
    const std::lock_guard lock(buffer_mutex_);
    end = end_;
    if (!even_nothing && pending_.size() == 1 && pending_[0].empty()) return {};
    std::swap(pending_, draining_);
    pending_[0].Reset(active_, active_->OffsetOf(end_));
  }
  for (WalBuffer& buffer : draining_) {
    if (const Result<void> result = Write(buffer); !result) return SetError(result.error());
  }
  written_.store(end, std::memory_order_release);
  // Large values are let go of here, outside the buffer's mutex.
  draining_.resize(1);
  draining_[0].Reset(nullptr, 0);
  return {};
}

Result<void> WalWriter::Write(WalBuffer& buffer) {
  WalSegment& segment = *buffer.segment();
  // With a sync point behind it even if it adds nothing: the segment's start must be written, for
  // it tells where the one before ended.
  const uint64_t offset = buffer.write_offset();
  TRY(segment.file->WriteAt(offset, buffer.Finish(durable())));
  segment.written_end = buffer.end();
  newest_written_ = buffer.segment();
  if (!std::exchange(segment.has_unsynced, true)) unsynced_.push_back(buffer.segment());
  return {};
}

Result<void> WalWriter::Sync() {
  const std::lock_guard sync_lock(sync_mutex_);
  Lsn target = 0;
  std::vector<std::shared_ptr<WalSegment>> segments;
  {
    const std::lock_guard lock(write_mutex_);
    TRY(Drain());
    target = written();
    segments = std::exchange(unsynced_, {});
    // What is written from now on makes its segment unsynced again.
    for (const auto& segment : segments) segment->has_unsynced = false;
  }
  if (segments.empty()) return {};
  // In order: the durable part of the log has no hole at any time.
  for (const auto& segment : segments) {
    if (const Result<void> result = segment->file->Sync(); !result) return SetError(result.error());
    syncs_.fetch_add(1, std::memory_order_relaxed);
  }
  return MarkDurable(target);
}

Result<void> WalWriter::WriteEnd() {
  const std::lock_guard lock(write_mutex_);
  return Drain(true);
}

Result<void> WalWriter::MarkDurable(Lsn lsn) {
  const std::lock_guard lock(write_mutex_);
  // Another write may have failed meanwhile; what was synced stays durable.
  durable_.store(lsn, std::memory_order_release);
  if (has_failed_.load()) return {};
  // The sync point itself is not synced: for the next start after a mere kill it is there, so that
  // damage before it is not taken for a torn tail.
  const WalSegment& segment = *newest_written_;
  std::string bytes;
  AppendSyncPoint(bytes, segment.Relative(lsn), segment.header.salt, segment.written_end);
  const std::string_view piece = bytes;
  if (const auto result = segment.file->WriteAt(segment.written_end, {&piece, 1}); !result) {
    return SetError(result.error());
  }
  return {};
}

Result<void> WalWriter::Forget(uint64_t number) {
  const std::lock_guard lock(write_mutex_);
  // Else it would be written when its file is another segment already.
  TRY(Drain());
  std::erase_if(unsynced_, [&](const auto& segment) { return segment->header.number < number; });
  return {};
}

tl::unexpected<Error> WalWriter::SetError(const Error& error) {
  const std::lock_guard lock(error_mutex_);
  if (!has_failed_.exchange(true)) {
    logger_->error("the WAL takes no more writes: {}", error.context);
    error_ = Fail(error);
  }
  return Fail(error_.error());
}

Result<void> WalWriter::error() const {
  if (!has_failed_.load()) return {};
  const std::lock_guard lock(error_mutex_);
  return error_;
}

WalStats WalWriter::stats() const {
  const std::lock_guard lock(buffer_mutex_);
  return {records_, bytes_, syncs_.load(), 0};
}

void WalWriter::ResetStats() {
  const std::lock_guard lock(buffer_mutex_);
  records_ = bytes_ = 0;
  syncs_ = 0;
}

}  // namespace varve::engine
