#include "engine/table_format.h"

#include "engine/checksum.h"
#include "engine/coding.h"

namespace varve::engine {
namespace {

constexpr size_t kFooterVersionOffset = 56;
constexpr size_t kFooterChecksumOffset = 64;
constexpr size_t kFooterMagicOffset = 72;

constexpr uint64_t kNoExpiry = ~uint64_t{0};

void PutName(std::string& out, std::string_view name) {
  PutVarint64(out, name.size());
  out.append(name);
}

bool GetName(std::string_view& input, std::string_view& name) {
  uint64_t size = 0;
  if (!GetVarint64(input, size) || size > input.size()) return false;
  name = input.substr(0, size);
  input.remove_prefix(size);
  return true;
}

Result<void> CheckName(std::string_view what, std::string_view name, std::string_view known,
                       const std::string& path) {
  if (name == known) return {};
  return Fail(Errc::kInvalidArgument, "{}: {} is {}, this release knows {}", path, what, name,
              known);
}

// Whether the blocks stand side by side from the data's end up to the footer. Finds the dictionary.
bool Tile(TableFooter& footer, uint64_t file_bytes) {
  // First each size by itself: a sum of wild numbers could wrap around.
  for (const BlockHandle& handle : {footer.filter, footer.index, footer.properties}) {
    if (handle.offset > file_bytes || handle.size > file_bytes) return false;
  }
  const uint64_t filter_end = footer.has_filter() ? footer.filter.end() : footer.filter.offset;
  const uint64_t index_end = footer.index.end();
  if (footer.may_have_zstd && footer.properties.offset > index_end + kBlockTrailerBytes) {
    footer.dictionary = {index_end, footer.properties.offset - index_end - kBlockTrailerBytes};
  }
  const uint64_t dictionary_end = footer.has_dictionary() ? footer.dictionary.end() : index_end;
  return footer.data_bytes() > kBlockTrailerBytes && footer.index.offset == filter_end &&
         footer.properties.offset == dictionary_end &&
         footer.properties.end() + kFooterBytes == file_bytes;
}

bool IsDyadic(const DyadicRange& range) {
  return range == DyadicRange::Of(range.begin, range.bits);
}

}  // namespace

std::string EncodeFooter(const TableFooter& footer) {
  std::string out;
  out.reserve(kFooterBytes);
  for (const BlockHandle& handle : {footer.filter, footer.index, footer.properties}) {
    PutFixed64(out, handle.offset);
    PutFixed64(out, handle.size);
  }
  PutFixed64(out, footer.table_number);
  PutFixed32(out, footer.may_have_zstd ? kTableVersionZstd : kTableVersion);
  PutFixed32(out, 0);
  PutFixed64(out, Checksum(out));
  PutFixed64(out, kTableMagic);
  return out;
}

Result<TableFooter> DecodeFooter(std::string_view bytes, uint64_t file_bytes,
                                 const std::string& path) {
  if (bytes.size() != kFooterBytes || file_bytes < kFooterBytes) {
    return Fail(Errc::kCorruption, "{}: {} bytes are no SSTable", path, file_bytes);
  }
  if (DecodeFixed64(bytes.data() + kFooterMagicOffset) != kTableMagic) {
    return Fail(Errc::kCorruption, "{}: no SSTable: bad magic at {}", path,
                file_bytes - kFooterBytes + kFooterMagicOffset);
  }
  const uint64_t stored = DecodeFixed64(bytes.data() + kFooterChecksumOffset);
  if (const uint64_t computed = Checksum(bytes.substr(0, kFooterChecksumOffset));
      computed != stored) {
    return Fail(Errc::kCorruption, "{}: footer at {}: checksum {:016x}, stored {:016x}", path,
                file_bytes - kFooterBytes, computed, stored);
  }
  // Behind the checksum, so that a flipped bit is not taken for a newer release.
  const uint32_t version = DecodeFixed32(bytes.data() + kFooterVersionOffset);
  if (version != kTableVersion && version != kTableVersionZstd) {
    return Fail(Errc::kInvalidArgument, "{}: SSTable version {}, this release knows {} and {}",
                path, version, kTableVersion, kTableVersionZstd);
  }
  TableFooter footer;
  footer.may_have_zstd = version == kTableVersionZstd;
  const char* at = bytes.data();
  for (BlockHandle* handle : {&footer.filter, &footer.index, &footer.properties}) {
    handle->offset = DecodeFixed64(at);
    handle->size = DecodeFixed64(at + 8);
    at += 16;
  }
  footer.table_number = DecodeFixed64(at);
  if (!Tile(footer, file_bytes)) {
    return Fail(Errc::kCorruption, "{}: footer at {}: its blocks do not fill the file's {} bytes",
                path, file_bytes - kFooterBytes, file_bytes);
  }
  return footer;
}

std::string EncodeProperties(const TableProperties& properties) {
  const TableInfo& info = properties.info;
  std::string out;
  for (const uint64_t number :
       {info.number, info.row_count, info.tombstone_count, uint64_t{0}, kNoExpiry, info.row_bytes,
        info.smallest, info.largest, info.range.begin, static_cast<uint64_t>(info.range.bits),
        properties.block_count}) {
    PutFixed64(out, number);
  }
  const bool is_separated = info.value_count > 0;
  PutName(out, is_separated ? kSeparatedRowFormatName : kRowFormatName);
  PutName(out, kPositionFunctionName);
  PutName(out, properties.has_filter ? kFilterFormatName : "");
  if (is_separated) {
    PutFixed64(out, info.value_count);
    PutFixed64(out, info.value_bytes);
  }
  return out;
}

Result<TableProperties> DecodeProperties(std::string_view payload, const std::string& path) {
  TableProperties properties;
  TableInfo& info = properties.info;
  uint64_t expiry_count = 0;
  uint64_t earliest_expiry = 0;
  uint64_t range_bits = 0;
  bool whole = true;
  for (uint64_t* number : {&info.number, &info.row_count, &info.tombstone_count, &expiry_count,
                           &earliest_expiry, &info.row_bytes, &info.smallest, &info.largest,
                           &info.range.begin, &range_bits, &properties.block_count}) {
    whole = whole && GetFixed64(payload, *number);
  }
  std::string_view row_format;
  std::string_view position_function;
  std::string_view filter_format;
  whole = whole && GetName(payload, row_format) && GetName(payload, position_function) &&
          GetName(payload, filter_format);
  const bool is_separated = whole && row_format == kSeparatedRowFormatName;
  if (is_separated) {
    whole = GetFixed64(payload, info.value_count) && GetFixed64(payload, info.value_bytes);
  }
  if (!whole || !payload.empty()) {
    return Fail(Errc::kCorruption, "{}: properties are not whole", path);
  }
  if (!is_separated) TRY(CheckName("row format", row_format, kRowFormatName, path));
  TRY(CheckName("position function", position_function, kPositionFunctionName, path));
  properties.has_filter = !filter_format.empty();
  if (properties.has_filter) {
    TRY(CheckName("filter format", filter_format, kFilterFormatName, path));
  }
  info.range.bits = range_bits < 64 ? static_cast<int>(range_bits) : 0;
  if (range_bits > 63 || !IsDyadic(info.range) || info.smallest > info.largest ||
      !info.range.Contains(info.smallest) || !info.range.Contains(info.largest) ||
      info.tombstone_count > info.row_count ||
      info.value_count > info.row_count - info.tombstone_count ||
      is_separated != (info.value_count > 0) || properties.block_count > info.row_count ||
      properties.block_count == 0) {
    return Fail(Errc::kCorruption, "{}: properties contradict themselves", path);
  }
  return properties;
}

}  // namespace varve::engine
