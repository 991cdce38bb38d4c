#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "engine/env.h"

namespace varve::engine {

// Reads of files through an io_uring: any number at once, without a thread for each. What the page
// cache has is there when Submit() returns.
// Threads: one, the one that made it. Lifetime: destroyed when idle(); what it waits for otherwise
//          is forgotten.
class Uring {
 public:
  using Done = std::function<void(Result<void>)>;

  // Whether the thread sleeps in Submit(), or in an event loop that waits for descriptor().
  enum class Use : uint8_t { kThread, kEventLoop };

  // Null where io_uring is missing or forbidden (an old kernel, a container's filter).
  static std::unique_ptr<Uring> New(Use use);
  virtual ~Uring() = default;

  // Queues a read, for the next Submit(). As BlockReader::Read().
  virtual void Read(const RandomAccessFile& file, uint64_t offset, std::span<char> out,
                    Done done) = 0;
  // A thread that sleeps in Submit() is to be woken by a write to this eventfd.
  virtual void WakeBy(int eventfd) = 0;
  // Hands the queued reads to the kernel. With `wait`, sleeps until a read has come or the eventfd
  // was written to.
  virtual void Submit(bool wait) = 0;
  // Calls `done` for some of the reads that have come: a few, so that the kernel gets the next ones
  // soon, and the caller's other work its turn. What came back in part is queued again, so that a
  // Submit() has to follow.
  virtual void Reap() = 0;

  virtual bool has_completed() const = 0;  // Reap() has something to do
  virtual bool idle() const = 0;           // no read is queued or under way
  virtual int descriptor() const = 0;      // kEventLoop: readable when a read has come
};

}  // namespace varve::engine
