#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "commands/client.h"
#include "commands/dispatch.h"
#include "engine/engine.h"
#include "resp/parser.h"
#include "resp/reply.h"
#include "server/asio_types.h"
#include "server/event_loop.h"

namespace varve::server {

// Commands that run in one hold of the command lock, and the reply bytes after which it is let go
// and the replies are sent: so a client can neither hold the lock for long nor grow the server.
inline constexpr size_t kBatchCommandsMax = 256;
inline constexpr size_t kBatchReplyBytesMax = 256 * 1024;

// One connection: a coroutine that reads, runs all complete commands as a batch under one hold of
// the command lock, sees that the log is written, and answers with one gather write. A client that
// does not read its replies suspends it there: nothing more is read from it or run for it.
// Threads: its loop's.
class Session {
 public:
  Session(EventLoop& loop, Connection connection);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Serves the connection until it ends. Called once.
  Awaitable<void> Run();
  // Ends it as soon as it is not in a batch. Sends nothing more.
  void Kill();
  // The log is written up to what this session joined the CommitGroup with, or could not be.
  void OnCommitted(const engine::Result<void>& outcome);
  // Once a second: idle and output limits; frees the buffers of a quiet connection.
  void Sweep();

  uint64_t last_sync = 0;  // the CommitGroup's: which one it has waited for last

  size_t held_bytes() const;
  size_t input_bytes() const { return parser_.held_bytes(); }
  size_t output_bytes() const { return replies_.held_bytes(); }

 private:
  enum class State : uint8_t { kReading, kBusy, kSending, kDraining };
  enum class Step : uint8_t {
    kSend,   // the replies so far are to be sent; more commands may follow
    kWait,   // parked until the engine has loaded what a command needs
    kYield,  // a command asks for a turn without the lock
  };

  bool Received(size_t size);
  bool ParseBatch();
  Step RunBatch();
  Step RunCommands(engine::Guard& guard);
  void Warm(engine::Guard& guard);
  void ShowInClientList();
  void StartWait(engine::Guard& guard);
  std::span<const resp::Argument> ArgumentsOf(size_t command) const;
  Awaitable<void> RunContinuation();

  bool NeedsCommit() const;
  bool TrySend();
  Awaitable<void> SendRest();
  bool ExceedsOutputLimit(size_t bytes);

  Awaitable<void> Drain();
  Awaitable<void> Pause(uint64_t delay_us);
  Awaitable<void> Park();
  void Unpark();
  void FreeBuffers();

  EventLoop& loop_;
  Socket socket_;
  State state_ = State::kReading;
  bool quiet_ = true;                   // no buffers are held, the next read waits without one
  bool closing_ = false;                // ends now, without another reply
  bool ending_ = false;                 // ends when the replies are sent
  uint64_t active_second_ = 0;          // loop time of the last bytes from or to the peer
  uint64_t over_soft_limit_since_ = 0;  // loop time + 1, or 0

  resp::Parser parser_;
  std::vector<resp::Argument> arguments_;  // of the whole batch
  std::vector<uint32_t> command_ends_;     // index behind each command's last argument
  size_t next_command_ = 0;                // of the batch
  std::string protocol_error_;             // to be answered after the batch
  resp::ReplyBuffer replies_;
  size_t sent_bytes_ = 0;  // of replies_

  engine::Lsn log_end_ = 0;                             // what the replies depend on
  std::optional<resp::ReplyBuffer::Mark> first_write_;  // replies from here on depend on writes
  bool awaits_log_ = false;                             // for what it joined the group

  engine::Transaction transaction_;
  commands::Client client_;
  std::optional<asio::async_result<UseAwaitable, void()>::handler_type> parked_;
  std::unique_ptr<Timer> timer_;  // while it pauses
};

}  // namespace varve::server
