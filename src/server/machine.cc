#include "server/machine.h"

#include <sys/resource.h>
#include <sys/sysinfo.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <thread>

namespace varve::server {
namespace {

constexpr rlim_t kOpenFilesWanted = 1 << 20;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// The number in a limit file; UINT64_MAX if it is missing or says "max". (v1 writes a number near
// 2^63 for "no limit", which is as good.)
uint64_t ReadLimit(const std::string& path) {
  const std::string text = ReadFile(path);
  uint64_t limit = UINT64_MAX;
  std::from_chars(text.data(), text.data() + text.size(), limit);
  return limit;
}

// The least limit of a group and its parents: each of them binds.
uint64_t LeastLimit(const std::string& mount, std::string path, const std::string& file) {
  uint64_t least = ReadLimit(mount + "/" + file);
  while (!path.empty() && path != "/") {
    least = std::min(least, ReadLimit(mount + path + "/" + file));
    path.resize(path.rfind('/') == path.npos ? 0 : path.rfind('/'));
  }
  return least;
}

}  // namespace

uint64_t CgroupMemoryBytes(std::string_view proc_self_cgroup, const std::string& root) {
  uint64_t least = UINT64_MAX;
  std::istringstream lines{std::string(proc_self_cgroup)};
  for (std::string line; std::getline(lines, line);) {  // "5:memory:/path", or "0::/path" of v2
    const size_t controllers = line.find(':');
    const size_t path = controllers == line.npos ? line.npos : line.find(':', controllers + 1);
    if (path == line.npos) continue;
    const std::string names = "," + line.substr(controllers + 1, path - controllers - 1) + ",";
    const std::string group = line.substr(path + 1);
    if (names == ",,") {
      least = std::min(least, LeastLimit(root, group, "memory.max"));
    } else if (names.find(",memory,") != names.npos) {
      least = std::min(least, LeastLimit(root + "/memory", group, "memory.limit_in_bytes"));
    }
  }
  return least;
}

Machine DetectMachine() {
  Machine machine;
  machine.cores = std::max(1u, std::thread::hardware_concurrency());  // what affinity allows
  struct sysinfo info {};
  if (sysinfo(&info) == 0) machine.memory_bytes = uint64_t{info.totalram} * info.mem_unit;
  machine.memory_bytes = std::min(
      machine.memory_bytes, CgroupMemoryBytes(ReadFile("/proc/self/cgroup"), "/sys/fs/cgroup"));
  return machine;
}

uint64_t ReserveFiles(uint64_t clients) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return clients;
  // As many as one may have: each table is an open file, and a large database has many.
  const rlim_t wanted = std::max<rlim_t>(clients + kReservedFiles, kOpenFilesWanted);
  if (limit.rlim_cur < wanted) {
    const rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max == RLIM_INFINITY ? wanted : std::min(wanted, limit.rlim_max);
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = before;
  }
  // Where files are scarce, clients get half of them rather than what kReservedFiles leaves.
  const uint64_t room =
      limit.rlim_cur > 2 * kReservedFiles ? limit.rlim_cur - kReservedFiles : limit.rlim_cur / 2;
  return std::min(clients, room);
}

}  // namespace varve::server
