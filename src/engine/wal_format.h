#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/error.h"
#include "engine/log_record.h"
#include "engine/wal.h"

// WAL segment v1, the file wal-<number>.log; integers little-endian. Offset, field:
//   0 magic u64 | 8 version u32, refused when unknown | 12 zero u32 | 16 number u64 | 24 salt u64
//  32 checksum u64: XXH3-64 of [0, 32)
//  40 one record of 24 bytes (log_record.h): kUnused when the segment is prepared, overwritten by
//     kStart with the segment's base LSN when it comes into use
//  64 records: kData, and behind the last one a kSyncPoint
// The record at offset o has the LSN base + (o - 64). A sync point takes no LSN: the next record
// takes its place. The base LSN of the next segment in use is the LSN at which this one ends.
//
// The header is durable before the file gets its name, so a header that is not valid is damage. The
// file has been allocated, to a size that has room for the last sync point.
namespace varve::engine {

inline constexpr uint64_t kWalMagic = 0x314c'4157'7672'6156;  // "VarvWAL1"
inline constexpr uint32_t kWalVersion = 1;
inline constexpr uint64_t kWalHeaderBytes = 40;
inline constexpr uint64_t kWalDataOffset = 64;
static_assert(kWalHeaderBytes == 4 * sizeof(uint64_t) + 2 * sizeof(uint32_t));
static_assert(kWalDataOffset == kWalHeaderBytes + kLogNumberRecordBytes);

// What a segment's file needs beside the framed records that it holds.
inline constexpr uint64_t kWalOverheadBytes = kWalDataOffset + kLogNumberRecordBytes;

struct WalHeader {
  uint64_t number = 0;
  uint64_t salt = 0;
};

// The first kWalDataOffset bytes of a file: in use from `base` on, or prepared only.
std::string EncodeWalHeader(const WalHeader& header, std::optional<Lsn> base);
// `bytes`: the first kWalHeaderBytes of the file, or all of a shorter one. kCorruption, or
// kInvalidArgument for a version that this release does not know; `path` is for the message.
Result<WalHeader> DecodeWalHeader(std::string_view bytes, const std::string& path);

// The number in the name of a segment file (without directory); nothing if it is none.
std::optional<uint64_t> ParseWalName(std::string_view name);
// A new segment's file has this name until its header is durable; left over after a crash.
std::string WalTemporaryPath(const std::string& directory, uint64_t number);
bool IsWalTemporaryName(std::string_view name);

}  // namespace varve::engine
