#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "engine/block.h"
#include "engine/block_compressor.h"
#include "engine/row.h"

namespace varve::engine {

// Collects the rows of one data block and turns them into its stored form, again and again.
// Format: the payload is rows (row.h), one directly behind the other; block.h around it.
class BlockBuilder {
 public:
  // Rows come in order of (position, key), each once: from the builder's own code, so it is an
  // invariant. Copies the row. Returns it as it stands in the block, valid until the next call.
  std::string_view Add(const Row& row);

  // Payload and trailer, compressed where that saves at least an eighth. Needs !empty(). The bytes
  // are valid until the next call of either; the builder is then empty.
  std::string_view Seal(BlockCompressor& compressor, const BlockPlace& place);
  // The payload, to be sealed later; the builder is then empty. Needs !empty().
  std::string Take();

  bool empty() const { return row_count_ == 0; }
  size_t size() const { return size_; }  // of the payload before compression
  Position first_position() const { return first_position_; }
  Position last_position() const { return last_position_; }

 private:
  std::string rows_;  // of the block that grows, or of the one that was just sealed
  size_t size_ = 0;
  size_t row_count_ = 0;
  Position first_position_ = 0;
  Position last_position_ = 0;
  size_t last_key_offset_ = 0;  // within rows_
  size_t last_key_bytes_ = 0;
};

}  // namespace varve::engine
