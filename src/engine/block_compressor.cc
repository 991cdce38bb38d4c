#include "engine/block_compressor.h"

#include <snappy.h>

#include <algorithm>

namespace varve::engine {

size_t BlockCompressor::Compress(std::string_view payload) {
  const size_t plain_size = payload.size();
  if (plain_size > kCompressibleBytesMax) return plain_size;
  const size_t size_max =
      zstd_ ? ZstdCompressor::SizeMax(plain_size) : snappy::MaxCompressedLength(plain_size);
  SizeBuffer(compressed_, size_max + kBlockTrailerBytes);
  size_t size = 0;
  if (zstd_) {
    size = zstd_->Compress(payload, compressed_.data());
  } else {
    snappy::RawCompress(payload.data(), plain_size, compressed_.data(), &size);
  }
  return size <= plain_size - plain_size / 8 ? std::min(size, plain_size) : plain_size;
}

std::string_view BlockCompressor::Seal(std::string& payload, size_t plain_size,
                                       const BlockPlace& place) {
  const size_t size = Compress(std::string_view(payload).substr(0, plain_size));
  if (size < plain_size) {
    SealBlock(compressed_.data(), size, zstd_ ? Compression::kZstd : Compression::kSnappy, place);
    return {compressed_.data(), size + kBlockTrailerBytes};
  }
  payload.resize(plain_size + kBlockTrailerBytes);
  SealBlock(payload.data(), plain_size, Compression::kNone, place);
  return {payload.data(), plain_size + kBlockTrailerBytes};
}

size_t BlockCompressor::StoredBytes(std::string_view payload) { return Compress(payload); }

}  // namespace varve::engine
