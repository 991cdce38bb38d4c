#include "engine/version_lookup.h"

#include <utility>

namespace varve::engine {
namespace {

// To check and decompress one takes longer than others should wait for their blocks.
constexpr uint64_t kLargeBlockBytes = 256 << 10;

}  // namespace

VersionLookup::VersionLookup(Readers readers, std::shared_ptr<const Version> version,
                             Position position, std::string key, Done done)
    : readers_(readers),
      version_(std::move(version)),
      position_(position),
      key_(std::move(key)),
      done_(std::move(done)) {}

void VersionLookup::Start(Readers readers, std::shared_ptr<const Version> version,
                          Position position, std::string key, Done done) {
  std::shared_ptr<VersionLookup> lookup(
      new VersionLookup(readers, std::move(version), position, std::move(key), std::move(done)));
  readers.blocks.Post([lookup] {
    lookup->version_->ForEachCovering(lookup->position_, [&](const std::shared_ptr<Table>& table) {
      lookup->tables_.push_back(table.get());
      return true;
    });
    lookup->Advance();
  });
}

void VersionLookup::Advance() {
  while (next_ < tables_.size()) {
    const Table& table = *tables_[next_];
    std::shared_ptr<const TableIndex> index = index_ != nullptr ? std::move(index_) : table.index();
    index_ = nullptr;
    if (index == nullptr) return LoadIndex();
    const std::optional<Table::Extent> extent = Table::ExtentOf(*index, position_);
    if (!extent) {
      ++next_;
      continue;
    }
    ++blocks_read_;
    return extent->size > kLargeBlockBytes ? ReadLarge(table, *extent) : Read(table, *extent);
  }
  Finish(std::optional<LoadedRow>());
}

void VersionLookup::Read(const Table& table, const Table::Extent& extent) {
  block_.resize(extent.size);
  readers_.blocks.Read(table.file(), extent.offset, block_,
                       [self = shared_from_this(), &table, extent](const Result<void>& read) {
                         if (!self->TakeIn(table, extent, read)) self->Advance();
                       });
}

void VersionLookup::ReadLarge(const Table& table, const Table::Extent& extent) {
  readers_.threads.Post([self = shared_from_this(), &table, extent] {
    self->block_.resize(extent.size);
    if (self->TakeIn(table, extent, table.file().ReadAt(extent.offset, self->block_))) return;
    self->readers_.blocks.Post([self] { self->Advance(); });
  });
}

bool VersionLookup::TakeIn(const Table& table, const Table::Extent& extent,
                           const Result<void>& read) {
  if (!read) {
    Finish(Fail(read.error()));
    return true;
  }
  Result<std::optional<LoadedRow>> found = table.FindIn(extent, std::move(block_), position_, key_);
  ++next_;
  if (found && !found->has_value()) return false;
  Finish(std::move(found));
  return true;
}

void VersionLookup::LoadIndex() {
  readers_.threads.Post([self = shared_from_this()] {
    Result<std::shared_ptr<const TableIndex>> index =
        self->tables_[self->next_]->LoadIndex(&self->index_bytes_);
    if (!index) return self->Finish(Fail(index.error()));
    self->index_ = std::move(*index);
    self->readers_.blocks.Post([self] { self->Advance(); });
  });
}

void VersionLookup::Finish(Result<std::optional<LoadedRow>> row) {
  done_({std::move(row), blocks_read_, index_bytes_});
}

}  // namespace varve::engine
