#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace varve::server {

// What the machine offers, for options whose value says "find out" (0).
struct Machine {
  uint64_t cores = 1;
  uint64_t memory_bytes = 0;  // of the machine, or of the cgroup if that is less
};
Machine DetectMachine();

// Memory limit that the process's cgroups (v1 or v2) set, UINT64_MAX if none. `proc_self_cgroup` is
// the text of /proc/self/cgroup, `root` where cgroups are mounted.
uint64_t CgroupMemoryBytes(std::string_view proc_self_cgroup, const std::string& root);

// Raises this process's limit of open files so that `clients` connections fit beside the engine's
// files. Returns how many connections fit, at most `clients`.
uint64_t ReserveFiles(uint64_t clients);

// Files besides connections: tables, log segments, listeners, event loops.
inline constexpr uint64_t kReservedFiles = 1024;

}  // namespace varve::server
