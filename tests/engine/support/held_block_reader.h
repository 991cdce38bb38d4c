#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <utility>

#include "engine/env.h"
#include "engine/invariant.h"

namespace varve::engine::testing {

// Keeps each read back until the test lets go of it, in the order that the test likes: what lies
// between the moments at which a row is asked for, read, and taken in can so be made to happen.
// Indexes count the reads that are held, in the order in which they were asked for.
// Threads: one. Lifetime: the executor, which runs the posted work, outlives it.
class HeldBlockReader : public BlockReader {
 public:
  explicit HeldBlockReader(Executor* thread) : thread_(thread) {}

  void Post(Work work) override { thread_->Post(std::move(work)); }
  void Read(const RandomAccessFile& file, uint64_t offset, std::span<char> out,
            std::function<void(Result<void>)> done) override {
    held_.push_back({&file, offset, out, std::move(done), false, {}});
  }

  size_t held_count() const { return held_.size(); }
  const std::string& path(size_t index) const { return held_.at(index).file->path(); }
  // Reads the bytes, which are taken in later.
  void Fetch(size_t index) {
    Held& held = held_.at(index);
    if (std::exchange(held.is_fetched, true)) return;
    held.result = held.file->ReadAt(held.offset, held.out);
  }
  // Ends the read, which is fetched now if it was not yet. More may be asked for meanwhile.
  void Deliver(size_t index) {
    Fetch(index);
    Held held = Take(index);
    held.done(std::move(held.result));
  }
  // Ends the read with an error that may pass.
  void Fail(size_t index) {
    const Held held = Take(index);
    held.done(varve::engine::Fail(Error{Errc::kIo, held.file->path() + ": a test's error", EIO}));
  }

 private:
  struct Held {
    const RandomAccessFile* file;
    uint64_t offset;
    std::span<char> out;
    std::function<void(Result<void>)> done;
    bool is_fetched;
    Result<void> result;
  };

  Held Take(size_t index) {
    Held held = std::move(held_.at(index));
    held_.erase(held_.begin() + static_cast<ptrdiff_t>(index));
    return held;
  }

  Executor* const thread_;
  std::deque<Held> held_;
};

}  // namespace varve::engine::testing
