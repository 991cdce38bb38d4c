#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace varve::commands {

struct Command;

// What becomes of replies (CLIENT REPLY).
enum class ReplyMode : uint8_t {
  kOn,
  kOff,
  kSkipArmed,  // CLIENT REPLY SKIP is the command that runs
  kSkip,       // it was the last command: this one's reply is dropped
};

// What a command of several runs keeps between them; each family derives its own.
class Progress {
 public:
  virtual ~Progress() = default;
};

// What a command that answered Run::kYield wants before its next run.
struct Continuation {
  std::unique_ptr<Progress> progress;  // kept by the command from run to run, null at first
  std::function<void()> off_lock;      // if set: the server calls it once, without the lock
  uint64_t pause_us = 0;               // then it lets this time pass (DEBUG SLEEP)
};

// A connection as commands see it. The server makes one per connection and owns it.
// Threads: every member is read and written under the command lock only (CLIENT LIST of one client
// reads them all), except `id` and the addresses, which never change, and `continuation`, which
// only the connection itself uses.
struct Client {
  uint64_t id = 0;      // from 1 on, never used twice
  std::string address;  // "127.0.0.1:50000", or "/path:0" of a unix socket
  std::string local_address;
  int fd = -1;
  bool unix_socket = false;
  bool loopback = false;    // for `enable-debug-command local`; true of a unix socket
  uint64_t created_us = 0;  // unix time

  // Set by commands.
  std::string name;
  std::string library_name;
  std::string library_version;
  int db = 0;
  int protocol = 2;
  ReplyMode reply_mode = ReplyMode::kOn;
  bool no_evict = false;
  // The connection ends when the replies up to here are sent; what follows in the pipeline is not
  // run. Set by commands (QUIT, CLIENT KILL of itself) and by the server.
  bool close_after_reply = false;
  const Command* last_command = nullptr;

  // Set by the server when it takes the lock for a batch, shown by CLIENT LIST.
  uint64_t last_used_us = 0;    // unix time
  size_t query_bytes = 0;       // qbuf: bytes of requests not parsed yet
  size_t query_free_bytes = 0;  // qbuf-free
  size_t argument_bytes = 0;    // argv-mem
  size_t output_bytes = 0;      // omem: replies that are not sent
  size_t memory_bytes = 0;      // tot-mem

  Continuation continuation;
};

}  // namespace varve::commands
