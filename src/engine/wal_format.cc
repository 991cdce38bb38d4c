#include "engine/wal_format.h"

#include <charconv>

#include "engine/checksum.h"
#include "engine/coding.h"

namespace varve::engine {

namespace {

constexpr std::string_view kPrefix = "wal-";
constexpr std::string_view kSuffix = ".log";
constexpr std::string_view kTemporarySuffix = ".tmp";

}  // namespace

std::string EncodeWalHeader(const WalHeader& header, std::optional<Lsn> base) {
  std::string out;
  PutFixed64(out, kWalMagic);
  PutFixed32(out, kWalVersion);
  PutFixed32(out, 0);
  PutFixed64(out, header.number);
  PutFixed64(out, header.salt);
  PutFixed64(out, Checksum(out));
  AppendLogNumberRecord(out, base ? LogRecordType::kStart : LogRecordType::kUnused,
                        base.value_or(0), header.salt, kWalHeaderBytes);
  INVARIANT(out.size() == kWalDataOffset);
  return out;
}

Result<WalHeader> DecodeWalHeader(std::string_view bytes, const std::string& path) {
  if (bytes.size() < kWalHeaderBytes) {
    return Fail(Errc::kCorruption, "{}: {} bytes are too few for a WAL segment", path,
                bytes.size());
  }
  if (const uint64_t magic = DecodeFixed64(bytes.data()); magic != kWalMagic) {
    return Fail(Errc::kCorruption, "{}: offset 0: {:016x} is not the magic of a WAL segment", path,
                magic);
  }
  const uint64_t computed = Checksum(bytes.substr(0, 32));
  if (const uint64_t stored = DecodeFixed64(bytes.data() + 32); computed != stored) {
    return Fail(Errc::kCorruption, "{}: offset 0: header checksum {:016x}, stored {:016x}", path,
                computed, stored);
  }
  if (const uint32_t version = DecodeFixed32(bytes.data() + 8); version != kWalVersion) {
    return Fail(Errc::kInvalidArgument, "{}: WAL format {} is not known here, only {} is", path,
                version, kWalVersion);
  }
  return WalHeader{DecodeFixed64(bytes.data() + 16), DecodeFixed64(bytes.data() + 24)};
}

std::string WalPath(const std::string& directory, uint64_t number) {
  return fmt::format("{}/{}{:06}{}", directory, kPrefix, number, kSuffix);
}

std::string WalTemporaryPath(const std::string& directory, uint64_t number) {
  return fmt::format("{}/{}{:06}{}", directory, kPrefix, number, kTemporarySuffix);
}

std::optional<uint64_t> ParseWalName(std::string_view name) {
  const std::string_view whole = name;
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  name.remove_suffix(kSuffix.size());
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  if (WalPath("", number).substr(1) != whole) return std::nullopt;  // somebody's copy
  return number;
}

bool IsWalTemporaryName(std::string_view name) {
  return name.starts_with(kPrefix) && name.ends_with(kTemporarySuffix);
}

}  // namespace varve::engine
