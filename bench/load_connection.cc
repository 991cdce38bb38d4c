#include "load_connection.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <utility>

namespace varve::bench {
namespace {

[[noreturn]] void ExitOn(std::string_view what, std::string_view why) {
  fmt::print(stderr, "load_client: {}: {}\n", what, why);
  std::exit(1);
}

int Connect(const std::string& host, uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    ExitOn(host, "not an IPv4 address");
  }
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) ExitOn("socket", std::strerror(errno));
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    ExitOn(fmt::format("connect to {}:{}", host, port), std::strerror(errno));
  }
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  return fd;
}

}  // namespace

LoadConnection::LoadConnection(int epoll, const std::string& host, uint16_t port, uint64_t pipeline,
                               std::unique_ptr<Conversation> conversation, Budget& budget,
                               Timeline& timeline)
    : epoll_(epoll),
      socket_(Connect(host, port)),
      pipeline_(pipeline),
      conversation_(std::move(conversation)),
      budget_(budget),
      timeline_(timeline) {
  epoll_event event{.events = EPOLLIN, .data = {.ptr = this}};
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, socket_, &event) != 0) {
    ExitOn("epoll_ctl", std::strerror(errno));
  }
}

LoadConnection::~LoadConnection() { ::close(socket_); }

void LoadConnection::SendNext() {
  while (outstanding_ < pipeline_ && !budget_.Spent() && conversation_->Ask(out_)) {
    ++outstanding_;
    --budget_.requests_left;
  }
  sent_ns_ = NowNs();
  Flush();
}

void LoadConnection::Flush() {
  while (out_sent_ < out_.size()) {
    const ssize_t count =
        ::send(socket_, out_.data() + out_sent_, out_.size() - out_sent_, MSG_NOSIGNAL);
    if (count < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) ExitOn("send", std::strerror(errno));
      AwaitWritable(true);
      return;
    }
    out_sent_ += static_cast<size_t>(count);
  }
  out_.clear();
  out_sent_ = 0;
  AwaitWritable(false);
}

void LoadConnection::AwaitWritable(bool wanted) {
  if (wanted == awaits_writable_) return;
  awaits_writable_ = wanted;
  epoll_event event{.events = EPOLLIN, .data = {.ptr = this}};
  if (wanted) event.events |= EPOLLOUT;
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, socket_, &event);
}

void LoadConnection::OnReadable() {
  const std::span<char> room = tokens_.Prepare();
  const ssize_t count = ::recv(socket_, room.data(), room.size(), 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count < 0) ExitOn("recv", std::strerror(errno));
  if (count == 0) ExitOn("recv", "the server closed the connection");
  tokens_.Commit(static_cast<size_t>(count));
  const uint64_t now_ns = NowNs();
  while (const auto token = tokens_.Next()) {
    if (outstanding_ == 0) ExitOn("a reply that nobody asked for", token->text);
    if (!conversation_->Take(*token)) continue;
    --outstanding_;
    timeline_.Add(now_ns, now_ns - sent_ns_);
  }
  if (outstanding_ == 0) SendNext();
}

}  // namespace varve::bench
