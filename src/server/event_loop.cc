#include "server/event_loop.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <thread>

#include "server/session.h"

namespace varve::server {
namespace {

// How long a loop that has had work looks for more before it sleeps. A peer that must wake it
// spends longer on that than on its request, and the request waits for it. (50 clients, no
// pipelining: 10 % more requests.) Whoever else wants the core gets it.
constexpr auto kAwake = std::chrono::microseconds(50);

// No exception may reach here: lost peers are values, and out of memory ends the process anyway.
[[noreturn]] void Die(spdlog::logger& log, const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const std::exception& error) {
    log.critical("A connection ended with an exception, which is a bug: {}", error.what());
  } catch (...) {
    log.critical("A connection ended with an unknown exception, which is a bug");
  }
  std::abort();
}

}  // namespace

EventLoop::EventLoop(const Services& services)
    : services_(services),
      work_(context_.get_executor()),
      sweep_timer_(context_),
      commits_(services.engine, context_, services.log) {}

EventLoop::~EventLoop() = default;

void EventLoop::Run() {
  ScheduleSweep();
  StartReading();
  auto last_work = std::chrono::steady_clock::now();
  while (!context_.stopped()) {
    if (context_.poll() > 0) {
      last_work = std::chrono::steady_clock::now();
    } else if (std::chrono::steady_clock::now() - last_work < kAwake) {
      std::this_thread::yield();
    } else {
      context_.run_one();
    }
  }
}

void EventLoop::StartReading() {
  reader_ = engine::LoopBlockReader::New(
      [this](engine::Work work) { asio::post(context_, std::move(work)); });
  if (reader_ == nullptr) return;
  // Closed by whoever has it.
  const int descriptor = ::dup(reader_->descriptor());
  if (descriptor < 0) return reader_.reset();
  reads_.emplace(context_, descriptor);
  AwaitReads();
}

void EventLoop::AwaitReads() {
  reads_->async_wait(Descriptor::wait_read, [this](const boost::system::error_code& error) {
    if (error) return;
    reader_->TakeIn();
    AwaitReads();
  });
}

void EventLoop::Adopt(Connection connection) {
  asio::post(context_, [this, connection = std::move(connection)]() mutable {
    Begin(std::move(connection));
  });
}

void EventLoop::Begin(Connection connection) {
  if (stopping_) {
    ::close(connection.fd);
    services_.registry.Unreserve();
    return;
  }
  const uint64_t id = connection.id;
  auto session = std::make_unique<Session>(*this, std::move(connection));
  asio::co_spawn(context_, session->Run(), [this, id](const std::exception_ptr& exception) {
    if (exception) Die(services_.log, exception);
    End(id);
  });
  sessions_.emplace(id, std::move(session));
  commits_.set_connections(sessions_.size());
}

void EventLoop::End(uint64_t id) {
  sessions_.erase(id);
  commits_.set_connections(sessions_.size());
  services_.registry.Unreserve();
  if (stopping_ && sessions_.empty()) Finish();
}

void EventLoop::Kill(uint64_t id) {
  asio::post(context_, [this, id] {
    if (const auto found = sessions_.find(id); found != sessions_.end()) found->second->Kill();
  });
}

void EventLoop::Stop() {
  asio::post(context_, [this] {
    stopping_ = true;
    sweep_timer_.cancel();
    for (const auto& [id, session] : sessions_) session->Kill();
    if (sessions_.empty()) Finish();
  });
}

// Nobody waits for anything any more.
void EventLoop::Finish() {
  work_.reset();
  reads_.reset();
}

void EventLoop::ScheduleSweep() {
  sweep_timer_.expires_after(std::chrono::seconds(1));
  sweep_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || stopping_) return;
    Sweep();
    ScheduleSweep();
  });
}

void EventLoop::Sweep() {
  ++seconds_;
  uint64_t memory = 0;
  uint64_t input_max = 0;
  uint64_t output_max = 0;
  for (const auto& [id, session] : sessions_) {
    session->Sweep();
    memory += session->held_bytes();
    input_max = std::max<uint64_t>(input_max, session->input_bytes());
    output_max = std::max<uint64_t>(output_max, session->output_bytes());
  }
  const auto change = static_cast<int64_t>(memory - client_memory_);
  if (change != 0) services_.engine.AddForeignBytes(change);
  client_memory_ = memory;
  figures_.client_memory.Set(memory);
  figures_.input_bytes_max.Set(input_max);
  figures_.output_bytes_max.Set(output_max);
}

}  // namespace varve::server
