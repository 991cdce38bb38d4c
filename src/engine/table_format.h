#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/block.h"
#include "engine/error.h"
#include "engine/table.h"

// SSTable v1 and v2, file table-<number>.sst; integers little-endian; drawn whole in
// docs/formats.md:
//   data blocks | filter block, or none | index block | dictionary block, v2, or none
//   properties block | footer
// The parts follow each other without gaps, so a footer has no room to point somewhere else.
namespace varve::engine {

inline constexpr uint32_t kTableVersion = 1;
// Blocks may be compressed by zstd, with the dictionary if there is one.
inline constexpr uint32_t kTableVersionZstd = 2;
inline constexpr uint64_t kTableMagic = 0x4c42542d45565256;  // "VRVE-TBL" in the file

// Footer, the last 80 bytes of the file. Offset, field:
//    0 filter offset u64 | 8 filter size u64, both as in BlockHandle; size 0: there is none, and no
//      trailer | 16 index offset u64 | 24 index size u64 | 32 properties offset u64
//   40 properties size u64 | 48 table number u64 | 56 version u32 | 60 zero u32
//   64 checksum u64 (XXH3-64) of [0, 64) | 72 magic u64
// All versions have this footer; what changes is what its version says about the rest. The
// dictionary block is what stands between the index and the properties.
inline constexpr size_t kFooterBytes = 80;
static_assert(kFooterBytes == 7 * sizeof(uint64_t) + 2 * sizeof(uint32_t) + 2 * sizeof(uint64_t));

struct TableFooter {
  BlockHandle filter;
  BlockHandle index;
  BlockHandle properties;
  BlockHandle dictionary = {};  // not written, see above; size 0: there is none
  uint64_t table_number = 0;
  bool may_have_zstd = false;  // version 2

  bool has_filter() const { return filter.size > 0; }
  bool has_dictionary() const { return dictionary.size > 0; }
  uint64_t data_bytes() const { return filter.offset; }  // all data blocks, trailers included
};

std::string EncodeFooter(const TableFooter& footer);
// `bytes`: the last kFooterBytes of a file of `file_bytes`. Errors: kInvalidArgument for a version
// that this release does not know, kCorruption for all that cannot be. Both name `path`.
Result<TableFooter> DecodeFooter(std::string_view bytes, uint64_t file_bytes,
                                 const std::string& path);

// Properties, a block stored plain. Offset, field, all u64:
//    0 table number | 8 rows | 16 tombstones | 24 rows with expiry (0) | 32 earliest expiry in Unix
//   ms (~0: none) | 40 bytes of keys and values | 48 smallest | 56 largest position
//   64 range begin | 72 range bits | 80 data blocks
//   88 three names, each varint length and bytes: of the row format, the position function, the
//      filter (empty: there is none). A reader refuses a name that it does not know.
//   behind them, of row format v2: rows with separated values u64 | bytes of their records u64
struct TableProperties {
  TableInfo info;  // file_bytes is not in the block
  uint64_t block_count = 0;
  bool has_filter = true;
};

inline constexpr std::string_view kRowFormatName = "varve.row.1";
// Of a table with rows whose values are separated (TableInfo::value_count > 0).
inline constexpr std::string_view kSeparatedRowFormatName = "varve.row.2";
inline constexpr std::string_view kPositionFunctionName = "xxh3-64.secret-192";
inline constexpr std::string_view kFilterFormatName = "varve.line-bloom.1";

std::string EncodeProperties(const TableProperties& properties);
// Errors: as DecodeFooter().
Result<TableProperties> DecodeProperties(std::string_view payload, const std::string& path);

}  // namespace varve::engine
