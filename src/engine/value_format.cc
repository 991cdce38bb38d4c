#include "engine/value_format.h"

#include "engine/checksum.h"
#include "engine/coding.h"

namespace varve::engine {
namespace {

constexpr size_t kVersionOffset = 32;
constexpr size_t kChecksumOffset = 40;
constexpr size_t kMagicOffset = 48;

// Whether the index stands between the records and the footer, without a gap.
bool Tiles(const BlockHandle& index, uint64_t file_bytes) {
  // First each number by itself: a sum of wild numbers could wrap around.
  return index.offset <= file_bytes && index.size <= file_bytes &&
         index.end() + kValueFooterBytes == file_bytes;
}

}  // namespace

std::string ValuePath(const std::string& directory, uint64_t number) {
  return fmt::format("{}/values-{}.val", directory, number);
}

bool IsValueFileName(std::string_view name) {
  return name.starts_with("values-") && name.ends_with(".val");
}

std::string EncodeValueFooter(const ValueFooter& footer) {
  std::string out;
  for (const uint64_t number :
       {footer.index.offset, footer.index.size, footer.file_number, footer.record_count}) {
    PutFixed64(out, number);
  }
  PutFixed32(out, kValueFileVersion);
  PutFixed32(out, 0);
  PutFixed64(out, Checksum(out));
  PutFixed64(out, kValueFileMagic);
  return out;
}

Result<ValueFooter> DecodeValueFooter(std::string_view bytes, uint64_t file_bytes,
                                      const std::string& path) {
  if (bytes.size() != kValueFooterBytes || file_bytes < kValueFooterBytes) {
    return Fail(Errc::kCorruption, "{}: {} bytes are no value file", path, file_bytes);
  }
  const uint64_t footer_offset = file_bytes - kValueFooterBytes;
  if (DecodeFixed64(bytes.data() + kMagicOffset) != kValueFileMagic) {
    return Fail(Errc::kCorruption, "{}: no value file: bad magic at {}", path,
                footer_offset + kMagicOffset);
  }
  const uint64_t stored = DecodeFixed64(bytes.data() + kChecksumOffset);
  if (const uint64_t computed = Checksum(bytes.substr(0, kChecksumOffset)); computed != stored) {
    return Fail(Errc::kCorruption, "{}: footer at {}: checksum {:016x}, stored {:016x}", path,
                footer_offset, computed, stored);
  }
  // Behind the checksum, so that a flipped bit is not taken for a newer release.
  if (const uint32_t version = DecodeFixed32(bytes.data() + kVersionOffset);
      version != kValueFileVersion) {
    return Fail(Errc::kInvalidArgument, "{}: value file version {}, this release knows {}", path,
                version, kValueFileVersion);
  }
  ValueFooter footer;
  footer.index = {DecodeFixed64(bytes.data()), DecodeFixed64(bytes.data() + 8)};
  footer.file_number = DecodeFixed64(bytes.data() + 16);
  footer.record_count = DecodeFixed64(bytes.data() + 24);
  if (!Tiles(footer.index, file_bytes)) {
    return Fail(Errc::kCorruption, "{}: footer at {}: its index does not fill the file's {} bytes",
                path, footer_offset, file_bytes);
  }
  return footer;
}

}  // namespace varve::engine
