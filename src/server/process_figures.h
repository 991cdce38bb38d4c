#pragma once

#include <cstdint>
#include <string>

// What the operating system and the allocator know about this process.
namespace varve::server {

struct MemoryFigures {
  uint64_t allocated_bytes = 0;
  uint64_t resident_bytes = 0;
  std::string allocator;  // "jemalloc-5.3.0", "libc"
};
MemoryFigures ReadMemoryFigures();

struct CpuFigures {
  double system_seconds = 0;
  double user_seconds = 0;
};
CpuFigures ReadCpuFigures();

std::string ExecutablePath();

}  // namespace varve::server
