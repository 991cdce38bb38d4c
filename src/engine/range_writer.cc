#include "engine/range_writer.h"

#include "engine/key_set.h"

namespace varve::engine {

RangeWriter::RangeWriter(FileSystem* files, std::string directory,
                         std::atomic<uint64_t>* next_number, const PositionSecret* secret,
                         std::vector<DyadicRange> ranges, TableBuilder::Settings settings)
    : files_(files),
      directory_(std::move(directory)),
      next_number_(next_number),
      secret_(secret),
      ranges_(std::move(ranges)),
      settings_(settings) {}

RangeWriter::~RangeWriter() {
  builder_.reset();
  tables_.clear();
  if (released_) return;
  for (const TableInfo& info : infos_) {
    // One that cannot be removed now is an orphan, and the next start removes it.
    (void)files_->Remove(TablePath(directory_, info.number)).has_value();
  }
}

Result<void> RangeWriter::Add(const Row& row) {
  if (builder_ != nullptr && row.position > ranges_[range_].last()) TRY(FinishTable());
  if (builder_ == nullptr) {
    while (range_ < ranges_.size() && row.position > ranges_[range_].last()) ++range_;
    INVARIANT(range_ < ranges_.size() && ranges_[range_].Contains(row.position));
    TRY_ASSIGN(builder_, TableBuilder::Create(files_, directory_, next_number_->fetch_add(1),
                                              ranges_[range_], settings_));
  }
  ++row_count_;
  return builder_->Add(row);
}

Result<void> RangeWriter::FinishTable() {
  TRY_ASSIGN(TableInfo info, builder_->Finish(*secret_));
  key_sets_.push_back(builder_->TakeKeySet());
  builder_.reset();
  infos_.push_back(info);
  return {};
}

Result<void> RangeWriter::Finish() {
  if (builder_ != nullptr) TRY(FinishTable());
  if (!infos_.empty()) TRY(files_->SyncDirectory(directory_));
  for (size_t i = 0; i < infos_.size(); ++i) {
    TRY_ASSIGN(std::shared_ptr<Table> table, Table::Open(files_, directory_, infos_[i]));
    TRY(table->LoadIndex());
    if (key_sets_[i] != nullptr) table->AddKeySet(std::move(key_sets_[i]));
    tables_.push_back(std::move(table));
  }
  return {};
}

uint64_t RangeWriter::file_bytes() const {
  uint64_t bytes = builder_ == nullptr ? 0 : builder_->file_bytes();
  for (const TableInfo& info : infos_) bytes += info.file_bytes;
  return bytes;
}

std::vector<DyadicRange> EvenRanges(int bits) {
  std::vector<DyadicRange> ranges;
  for (Position index = 0; index < Position{1} << bits; ++index) {
    ranges.push_back(DyadicRange::Of(bits == 0 ? 0 : index << (64 - bits), bits));
  }
  return ranges;
}

}  // namespace varve::engine
