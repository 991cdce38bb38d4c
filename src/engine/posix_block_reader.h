#pragma once

#include <functional>
#include <memory>
#include <span>

#include "engine/env.h"
#include "engine/posix_uring.h"

namespace varve::engine {

// Reads through io_uring: one thread hands all reads to the kernel and takes in what comes back, so
// that the disk sees as many at once as there are, and no thread is woken for each. Files without a
// descriptor() are read by ReadAt().
// Null where io_uring is missing or forbidden (an old kernel, a container's filter).
std::unique_ptr<BlockReader> NewUringBlockReader();

// The same on the thread of an event loop, so that what comes back is at once where it is needed.
// Threads: that of the loop, which also makes it; Post() from any. Destroyed by anyone when nothing
//          is under way.
class LoopBlockReader : public BlockReader {
 public:
  // `post` has the loop run work; callable from any thread. Null where NewUringBlockReader() is.
  static std::unique_ptr<LoopBlockReader> New(std::function<void(Work)> post);

  void Post(Work work) override { post_(std::move(work)); }
  void Read(const RandomAccessFile& file, uint64_t offset, std::span<char> out,
            std::function<void(Result<void>)> done) override;

  // When this descriptor is readable, the loop calls TakeIn(). It may be readable again at once.
  int descriptor() const { return uring_->descriptor(); }
  void TakeIn();

 private:
  LoopBlockReader(std::function<void(Work)> post, std::unique_ptr<Uring> uring)
      : post_(std::move(post)), uring_(std::move(uring)) {}

  const std::function<void(Work)> post_;
  const std::unique_ptr<Uring> uring_;
  bool submit_posted_ = false;
};

}  // namespace varve::engine
