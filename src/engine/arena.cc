#include "engine/arena.h"

#include <algorithm>

namespace varve::engine {

char* Arena::AllocateSlowly(size_t bytes) {
  used_bytes_ += bytes;
  // Alone, so that at most a quarter of a chunk is lost when the next one is begun.
  if (bytes > chunk_bytes_ / 4) {
    return chunks_.emplace_back(std::make_unique_for_overwrite<char[]>(bytes)).get();
  }
  used_bytes_ += left_;
  next_ = chunks_.emplace_back(std::make_unique_for_overwrite<char[]>(chunk_bytes_)).get();
  left_ = chunk_bytes_ - bytes;
  chunk_bytes_ = std::min(chunk_bytes_ * 2, kChunkBytesMax);
  char* result = next_;
  next_ += bytes;
  return result;
}

}  // namespace varve::engine
