#include "engine/huge_pages.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

namespace varve::engine {

void* MapPages(size_t bytes, size_t alignment, bool huge) {
  void* const mapped = ::mmap(nullptr, bytes + alignment, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  char* const begin = static_cast<char*>(mapped);
  const size_t skip = -reinterpret_cast<uintptr_t>(begin) & (alignment - 1);
  if (skip > 0) ::munmap(begin, skip);
  if (skip < alignment) ::munmap(begin + skip + bytes, alignment - skip);
  if (huge) ::madvise(begin + skip, bytes, MADV_HUGEPAGE);  // a hint
  return begin + skip;
}

void PopulatePages(void* pages, size_t bytes) {
  // A hint that an old kernel does not know.
  ::madvise(pages, bytes, MADV_POPULATE_WRITE);
}

void UnmapPages(void* pages, size_t bytes) { ::munmap(pages, bytes); }

void DiscardPages(void* pages, size_t bytes) { ::madvise(pages, bytes, MADV_DONTNEED); }

}  // namespace varve::engine
