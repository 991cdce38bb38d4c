#pragma once

#include <sys/types.h>

#include <cstdint>
#include <fstream>
#include <string>

namespace varve::server::test {

inline uint64_t ResidentBytes(pid_t pid) {
  std::ifstream statm("/proc/" + std::to_string(pid) + "/statm");
  uint64_t pages = 0;
  statm >> pages >> pages;
  return pages * 4096;
}

// Sanitizers keep freed memory and shadows of it: then the process's size says nothing.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kMemoryIsMeasurable = false;
#else
inline constexpr bool kMemoryIsMeasurable = true;
#endif

}  // namespace varve::server::test
