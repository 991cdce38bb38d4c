#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/error.h"
#include "engine/manifest.h"

// Manifest v1, the file manifest-<number>; integers little-endian. Offset, field:
//   0 magic u64 | 8 version u32, refused when unknown | 12 zero u32
//  16 position function, 16 bytes of text, zeros behind: "xxh3-64"; refused when unknown
//  32 salt u64 | 40 position secret, 192 bytes | 232 checksum u64: XXH3-64 of [0, 232)
// 240 records (log_record.h): kSnapshot, then kEdit, each an edit as below; behind the last one a
//     kSyncPoint, which the next edit overwrites; LSN = offset
//
// An edit is a sequence of fields, each a tag u8 and, varints unless said otherwise:
//   1 tree         id | added_count | tables | removed_count | table numbers
//                  | has_live_key_count u8 | live_key_count if that is 1
//   2 dropped tree id
//   3 databases    16 tree ids
//   4 wal_oldest   number
//   5 next_number  number
//   6 values       of the tree that the field before says, counts before all lists:
//                  files added: number | file_bytes | record_count | record_bytes
//                  runs added: run | file | record_count | live_bytes | form u8 | live records
//                    form 0: all, nothing follows; 1: a bitmap of record_count bits, bit o % 8 of
//                    byte o / 8; 2: ordinals
//                  runs moved: run | file
//                  records dead: run | bytes | ordinals
//                  ordinals: count | the first, then by how much each is more than the one before,
//                    less 1
// A table: level u8 | number | file_bytes | row_count | tombstone_count | row_bytes
//                  | smallest u64 | largest u64 | range begin u64 | range bits u8
//                  | value_count | value_bytes, both only if level has its bit 7 set
//
// CURRENT holds the name of the manifest that counts and a newline.
namespace varve::engine {

inline constexpr uint64_t kManifestMagic = 0x314e'414d'7672'6156;  // "VarvMAN1"
inline constexpr uint32_t kManifestVersion = 1;
inline constexpr std::string_view kPositionFunction = "xxh3-64";
inline constexpr size_t kPositionFunctionBytes = 16;
inline constexpr uint64_t kManifestHeaderBytes = 240;
static_assert(kManifestHeaderBytes == 4 * sizeof(uint64_t) + 2 * sizeof(uint32_t) +
                                          kPositionFunctionBytes + PositionSecret::kBytes -
                                          sizeof(uint64_t));

struct ManifestHeader {
  uint64_t salt = 0;
  std::array<char, PositionSecret::kBytes> position_secret{};
};

std::string EncodeManifestHeader(const ManifestHeader& header);
// `bytes`: the first kManifestHeaderBytes of the file, or all of a shorter one. kCorruption, or
// kInvalidArgument for a version or position function that this release does not know; `path` is
// for the message.
Result<ManifestHeader> DecodeManifestHeader(std::string_view bytes, const std::string& path);

std::string EncodeEdit(const VersionEdit& edit);
// Nothing if the bytes are no whole edit of this version.
std::optional<VersionEdit> DecodeEdit(std::string_view bytes);
// The edit that makes `state`, all but its secret, from an empty one.
VersionEdit SnapshotEdit(const ManifestState& state);

std::string ManifestName(uint64_t number);
// Nothing if the name is none of a manifest.
std::optional<uint64_t> ParseManifestName(std::string_view name);

}  // namespace varve::engine
