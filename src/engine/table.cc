#include "engine/table.h"

#include <tuple>
#include <utility>

#include "engine/block.h"
#include "engine/key_set.h"
#include "engine/table_index.h"

namespace varve::engine {
namespace {

// `block`: the decoded block, a view into `*owner`. A large value stays where it is; a small row is
// copied out, so that it does not keep its neighbours in memory.
LoadedRow Keep(std::shared_ptr<const std::string> owner, const Row& row) {
  if (row.value.size() >= kSharedValueBytes) return {std::move(owner), row};
  std::string bytes;
  bytes.reserve(row.key.size() + row.value.size());
  bytes.append(row.key).append(row.value);
  LoadedRow loaded{std::make_shared<const std::string>(std::move(bytes)), row};
  loaded.row.key = std::string_view(*loaded.bytes).substr(0, row.key.size());
  loaded.row.value = std::string_view(*loaded.bytes).substr(row.key.size());
  return loaded;
}

}  // namespace

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

std::shared_ptr<const TableIndex> Table::index() const {
  const std::lock_guard lock(index_mutex_);
  return index_owner_;
}

Result<std::shared_ptr<const TableIndex>> Table::LoadIndex(uint64_t* loaded_bytes) const {
  const std::lock_guard load_lock(load_mutex_);
  if (std::shared_ptr<const TableIndex> loaded = index()) return loaded;
  TRY_ASSIGN(std::shared_ptr<const TableIndex> loaded, TableIndex::Load(*file_, info_));
  if (loaded_bytes != nullptr) *loaded_bytes += loaded->memory_bytes();
  const std::lock_guard lock(index_mutex_);
  index_owner_ = loaded;
  index_used_.store(true, std::memory_order_relaxed);
  index_.store(index_owner_.get(), std::memory_order_release);
  return loaded;
}

uint64_t Table::index_bytes() const {
  const TableIndex* index = index_.load(std::memory_order_acquire);
  const KeySet* keys = key_set();
  return (index == nullptr ? 0 : index->memory_bytes()) +
         (keys == nullptr ? 0 : keys->memory_bytes());
}

void Table::AddKeySet(std::shared_ptr<const KeySet> key_set) const {
  const std::lock_guard lock(index_mutex_);
  INVARIANT(key_set_owner_ == nullptr);
  key_set_owner_ = std::move(key_set);
  key_set_.store(key_set_owner_.get(), std::memory_order_release);
}

std::shared_ptr<const KeySet> Table::DropKeySet() const {
  const std::lock_guard lock(index_mutex_);
  key_set_.store(nullptr, std::memory_order_release);
  return std::move(key_set_owner_);
}

bool Table::MayContain(Position position) const {
  const TableIndex* index = index_.load(std::memory_order_acquire);
  INVARIANT(index != nullptr);
  if (!index_used_.load(std::memory_order_relaxed)) {
    index_used_.store(true, std::memory_order_relaxed);
  }
  return index->MayContain(position);
}

std::shared_ptr<const TableIndex> Table::DropUnusedIndex() const {
  if (index_used_.exchange(false, std::memory_order_relaxed)) return nullptr;
  const std::lock_guard lock(index_mutex_);
  index_.store(nullptr, std::memory_order_release);
  return std::move(index_owner_);
}

Result<std::optional<LoadedRow>> Table::Find(Position position, std::string_view key) const {
  TRY_ASSIGN(const std::shared_ptr<const TableIndex> index, LoadIndex());
  const std::optional<Extent> extent = ExtentOf(*index, position);
  if (!extent) return std::optional<LoadedRow>();
  std::string bytes(extent->size, '\0');
  TRY(file_->ReadAt(extent->offset, bytes));
  return FindIn(*extent, std::move(bytes), position, key);
}

std::optional<Table::Extent> Table::ExtentOf(const TableIndex& index, Position position) {
  if (!index.MayContain(position)) return std::nullopt;
  const BlockHandle handle = index.handle(index.BlockOf(position));
  return Extent{handle.offset, handle.size + kBlockTrailerBytes};
}

Result<std::optional<LoadedRow>> Table::FindIn(const Extent& extent, std::string stored,
                                               Position position, std::string_view key) const {
  std::string scratch;
  TRY_ASSIGN(std::string_view rows,
             DecodeBlock(stored, {path(), info_.number, extent.offset}, scratch));
  // Before the rows are parsed: views into a short string do not survive its move.
  const bool plain = rows.data() == stored.data();
  const auto owner = std::make_shared<const std::string>(std::move(plain ? stored : scratch));
  rows = std::string_view(*owner).substr(0, rows.size());
  while (!rows.empty()) {
    Row row;
    if (!ParseRow(rows, row)) {
      return Fail(Errc::kCorruption, "{}: block at {}: bad row, {} bytes from its end", path(),
                  extent.offset, rows.size());
    }
    if (row.key != key) continue;
    row.position = position;
    return std::optional<LoadedRow>(Keep(owner, row));
  }
  return std::optional<LoadedRow>();
}

}  // namespace varve::engine
