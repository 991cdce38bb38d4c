#include "engine/value_collector.h"

#include <algorithm>
#include <utility>

namespace varve::engine {
namespace {

constexpr uint64_t kReadBytes = 512 << 10;  // at once, over dead records too

}  // namespace

ValueCollector::ValueCollector(std::vector<std::shared_ptr<ValueFile>> files, const ValueRuns& runs,
                               std::unique_ptr<ValueFileBuilder> builder)
    : files_(std::move(files)), builder_(std::move(builder)) {
  for (const auto& [number, run] : runs.runs) {
    for (const auto& file : files_) {
      if (file->info().number == run.file)
        runs_.push_back({number, file.get(), run.live, run.live_count});
    }
  }
}

Result<bool> ValueCollector::Step(uint64_t bytes) {
  for (uint64_t copied = 0; run_ < runs_.size() && copied < bytes;) {
    TRY_ASSIGN(const uint64_t some, CopySome());
    copied += some;
  }
  if (run_ < runs_.size()) return false;
  if (!std::exchange(finished_, true)) {
    TRY(builder_->Finish());
    return false;
  }
  return builder_->VerifySome(bytes);
}

Result<uint64_t> ValueCollector::CopySome() {
  const Run& run = runs_[run_];
  TRY_ASSIGN(const std::shared_ptr<const ValueIndex> index, run.file->LoadIndex());
  const ValueIndex::Run* const range = index->FindRun(run.number);
  if (range == nullptr) {
    return Fail(Errc::kCorruption, "{}: has no run {}", run.file->path(), run.number);
  }
  record_ = std::max(record_, range->begin);
  const auto is_live = [&](size_t record) {
    return index->ordinal(record) < run.live.size() && run.live[index->ordinal(record)];
  };
  while (record_ < range->end && !is_live(record_)) ++record_;
  size_t end = record_;  // behind the last live record that is near enough
  for (size_t record = record_; record < range->end; ++record) {
    const BlockHandle handle = index->handle(record);
    if (end > record_ && handle.end() - index->handle(record_).offset > kReadBytes) break;
    if (is_live(record)) end = record + 1;
  }
  if (end == record_) {
    TRY(EndRun(run));
    return uint64_t{0};
  }
  TRY(ReadChunk(run, *index, record_, end));
  for (; record_ < end; ++record_) {
    if (is_live(record_)) TRY(CopyRecord(run, *index, record_));
  }
  run.file->file().DontNeed(chunk_begin_, chunk_.size());
  return uint64_t{chunk_.size()};
}

// A row that refers to a record that is nowhere must stay with the file that lacks it.
Result<void> ValueCollector::EndRun(const Run& run) {
  if (run_copied_ != run.live_count) {
    return Fail(Errc::kCorruption, "{}: has {} of the {} live records of run {}", run.file->path(),
                run_copied_, run.live_count, run.number);
  }
  ++run_;
  record_ = 0;
  run_copied_ = 0;
  return {};
}

Result<void> ValueCollector::ReadChunk(const Run& run, const ValueIndex& index, size_t first,
                                       size_t end) {
  chunk_begin_ = index.handle(first).offset;
  chunk_.resize(index.handle(end - 1).end() - chunk_begin_);
  bytes_read_ += chunk_.size();
  return run.file->file().ReadAt(chunk_begin_, chunk_);
}

Result<void> ValueCollector::CopyRecord(const Run& run, const ValueIndex& index, size_t record) {
  const Extent extent = Extent::Of(index.handle(record));
  ++run_copied_;
  std::string stored = chunk_.substr(extent.offset - chunk_begin_, extent.size);
  return builder_->Copy(run.number, index.ordinal(record), std::move(stored),
                        {run.file->path(), run.file->info().number, extent.offset});
}

ValueEdit ValueCollector::Edit(const ValueRuns& now) const {
  ValueEdit edit;
  for (const Run& run : runs_) {
    if (now.runs.contains(run.number)) edit.moved.push_back({run.number, builder_->number()});
  }
  if (!edit.moved.empty()) edit.files.push_back(builder_->info());
  return edit;
}

}  // namespace varve::engine
