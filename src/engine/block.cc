#include "engine/block.h"

#include <snappy.h>

#include "engine/checksum.h"
#include "engine/coding.h"

namespace varve::engine {
namespace {

constexpr size_t kBufferBytesKept = 4 << 20;

// Snappy's densest element makes 64 bytes of 3, so an intact block never claims more than 22 times
// its size.
constexpr size_t kExpansionMax = 32;

// Offsets are far below 2^60, so two places never have the same seed.
uint64_t Seed(const BlockPlace& place) {
  return place.table_number * 0x9e3779b97f4a7c15ull + place.offset;
}

tl::unexpected<Error> ImpossibleLength(std::string_view payload, const BlockPlace& place,
                                       size_t size) {
  return Fail(Errc::kCorruption, "{}: block at {}: impossible length {} of {} compressed bytes",
              place.path, place.offset, size, payload.size());
}

tl::unexpected<Error> CannotUncompress(std::string_view payload, const BlockPlace& place) {
  return Fail(Errc::kCorruption, "{}: block at {}: {} bytes cannot be uncompressed", place.path,
              place.offset, payload.size());
}

Result<std::string_view> UncompressSnappy(std::string_view payload, const BlockPlace& place,
                                          std::string& scratch) {
  size_t size = 0;
  if (!snappy::GetUncompressedLength(payload.data(), payload.size(), &size) ||
      size > kCompressibleBytesMax || size / kExpansionMax > payload.size()) {
    return ImpossibleLength(payload, place, size);
  }
  SizeBuffer(scratch, size);
  if (!snappy::RawUncompress(payload.data(), payload.size(), scratch.data())) {
    return CannotUncompress(payload, place);
  }
  return std::string_view(scratch.data(), size);
}

// Unlike snappy's, a small frame of zstd's may truly be of 16 MiB of equal bytes.
Result<std::string_view> UncompressZstd(std::string_view payload, const BlockPlace& place,
                                        const Dictionary* dictionary, std::string& scratch) {
  const std::optional<size_t> size = ZstdSize(payload);
  if (!size) return CannotUncompress(payload, place);
  if (*size > kCompressibleBytesMax) return ImpossibleLength(payload, place, *size);
  SizeBuffer(scratch, *size);
  if (!ZstdUncompress(payload, std::span(scratch.data(), *size), dictionary)) {
    return CannotUncompress(payload, place);
  }
  return std::string_view(scratch.data(), *size);
}

}  // namespace

void SealBlock(char* block, size_t size, Compression compression, const BlockPlace& place) {
  block[size] = static_cast<char>(compression);
  EncodeFixed64(block + size + 1, Checksum({block, size + 1}, Seed(place)));
}

Result<std::string_view> DecodeBlock(std::string_view stored, const BlockPlace& place,
                                     std::string& scratch, const Dictionary* dictionary) {
  if (stored.size() < kBlockTrailerBytes) {
    return Fail(Errc::kCorruption, "{}: block at {}: {} bytes are too few", place.path,
                place.offset, stored.size());
  }
  const size_t size = stored.size() - kBlockTrailerBytes;
  const uint64_t expected = DecodeFixed64(stored.data() + size + 1);
  if (const uint64_t computed = Checksum(stored.substr(0, size + 1), Seed(place));
      computed != expected) {
    return Fail(Errc::kCorruption, "{}: block at {}, {} bytes: checksum {:016x}, stored {:016x}",
                place.path, place.offset, size, computed, expected);
  }
  const std::string_view payload = stored.substr(0, size);
  switch (static_cast<Compression>(stored[size])) {
    case Compression::kNone:
      return payload;
    case Compression::kSnappy:
      return UncompressSnappy(payload, place, scratch);
    case Compression::kZstd:
      return UncompressZstd(payload, place, dictionary, scratch);
  }
  return Fail(Errc::kCorruption, "{}: block at {}: unknown compression {}", place.path,
              place.offset, static_cast<uint8_t>(stored[size]));
}

void SizeBuffer(std::string& buffer, size_t bytes) {
  const bool wasteful = buffer.capacity() > kBufferBytesKept && bytes <= kBufferBytesKept;
  if (buffer.size() >= bytes && !wasteful) return;
  buffer = std::string();  // first, so that there is never the old and the new one
  buffer.resize(bytes);
}

}  // namespace varve::engine
