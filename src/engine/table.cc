#include "engine/table.h"

#include <tuple>
#include <utility>

#include "engine/block.h"
#include "engine/key_set.h"
#include "engine/table_index.h"

namespace varve::engine {

std::string TablePath(const std::string& directory, uint64_t number) {
  return fmt::format("{}/table-{}.sst", directory, number);
}

Result<std::shared_ptr<Table>> Table::Open(FileSystem* files, const std::string& directory,
                                           const TableInfo& info) {
  TRY_ASSIGN(auto file, files->OpenForRead(TablePath(directory, info.number)));
  if (file->size() != info.file_bytes) {
    return Fail(Errc::kCorruption, "{}: has {} bytes, not {}", file->path(), file->size(),
                info.file_bytes);
  }
  return std::shared_ptr<Table>(new Table(files, std::move(file), info));
}

Table::Table(FileSystem* files, std::unique_ptr<RandomAccessFile> file, const TableInfo& info)
    : files_(files), file_(std::move(file)), info_(info) {}

Table::~Table() {
  // A file that cannot be removed is an orphan, which the next start removes.
  if (obsolete_.load()) std::ignore = files_->Remove(file_->path());
}

const std::string& Table::path() const { return file_->path(); }

std::shared_ptr<const TableIndex> Table::index() const { return index_.get(); }

Result<std::shared_ptr<const TableIndex>> Table::LoadIndex(uint64_t* loaded_bytes) const {
  return index_.Load([this] { return TableIndex::Load(*file_, info_); }, loaded_bytes);
}

uint64_t Table::index_bytes() const {
  const KeySet* keys = key_set();
  return index_.memory_bytes() + (keys == nullptr ? 0 : keys->memory_bytes());
}

void Table::AddKeySet(std::shared_ptr<const KeySet> key_set) const {
  const std::lock_guard lock(key_set_mutex_);
  INVARIANT(key_set_owner_ == nullptr);
  key_set_owner_ = std::move(key_set);
  key_set_.store(key_set_owner_.get(), std::memory_order_release);
}

std::shared_ptr<const KeySet> Table::DropKeySet() const {
  const std::lock_guard lock(key_set_mutex_);
  key_set_.store(nullptr, std::memory_order_release);
  return std::move(key_set_owner_);
}

bool Table::MayContain(Position position) const {
  const TableIndex* index = index_.peek();
  INVARIANT(index != nullptr);
  index_.MarkUsed();
  return index->MayContain(position);
}

std::shared_ptr<const TableIndex> Table::DropUnusedIndex() const { return index_.DropUnused(); }

Result<std::optional<LoadedRow>> Table::Find(Position position, std::string_view key) const {
  TRY_ASSIGN(const std::shared_ptr<const TableIndex> index, LoadIndex());
  const std::optional<Extent> extent = ExtentOf(*index, position);
  if (!extent) return std::optional<LoadedRow>();
  std::string bytes(extent->size, '\0');
  TRY(file_->ReadAt(extent->offset, bytes));
  return FindIn(*index, *extent, std::move(bytes), position, key);
}

std::optional<Extent> Table::ExtentOf(const TableIndex& index, Position position) {
  if (!index.MayContain(position)) return std::nullopt;
  return Extent::Of(index.handle(index.BlockOf(position)));
}

Result<std::optional<LoadedRow>> Table::FindIn(const TableIndex& index, const Extent& extent,
                                               std::string stored, Position position,
                                               std::string_view key) const {
  return FindRow(std::move(stored), {path(), info_.number, extent.offset}, position, key,
                 index.dictionary());
}

}  // namespace varve::engine
