#include "engine/version_lookup.h"

#include <utility>

namespace varve::engine {

VersionLookup::VersionLookup(const Env& env, std::shared_ptr<const Version> version,
                             Position position, std::string key, Done done)
    : env_(env),
      version_(std::move(version)),
      position_(position),
      key_(std::move(key)),
      done_(std::move(done)) {}

void VersionLookup::Start(const Env& env, std::shared_ptr<const Version> version, Position position,
                          std::string key, Done done) {
  std::shared_ptr<VersionLookup> lookup(
      new VersionLookup(env, std::move(version), position, std::move(key), std::move(done)));
  env.blocks->Post([lookup] {
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
    block_.resize(extent->size);
    env_.blocks->Read(
        table.file(), extent->offset, block_,
        [self = shared_from_this(), &table, extent = *extent](const Result<void>& read) {
          if (!read) return self->Finish(Fail(read.error()));
          Result<std::optional<LoadedRow>> found =
              table.FindIn(extent, std::move(self->block_), self->position_, self->key_);
          if (!found || found->has_value()) return self->Finish(std::move(found));
          ++self->next_;
          self->Advance();
        });
    return;
  }
  Finish(std::optional<LoadedRow>());
}

void VersionLookup::LoadIndex() {
  env_.reads->Post([self = shared_from_this()] {
    Result<std::shared_ptr<const TableIndex>> index =
        self->tables_[self->next_]->LoadIndex(&self->index_bytes_);
    if (!index) return self->Finish(Fail(index.error()));
    self->index_ = std::move(*index);
    self->env_.blocks->Post([self] { self->Advance(); });
  });
}

void VersionLookup::Finish(Result<std::optional<LoadedRow>> row) {
  done_({std::move(row), blocks_read_, index_bytes_});
}

}  // namespace varve::engine
