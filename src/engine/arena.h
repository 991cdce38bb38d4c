#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace varve::engine {

// Memory that is taken piece by piece and given back all at once, by the destructor.
// Threads: one at a time.
class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // `bytes` uninitialized bytes, aligned for pointers; at least one.
  char* Allocate(size_t bytes) {
    bytes = (bytes + kAlignment - 1) & ~(kAlignment - 1);
    if (bytes > left_) return AllocateSlowly(bytes);
    char* result = next_;
    next_ += bytes;
    left_ -= bytes;
    used_bytes_ += bytes;
    return result;
  }

  // What was handed out, and what was lost at the ends of chunks. What a chunk has left is not
  // counted: the kernel gives those pages when they are first written.
  size_t used_bytes() const { return used_bytes_; }

 private:
  static constexpr size_t kAlignment = 8;
  static constexpr size_t kChunkBytesMin = 64 << 10;  // of the first; each next is twice as large,
  static constexpr size_t kChunkBytesMax = 1 << 20;   // up to this

  char* AllocateSlowly(size_t bytes);

  char* next_ = nullptr;
  size_t left_ = 0;
  size_t used_bytes_ = 0;
  size_t chunk_bytes_ = kChunkBytesMin;
  std::vector<std::unique_ptr<char[]>> chunks_;
};

}  // namespace varve::engine
