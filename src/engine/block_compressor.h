#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "engine/block.h"
#include "engine/dictionary.h"

namespace varve::engine {

// Turns the payloads of a table's data blocks into their stored form, one after the other.
// Threads: one at a time.
class BlockCompressor {
 public:
  BlockCompressor() = default;  // snappy
  // zstd with the dictionary that MakeDictionary() made, or with none if it is empty.
  BlockCompressor(int level, std::string_view dictionary)
      : zstd_(std::in_place, level, dictionary) {}

  // `payload`: the first `size` bytes of it, which may be changed; it has room for a trailer behind
  // them. Returns payload and trailer, compressed where that saves at least an eighth; valid until
  // the next call, or until `payload` changes.
  std::string_view Seal(std::string& payload, size_t size, const BlockPlace& place);
  // How many bytes the payload takes, compressed or not.
  size_t StoredBytes(std::string_view payload);

 private:
  // Into compressed_. Returns the size, or that of the payload if compression does not pay.
  size_t Compress(std::string_view payload);

  std::optional<ZstdCompressor> zstd_;  // none: snappy
  std::string compressed_;
};

}  // namespace varve::engine
