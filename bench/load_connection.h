#pragma once

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "conversation.h"
#include "reply_tokens.h"
#include "timeline.h"

namespace varve::bench {

// When a run ends, for all connections together.
struct Budget {
  uint64_t requests_left = UINT64_MAX;
  uint64_t deadline_ns = UINT64_MAX;
  const volatile std::sig_atomic_t* interrupted = nullptr;  // set by a signal

  bool Spent() const { return requests_left == 0 || *interrupted != 0 || NowNs() >= deadline_ns; }
};

// One non-blocking connection: sends a pipeline of requests at once, and the next one when all of
// them are answered. A reply's latency counts from then on.
// Owns: the socket, registered with `epoll` under this object's address.
// Errors: a connection that cannot be made, or is lost, ends the process.
class LoadConnection {
 public:
  LoadConnection(int epoll, const std::string& host, uint16_t port, uint64_t pipeline,
                 std::unique_ptr<Conversation> conversation, Budget& budget, Timeline& timeline);
  ~LoadConnection();
  LoadConnection(const LoadConnection&) = delete;
  LoadConnection& operator=(const LoadConnection&) = delete;

  void Start() { SendNext(); }
  void OnReadable();
  void OnWritable() { Flush(); }
  bool idle() const { return outstanding_ == 0; }  // after Start(): for good

 private:
  void SendNext();
  void Flush();
  void AwaitWritable(bool wanted);

  const int epoll_;
  const int socket_;
  const uint64_t pipeline_;
  const std::unique_ptr<Conversation> conversation_;
  Budget& budget_;
  Timeline& timeline_;
  ReplyTokens tokens_;
  std::string out_;
  size_t out_sent_ = 0;
  bool awaits_writable_ = false;
  uint64_t sent_ns_ = 0;
  uint64_t outstanding_ = 0;
};

}  // namespace varve::bench
