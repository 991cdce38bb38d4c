#pragma once

#include <cstdint>
#include <memory>

#include "engine/env.h"

namespace varve::engine {

// The executor of flush and compaction: a strand, so work runs one at a time and in order, on a
// thread and an io_context of its own; a busy server cannot hold it up, nor it the server.
// Threads: Post() and PostAfter() from any. Signals are blocked in the thread.
// Errors:  the constructor throws std::system_error when it gets no thread or timer.
// This file pair is the only one of the engine that uses Asio.
class BackgroundScheduler : public Executor {
 public:
  BackgroundScheduler();
  // Waits for the work that runs; drops what has not started.
  ~BackgroundScheduler() override;

  void Post(Work work) override;
  void PostAfter(uint64_t delay_us, Work work) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace varve::engine
