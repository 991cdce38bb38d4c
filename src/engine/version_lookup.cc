#include "engine/version_lookup.h"

#include <utility>

#include "engine/table_index.h"
#include "engine/value_index.h"

namespace varve::engine {
namespace {

// To check and decompress one takes longer than others should wait for their blocks.
constexpr uint64_t kLargeBlockBytes = 256 << 10;

}  // namespace

VersionLookup::VersionLookup(Readers readers, std::shared_ptr<const Version> version,
                             Position position, std::string key, Wanted wanted, Done done)
    : readers_(readers),
      version_(std::move(version)),
      position_(position),
      key_(std::move(key)),
      wanted_(wanted),
      done_(std::move(done)) {}

void VersionLookup::Start(Readers readers, std::shared_ptr<const Version> version,
                          Position position, std::string key, Wanted wanted, Done done) {
  std::shared_ptr<VersionLookup> lookup(new VersionLookup(readers, std::move(version), position,
                                                          std::move(key), wanted, std::move(done)));
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
    if (index_ == nullptr) index_ = table.index();
    if (index_ == nullptr) return LoadIndex(table, &VersionLookup::index_);
    const std::optional<Extent> extent = Table::ExtentOf(*index_, position_);
    if (!extent) {
      LeaveTable();
      continue;
    }
    if (!next_reference_) next_reference_ = index_->references().FirstOf(position_);
    if (wanted_ == Wanted::kRow && index_->references().IsOf(position_, *next_reference_)) {
      return ReadRecord();
    }
    return Read({&table, nullptr, *extent});
  }
  Finish(std::optional<LoadedRow>());
}

// The record's key decides, since positions may collide; if it is another one, the next reference
// or the table's block will tell.
void VersionLookup::ReadRecord() {
  const Table& table = *tables_[next_];
  const uint64_t run = index_->references().run(*next_reference_);
  const ValueFile* const file = version_->values().Find(run);
  if (file == nullptr) {
    return Finish(Fail(Errc::kCorruption, "{}: refers to value run {}, which is not there",
                       table.path(), run));
  }
  if (value_index_ == nullptr) value_index_ = file->UseIndex();
  if (value_index_ == nullptr) return LoadIndex(*file, &VersionLookup::value_index_);
  const Result<Extent> extent =
      file->ExtentOf(*value_index_, run, index_->references().ordinal(*next_reference_));
  if (!extent) return Finish(Fail(extent.error()));
  value_index_ = nullptr;
  ++*next_reference_;
  Read({&table, file, *extent});
}

void VersionLookup::LeaveTable() {
  ++next_;
  index_ = nullptr;
  next_reference_.reset();
}

void VersionLookup::Read(const Piece& piece) {
  ++blocks_read_;
  if (piece.extent.size > kLargeBlockBytes) return ReadLarge(piece);
  block_.resize(piece.extent.size);
  readers_.blocks.Read(piece.file(), piece.extent.offset, block_,
                       [self = shared_from_this(), piece](const Result<void>& read) {
                         if (!self->TakeIn(piece, read)) self->Advance();
                       });
}

void VersionLookup::ReadLarge(const Piece& piece) {
  readers_.threads.Post([self = shared_from_this(), piece] {
    self->block_.resize(piece.extent.size);
    if (self->TakeIn(piece, piece.file().ReadAt(piece.extent.offset, self->block_))) return;
    self->readers_.blocks.Post([self] { self->Advance(); });
  });
}

bool VersionLookup::TakeIn(const Piece& piece, const Result<void>& read) {
  if (!read) {
    Finish(Fail(read.error()));
    return true;
  }
  Result<std::optional<LoadedRow>> found =
      piece.values != nullptr
          ? piece.values->FindIn(piece.extent, std::move(block_), position_, key_)
          : piece.table->FindIn(*index_, piece.extent, std::move(block_), position_, key_);
  if (found && !found->has_value()) {
    if (piece.values == nullptr) LeaveTable();
    return false;
  }
  if (found && (*found)->row.reference && wanted_ == Wanted::kRow) {
    // Its record would have been read before, by the table's references.
    found = Fail(Errc::kCorruption, "{}: block at {}: row at {:016x} refers to another row's value",
                 piece.table->path(), piece.extent.offset, position_);
  }
  Finish(std::move(found));
  return true;
}

template <typename File, typename Index>
void VersionLookup::LoadIndex(const File& file,
                              std::shared_ptr<const Index> VersionLookup::*member) {
  readers_.threads.Post([self = shared_from_this(), &file, member] {
    Result<std::shared_ptr<const Index>> index = file.LoadIndex(&self->index_bytes_);
    if (!index) return self->Finish(Fail(index.error()));
    *self.*member = std::move(*index);
    self->readers_.blocks.Post([self] { self->Advance(); });
  });
}

void VersionLookup::Finish(Result<std::optional<LoadedRow>> row) {
  done_({std::move(row), blocks_read_, index_bytes_});
}

}  // namespace varve::engine
