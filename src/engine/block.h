#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/dictionary.h"
#include "engine/error.h"

namespace varve::engine {

// Block v1, the unit of reading in an SSTable:
//   payload, `size` bytes of its handle | compression u8 | checksum u64, little-endian
// The checksum is XXH3-64 of payload and compression byte, seeded with the table's number and the
// block's offset, so that a block that was written to the wrong place does not pass.
inline constexpr size_t kBlockTrailerBytes = 1 + 8;

// The numbers stand in files and never change.
enum class Compression : uint8_t {
  kNone = 0,
  kSnappy = 1,
  kZstd = 2,  // with the table's dictionary, if it has one
};

// More than this is stored plain: it bounds the memory that a compressed block takes to write and
// that its bytes, true or damaged, can claim to need.
inline constexpr size_t kCompressibleBytesMax = 16 << 20;

// Where a block stands: bytes [offset, offset + size) are its payload, the trailer follows.
struct BlockHandle {
  uint64_t offset = 0;
  uint64_t size = 0;
  uint64_t end() const { return offset + size + kBlockTrailerBytes; }
  bool operator==(const BlockHandle&) const = default;
};

// What an error about a block names, and what its checksum is seeded with.
struct BlockPlace {
  const std::string& path;
  uint64_t table_number;
  uint64_t offset;
};

// Turns the `size` payload bytes at `block` into a block at `place`: writes the kBlockTrailerBytes
// behind them, for which there must be room.
void SealBlock(char* block, size_t size, Compression compression, const BlockPlace& place);

// The payload as it was before compression: a view into `stored` (payload and trailer), or into
// `scratch`, which then holds it. `dictionary`: the table's, null if it has none. Errors:
// kCorruption, for anything that is no intact block of this place. Never allocates more than
// kCompressibleBytesMax, nor, for snappy, more than 32 times what is stored.
Result<std::string_view> DecodeBlock(std::string_view stored, const BlockPlace& place,
                                     std::string& scratch, const Dictionary* dictionary = nullptr);

// Sees to it that `buffer` has at least `bytes` bytes, of any content, for use again and again: it
// grows without keeping what was in it, and what one huge row left behind is given back.
void SizeBuffer(std::string& buffer, size_t bytes);

}  // namespace varve::engine
