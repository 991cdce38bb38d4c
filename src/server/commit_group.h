#pragma once

#include <memory>
#include <vector>

#include "engine/engine.h"
#include "server/asio_types.h"

namespace spdlog {
class logger;
}

namespace varve::server {

class Session;

// Group commit of one event loop: sessions whose batches wrote during one pass over the ready
// connections wait here, and one handler, which runs after them all, writes the log once for all.
// That makes fifty clients without pipelining as cheap as one that pipelines.
// Threads: the loop's.
class CommitGroup {
 public:
  CommitGroup(engine::Engine& engine, asio::io_context& context, spdlog::logger& log)
      : engine_(engine), context_(context), log_(log) {}

  // `session` is resumed with the outcome once the log is in the kernel up to `lsn`, or, with
  // appendfsync always, on the disk. The caller suspends before it returns to the loop.
  void Join(Session& session, engine::Lsn lsn);

  // True if a reply that shows the log up to `lsn` may go out at once (appendfsync always).
  bool IsDurable(engine::Lsn lsn) const { return lsn <= durable_; }

 private:
  struct Group {
    std::vector<Session*> sessions;
    engine::Lsn lsn = 0;
  };

  void Commit();
  void CommitDurably();
  void Resume(const Group& group, const engine::Result<void>& outcome);

  engine::Engine& engine_;
  asio::io_context& context_;
  spdlog::logger& log_;
  Group gathering_;
  Group committing_;  // kept for its memory
  engine::Lsn durable_ = 0;
  bool posted_ = false;
  bool failed_ = false;  // and logged: the first failure is final for the engine
};

}  // namespace varve::server
