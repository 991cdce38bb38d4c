#include "engine/table_index.h"

#include <algorithm>

#include "engine/coding.h"
#include "engine/invariant.h"

namespace varve::engine {
namespace {

// The blocks behind the data, in one piece, as they were read from `begin` on.
struct Tail {
  const std::string& path;
  uint64_t table_number;
  uint64_t begin;
  std::string bytes;

  Result<std::string_view> Block(const BlockHandle& handle, std::string& scratch) const {
    const auto stored =
        std::string_view(bytes).substr(handle.offset - begin, handle.size + kBlockTrailerBytes);
    return DecodeBlock(stored, {path, table_number, handle.offset}, scratch);
  }
};

Result<TableFooter> ReadFooter(const RandomAccessFile& file) {
  if (file.size() < kFooterBytes) {
    return Fail(Errc::kCorruption, "{}: {} bytes are no SSTable", file.path(), file.size());
  }
  std::string bytes(kFooterBytes, '\0');
  TRY(file.ReadAt(file.size() - kFooterBytes, bytes));
  return DecodeFooter(bytes, file.size(), file.path());
}

}  // namespace

Result<std::unique_ptr<const TableIndex>> TableIndex::Load(const RandomAccessFile& file,
                                                           const TableInfo& expected) {
  TRY_ASSIGN(const TableFooter footer, ReadFooter(file));
  if (footer.table_number != expected.number) {
    return Fail(Errc::kCorruption, "{}: holds table {}, not {}", file.path(), footer.table_number,
                expected.number);
  }
  Tail tail{file.path(), footer.table_number, footer.data_bytes(), {}};
  tail.bytes.resize(file.size() - kFooterBytes - tail.begin);
  TRY(file.ReadAt(tail.begin, tail.bytes));

  std::string scratch;
  TRY_ASSIGN(std::string_view payload, tail.Block(footer.properties, scratch));
  TRY_ASSIGN(TableProperties properties, DecodeProperties(payload, file.path()));
  properties.info.file_bytes = file.size();
  if (properties.info != expected || properties.has_filter != footer.has_filter()) {
    return Fail(Errc::kCorruption,
                "{}: properties ({} rows, {} tombstones, {} bytes, positions {:016x}-{:016x}) are "
                "not those expected ({} rows, {} tombstones, {} bytes, {:016x}-{:016x})",
                file.path(), properties.info.row_count, properties.info.tombstone_count,
                properties.info.row_bytes, properties.info.smallest, properties.info.largest,
                expected.row_count, expected.tombstone_count, expected.row_bytes, expected.smallest,
                expected.largest);
  }

  std::unique_ptr<TableIndex> index(new TableIndex);
  TRY_ASSIGN(payload, tail.Block(footer.index, scratch));
  if (!index->Decode(payload, properties, footer.data_bytes())) {
    return Fail(Errc::kCorruption, "{}: index at {} does not fit the file", file.path(),
                footer.index.offset);
  }
  if (footer.has_filter()) {
    TRY_ASSIGN(payload, tail.Block(footer.filter, scratch));
    if (!index->filter_.emplace().Decode(payload)) {
      return Fail(Errc::kCorruption, "{}: filter at {} is none", file.path(), footer.filter.offset);
    }
  }
  if (footer.has_dictionary()) {
    TRY_ASSIGN(payload, tail.Block(footer.dictionary, scratch));
    index->dictionary_ = Dictionary::Decode(payload);
    if (index->dictionary_ == nullptr) {
      return Fail(Errc::kCorruption, "{}: dictionary at {} is none", file.path(),
                  footer.dictionary.offset);
    }
  }
  return std::unique_ptr<const TableIndex>(std::move(index));
}

bool TableIndex::Decode(std::string_view payload, const TableProperties& properties,
                        uint64_t data_bytes) {
  constexpr size_t kNumberBytes = sizeof(uint64_t);
  const uint64_t block_count = properties.block_count;
  // The bytes that are there size the arrays, never the count that is written somewhere.
  const uint64_t numbers = payload.size() / kNumberBytes;
  if (payload.size() % kNumberBytes != 0 || numbers / 2 < block_count ||
      numbers < 2 * block_count + 1) {
    return false;
  }
  first_positions_.resize(block_count);
  offsets_.resize(block_count + 1);
  for (uint64_t& number : first_positions_) {
    if (!GetFixed64(payload, number)) return false;
  }
  for (uint64_t& number : offsets_) {
    if (!GetFixed64(payload, number)) return false;
  }
  if (!references_.Decode(payload, properties.info.value_count)) return false;
  smallest_ = properties.info.smallest;
  largest_ = properties.info.largest;
  if (first_positions_.front() != smallest_ || first_positions_.back() > largest_) return false;
  if (offsets_.front() != 0 || offsets_.back() != data_bytes) return false;
  for (size_t i = 0; i < block_count; ++i) {
    if (i > 0 && first_positions_[i] <= first_positions_[i - 1]) return false;
    if (offsets_[i + 1] <= offsets_[i] || offsets_[i + 1] - offsets_[i] <= kBlockTrailerBytes) {
      return false;
    }
  }
  blocks_per_position_ =
      static_cast<double>(block_count) / (static_cast<double>(largest_ - smallest_) + 1);
  return true;
}

bool TableIndex::MayContain(Position position) const {
  if (position < smallest_ || position > largest_) return false;
  return !filter_ || filter_->MayContain(position);
}

size_t TableIndex::BlockOf(Position position) const {
  INVARIANT(position >= smallest_);
  // Positions are uniform: of 100,000 blocks the guess is some 25 off. From there the step doubles
  // until the block is between `low` and `high`: no worse than twice a binary search if they are
  // not.
  const size_t count = first_positions_.size();
  const double estimate = static_cast<double>(position - smallest_) * blocks_per_position_;
  size_t low = 0;       // first_positions_[low] <= position
  size_t high = count;  // first_positions_[high] > position, or it is the end
  size_t step = 4;
  if (const size_t guess =
          estimate < static_cast<double>(count) ? static_cast<size_t>(estimate) : count - 1;
      first_positions_[guess] <= position) {
    low = guess;
    while (high - low > step && first_positions_[low + step] <= position) {
      low += step;
      step *= 2;
    }
    high = std::min(high, low + step);
  } else {
    high = guess;
    while (high > step && first_positions_[high - step] > position) {
      high -= step;
      step *= 2;
    }
    low = high > step ? high - step : 0;
  }
  const auto begin = first_positions_.begin();
  const auto found = std::upper_bound(begin + static_cast<ptrdiff_t>(low),
                                      begin + static_cast<ptrdiff_t>(high), position);
  return static_cast<size_t>(found - begin) - 1;
}

uint64_t TableIndex::memory_bytes() const {
  return sizeof *this + first_positions_.capacity() * sizeof(Position) +
         offsets_.capacity() * sizeof(uint64_t) + references_.memory_bytes() +
         (filter_ ? filter_->memory_bytes() : 0) + (dictionary_ ? dictionary_->memory_bytes() : 0);
}

void TableIndexBuilder::Add(Position first_position, uint64_t offset) {
  first_positions_.push_back(first_position);
  offsets_.push_back(offset);
}

std::string TableIndexBuilder::Finish(uint64_t data_bytes) const {
  std::string payload;
  payload.reserve((2 * first_positions_.size() + 1) * sizeof(uint64_t) + kBlockTrailerBytes);
  for (const Position position : first_positions_) PutFixed64(payload, position);
  for (const uint64_t offset : offsets_) PutFixed64(payload, offset);
  PutFixed64(payload, data_bytes);
  return payload;
}

}  // namespace varve::engine
