#include "engine/block_builder.h"

#include <utility>

#include "engine/invariant.h"

namespace varve::engine {

namespace {
constexpr size_t kRowsBytesKept = 4 << 20;  // a builder that met a huge row gives its memory back
}

std::string_view BlockBuilder::Add(const Row& row) {
  if (row_count_ == 0) {
    if (rows_.capacity() > kRowsBytesKept) rows_ = std::string();
    rows_.clear();
    first_position_ = row.position;
  } else {
    const std::string_view last_key(rows_.data() + last_key_offset_, last_key_bytes_);
    INVARIANT(RowLess(last_position_, last_key, row.position, row.key));
  }
  // The trailer is written behind the rows, where they stand, if they do not compress.
  if (const size_t needed = size_ + RowBytesMax(row.key, row.value) + kBlockTrailerBytes;
      needed > rows_.capacity()) {
    rows_.reserve(needed);
  }
  AppendRow(rows_, row);
  const size_t row_offset = size_;
  size_ = rows_.size();
  ++row_count_;
  last_position_ = row.position;
  last_key_bytes_ = row.key.size();
  last_key_offset_ = size_ - row.key.size() - (row.is_tombstone ? 0 : row.value.size());
  return std::string_view(rows_).substr(row_offset);
}

std::string_view BlockBuilder::Seal(BlockCompressor& compressor, const BlockPlace& place) {
  INVARIANT(!empty());
  row_count_ = 0;
  return compressor.Seal(rows_, std::exchange(size_, 0), place);
}

std::string BlockBuilder::Take() {
  INVARIANT(!empty());
  row_count_ = 0;
  size_ = 0;
  return std::exchange(rows_, {});
}

}  // namespace varve::engine
