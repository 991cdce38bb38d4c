#pragma once

#include <cstddef>

namespace varve::engine {

inline constexpr size_t kHugePageBytes = size_t{2} << 20;

// Zeroed memory of the system, at a multiple of `alignment` (a power of two, at least a page). What
// is read at random, a row here and a row there, asks for huge pages: every access would miss the
// TLB otherwise. The rest takes a page when it is first touched. Throws std::bad_alloc.
void* MapPages(size_t bytes, size_t alignment, bool huge);
// Has the system give the memory now instead of at the first touch.
void PopulatePages(void* pages, size_t bytes);
void UnmapPages(void* pages, size_t bytes);
// Gives the memory back; it reads as zeros when it is used again.
void DiscardPages(void* pages, size_t bytes);

}  // namespace varve::engine
