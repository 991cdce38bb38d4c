#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/block.h"
#include "engine/error.h"
#include "engine/row.h"

// Value file v1, values-<number>.val; integers little-endian; drawn whole in docs/formats.md:
//   record 0 | record 1 | ... | index block | footer
// A record is a block (block.h) that holds one row v1 with its key and value. The records that one
// flush wrote are a *value run*, which has a number; within it they have ordinals 0, 1, ..., for
// ever: a row of a table refers to (run, ordinal), and when a record is copied into another file,
// that file's index says where it is now. Records stand in the order of (run, ordinal).
namespace varve::engine {

inline constexpr uint32_t kValueFileVersion = 1;
inline constexpr uint64_t kValueFileMagic = 0x4c41562d45565256;  // "VRVE-VAL" in the file

// Larger values stay in their tables: a record's size must fit 32 bits.
inline constexpr uint64_t kSeparatedBytesMax = uint64_t{1} << 30;

// More values of one flush stay in its tables: it bounds what a damaged count can claim to need.
inline constexpr uint32_t kValueRunRecordsMax = 1u << 24;

// What the manifest knows of a value file.
struct ValueFileInfo {
  uint64_t number = 0;  // names the file: ValuePath()
  uint64_t file_bytes = 0;
  uint64_t record_count = 0;  // dead ones included
  uint64_t record_bytes = 0;  // of them all, as they stand in the file
  bool operator==(const ValueFileInfo&) const = default;
};

std::string ValuePath(const std::string& directory, uint64_t number);  // <dir>/values-<number>.val
bool IsValueFileName(std::string_view name);

// Footer, the last 56 bytes of the file. Offset, field:
//    0 index offset u64 | 8 index size u64, both as in BlockHandle | 16 file number u64
//   24 records u64 | 32 version u32 | 36 zero u32 | 40 checksum u64 (XXH3-64) of [0, 40)
//   48 magic u64
inline constexpr size_t kValueFooterBytes = 56;
static_assert(kValueFooterBytes == 6 * sizeof(uint64_t) + 2 * sizeof(uint32_t));

struct ValueFooter {
  BlockHandle index;
  uint64_t file_number = 0;
  uint64_t record_count = 0;
};

std::string EncodeValueFooter(const ValueFooter& footer);
// `bytes`: the last kValueFooterBytes of a file of `file_bytes`. Errors: kInvalidArgument for a
// version that this release does not know, kCorruption for all that cannot be. Both name `path`.
Result<ValueFooter> DecodeValueFooter(std::string_view bytes, uint64_t file_bytes,
                                      const std::string& path);

}  // namespace varve::engine
