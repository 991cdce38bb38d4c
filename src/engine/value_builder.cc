#include "engine/value_builder.h"

#include <tuple>
#include <utility>

#include "engine/checksum.h"

namespace varve::engine {
Result<std::unique_ptr<ValueFileBuilder>> ValueFileBuilder::Create(FileSystem* files,
                                                                   const std::string& directory,
                                                                   uint64_t number) {
  TRY_ASSIGN(auto file, FileAppender::Create(files, ValuePath(directory, number)));
  return std::unique_ptr<ValueFileBuilder>(
      new ValueFileBuilder(files, directory, std::move(file), number));
}

ValueFileBuilder::ValueFileBuilder(FileSystem* files, std::string directory,
                                   std::unique_ptr<FileAppender> file, uint64_t number)
    : files_(files), directory_(std::move(directory)), file_(std::move(file)) {
  info_.number = number;
}

ValueFileBuilder::~ValueFileBuilder() {
  const bool is_written = file_ == nullptr;  // else the appender removes it
  if (!is_written || released_) return;
  // One that cannot be removed now is an orphan, and the next start removes it.
  std::ignore = files_->Remove(ValuePath(directory_, info_.number));
}

Result<ValueReference> ValueFileBuilder::Add(const Row& row) {
  INVARIANT(!row.is_tombstone && !row.reference && row.value.size() <= kSeparatedBytesMax);
  const auto ordinal = static_cast<uint32_t>(index_.record_count());
  block_.Add(row);
  const std::string_view record = block_.Seal(compressor_, NextPlace());
  TRY(Append(info_.number, ordinal, record, row));
  return ValueReference{info_.number, ordinal, static_cast<uint32_t>(record.size())};
}

Result<void> ValueFileBuilder::Copy(uint64_t run, uint32_t ordinal, std::string stored,
                                    const BlockPlace& from) {
  TRY_ASSIGN(const std::string_view payload, DecodeBlock(stored, from, scratch_));
  Row row;
  if (!ParseValueRecord(payload, row)) {
    return Fail(Errc::kCorruption, "{}: record at {} is no row", from.path, from.offset);
  }
  const uint64_t digest = Digest(run, ordinal, row);
  const size_t size = stored.size() - kBlockTrailerBytes;
  SealBlock(stored.data(), size, static_cast<Compression>(stored[size]), NextPlace());
  index_.Add(run, ordinal, stored.size());
  digest_ += digest;
  return file_->Append(stored);
}

Result<void> ValueFileBuilder::Append(uint64_t run, uint32_t ordinal, std::string_view record,
                                      const Row& row) {
  index_.Add(run, ordinal, record.size());
  digest_ += Digest(run, ordinal, row);
  return file_->Append(record);
}

// Key and value stand side by side in a parsed record, but not in what is added.
uint64_t ValueFileBuilder::Digest(uint64_t run, uint32_t ordinal, const Row& row) {
  return Checksum(row.key, run) + Checksum(row.value, run + ordinal + 1);
}

Result<void> ValueFileBuilder::Finish() {
  INVARIANT(record_count() > 0);
  ValueFooter footer;
  footer.file_number = info_.number;
  footer.record_count = info_.record_count = record_count();
  std::string payload = index_.Finish();
  footer.index = {file_->offset(), payload.size()};
  info_.record_bytes = footer.index.offset;
  payload.resize(footer.index.size + kBlockTrailerBytes);
  SealBlock(payload.data(), footer.index.size, Compression::kNone, NextPlace());
  TRY(file_->Append(payload));
  TRY(file_->Append(EncodeValueFooter(footer)));
  TRY(file_->Sync());
  info_.file_bytes = file_->offset();
  file_->Keep();
  file_.reset();
  return {};
}

Result<bool> ValueFileBuilder::VerifySome(uint64_t bytes) {
  if (written_ == nullptr) {
    TRY_ASSIGN(written_, Open());
  }
  TRY_ASSIGN(const std::shared_ptr<const ValueIndex> index, written_->LoadIndex());
  std::string stored;
  for (uint64_t read = 0; read < bytes && verified_ < index->record_count(); ++verified_) {
    const BlockHandle handle = index->handle(verified_);
    stored.resize(handle.size + kBlockTrailerBytes);
    TRY(written_->file().ReadAt(handle.offset, stored));
    TRY_ASSIGN(const std::string_view payload,
               DecodeBlock(stored, {written_->path(), info_.number, handle.offset}, scratch_));
    Row row;
    if (!ParseValueRecord(payload, row)) {
      return Fail(Errc::kCorruption, "{}: read back: record at {} is no row", written_->path(),
                  handle.offset);
    }
    if (verified_ == index->runs()[verified_run_].end) ++verified_run_;
    digest_read_ += Digest(index->runs()[verified_run_].number, index->ordinal(verified_), row);
    read += stored.size();
  }
  if (verified_ < index->record_count()) return false;
  if (digest_read_ != digest_) {
    return Fail(Errc::kCorruption, "{}: read back: not the {} records that were written",
                written_->path(), info_.record_count);
  }
  return true;
}

Result<std::shared_ptr<ValueFile>> ValueFileBuilder::Open() const {
  TRY_ASSIGN(std::shared_ptr<ValueFile> file, ValueFile::Open(files_, directory_, info_));
  TRY(file->LoadIndex());
  return file;
}

void ValueFileBuilder::AddTo(ValueEdit& edit) const {
  edit.files.push_back(info_);
  const auto count = static_cast<uint32_t>(info_.record_count);
  edit.runs.emplace_back(info_.number, ValueRun::AllLive(info_.number, count, info_.record_bytes));
}

}  // namespace varve::engine
