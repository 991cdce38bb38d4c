#pragma once

#include <cstddef>
#include <memory>

#include "engine/env.h"

namespace varve::engine {

// The threads of flush and compaction, and two executors on them: strand() runs work one at a time
// and in order, workers() on as many threads as there are. They take turns, also on one thread; a
// busy server cannot hold them up, nor they the server.
// Threads: Post() and PostAfter() of both from any. Signals are blocked in the threads.
// Errors:  the constructor throws std::system_error when it gets no thread or timer.
// This file pair is the only one of the engine that uses Asio.
class BackgroundScheduler {
 public:
  explicit BackgroundScheduler(size_t threads = 1);
  // Waits for the work that runs; drops what has not started.
  ~BackgroundScheduler();

  Executor* strand();
  Executor* workers();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace varve::engine
