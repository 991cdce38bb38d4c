#include "engine/posix_env.h"

#include <sys/random.h>

#include <cerrno>
#include <chrono>
#include <system_error>
#include <thread>

#include "engine/posix_block_reader.h"

namespace varve::engine {

uint64_t PosixClock::UnixMs() const {
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count());
}

uint64_t PosixClock::MonotonicUs() const {
  const auto since_boot = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(since_boot).count());
}

void PosixClock::SleepUs(uint64_t us) {
  std::this_thread::sleep_for(std::chrono::microseconds(us));
}

void SystemRandom::Fill(std::span<char> out) {
  while (!out.empty()) {
    const ssize_t count = ::getrandom(out.data(), out.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw std::system_error(errno, std::generic_category(), "getrandom");
    out = out.subspan(static_cast<size_t>(count));
  }
}

PosixEnv::PosixEnv(size_t read_threads, bool io_uring, size_t background_threads)
    : background_(background_threads),
      log_("varve-log", 1),
      reads_("varve-read", read_threads),
      blocks_(NewBlockReader(io_uring)),
      env_{&files_, &clock_, &random_,     background_.strand(), background_.workers(),
           &log_,   &reads_, blocks_.get()} {}

std::unique_ptr<BlockReader> PosixEnv::NewBlockReader(bool io_uring) {
  std::unique_ptr<BlockReader> reader = io_uring ? NewUringBlockReader() : nullptr;
  uses_io_uring_ = reader != nullptr;
  if (reader == nullptr) reader = std::make_unique<PoolBlockReader>(&reads_);
  return reader;
}

}  // namespace varve::engine
