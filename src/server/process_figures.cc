#include "server/process_figures.h"

#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string_view>

// jemalloc's statistics, where the program is linked with it (it is not beside the sanitizers).
extern "C" __attribute__((weak)) int mallctl(const char* name, void* old_value, size_t* old_size,
                                             void* new_value, size_t new_size) noexcept;

namespace varve::server {
namespace {

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

MemoryFigures ReadMemoryFigures() {
  MemoryFigures figures;
  std::ifstream statm("/proc/self/statm");
  uint64_t pages = 0;
  if (statm >> pages >> pages) {
    figures.resident_bytes = pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  }
  if (mallctl == nullptr) {
    figures.allocator = "libc";
    const struct mallinfo2 info = mallinfo2();
    figures.allocated_bytes = info.uordblks + info.hblkhd;
    return figures;
  }
  uint64_t epoch = 1;  // writing it makes jemalloc gather the figures anew
  size_t size = sizeof(epoch);
  mallctl("epoch", &epoch, &size, &epoch, size);
  size_t allocated = 0;
  size = sizeof(allocated);
  mallctl("stats.allocated", &allocated, &size, nullptr, 0);
  figures.allocated_bytes = allocated;
  const char* version = "";
  size = sizeof(version);
  mallctl("version", &version, &size, nullptr, 0);
  const std::string_view text(version);  // "5.3.0-0-g54eaed1d8b56b1aa528be3bdd1877e59c56fa90c"
  figures.allocator = "jemalloc-" + std::string(text.substr(0, text.find('-')));
  return figures;
}

CpuFigures ReadCpuFigures() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return {.system_seconds = Seconds(usage.ru_stime), .user_seconds = Seconds(usage.ru_utime)};
}

std::string ExecutablePath() {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/exe", ignored).string();
}

}  // namespace varve::server
