#include "engine/value_file.h"

#include <tuple>
#include <utility>

#include "engine/value_index.h"

namespace varve::engine {

Result<std::shared_ptr<ValueFile>> ValueFile::Open(FileSystem* files, const std::string& directory,
                                                   const ValueFileInfo& info) {
  TRY_ASSIGN(auto file, files->OpenForRead(ValuePath(directory, info.number)));
  if (file->size() != info.file_bytes) {
    return Fail(Errc::kCorruption, "{}: has {} bytes, not {}", file->path(), file->size(),
                info.file_bytes);
  }
  return std::shared_ptr<ValueFile>(new ValueFile(files, std::move(file), info));
}

ValueFile::ValueFile(FileSystem* files, std::unique_ptr<RandomAccessFile> file,
                     const ValueFileInfo& info)
    : files_(files), file_(std::move(file)), info_(info) {}

ValueFile::~ValueFile() {
  // A file that cannot be removed is an orphan, which the next start removes.
  if (obsolete_.load()) std::ignore = files_->Remove(file_->path());
}

std::shared_ptr<const ValueIndex> ValueFile::UseIndex() const {
  index_.MarkUsed();
  return index_.get();
}

Result<std::shared_ptr<const ValueIndex>> ValueFile::LoadIndex(uint64_t* loaded_bytes) const {
  return index_.Load([this] { return ValueIndex::Load(*file_, info_); }, loaded_bytes);
}

uint64_t ValueFile::index_bytes() const { return index_.memory_bytes(); }

std::shared_ptr<const ValueIndex> ValueFile::DropUnusedIndex() const { return index_.DropUnused(); }

Result<Extent> ValueFile::ExtentOf(const ValueIndex& index, uint64_t run, uint32_t ordinal) const {
  const std::optional<size_t> record = index.Find(run, ordinal);
  if (record) return Extent::Of(index.handle(*record));
  return Fail(Errc::kCorruption, "{}: has no record {} of run {}", path(), ordinal, run);
}

Result<std::optional<LoadedRow>> ValueFile::FindIn(const Extent& extent, std::string bytes,
                                                   Position position, std::string_view key) const {
  TRY_ASSIGN(std::optional<LoadedRow> found,
             FindRow(std::move(bytes), {path(), info_.number, extent.offset}, position, key));
  if (found && (found->row.is_tombstone || found->row.reference)) {
    return Fail(Errc::kCorruption, "{}: record at {} has no value", path(), extent.offset);
  }
  return found;
}

Result<std::optional<LoadedRow>> ValueFile::Find(const ValueReference& reference, Position position,
                                                 std::string_view key) const {
  TRY_ASSIGN(const std::shared_ptr<const ValueIndex> index, LoadIndex());
  TRY_ASSIGN(const Extent extent, ExtentOf(*index, reference.run, reference.ordinal));
  std::string bytes(extent.size, '\0');
  TRY(file_->ReadAt(extent.offset, bytes));
  return FindIn(extent, std::move(bytes), position, key);
}

bool ParseValueRecord(std::string_view payload, Row& row) {
  return ParseRow(payload, row) && payload.empty() && !row.is_tombstone;
}

}  // namespace varve::engine
