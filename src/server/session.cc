#include "server/session.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <array>
#include <boost/asio/post.hpp>
#include <ctime>
#include <utility>

namespace varve::server {
namespace {

using Mark = resp::ReplyBuffer::Mark;

// A client that was told why it is disconnected has this long to read it.
constexpr uint64_t kDrainSecondsMax = 2;

// Good enough for "idle for n seconds", and several times cheaper than the exact time.
uint64_t CoarseUnixUs() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

uint64_t Relaxed(const std::atomic<uint64_t>& value) {
  return value.load(std::memory_order_relaxed);
}

}  // namespace

Session::Session(EventLoop& loop, Connection connection) : loop_(loop), socket_(loop.context()) {
  client_.id = connection.id;
  client_.address = std::move(connection.address);
  client_.local_address = std::move(connection.local_address);
  client_.fd = connection.fd;
  client_.unix_socket = connection.unix_socket;
  client_.loopback = connection.loopback;
  client_.created_us = CoarseUnixUs();
  client_.last_used_us = client_.created_us;
  active_second_ = loop.seconds();
  const int family = connection.unix_socket ? AF_UNIX : AF_INET;  // v4 or v6: Asio does not care
  boost::system::error_code error;
  socket_.assign(asio::generic::stream_protocol(family, 0), connection.fd, error);
  if (!error) socket_.non_blocking(true, error);
  if (error) {
    loop_.services().log.warn("Can't serve the connection of {}: {}", client_.address,
                              error.message());
    if (!socket_.is_open()) ::close(connection.fd);
    closing_ = true;
  }
  loop_.services().registry.Add(client_, loop_);
}

Session::~Session() {
  {
    // What a command keeps between its runs (progress, pinned rows) is guarded by the lock.
    engine::Guard guard(loop_.services().engine, transaction_);
    commands::Dispatcher::Abandon(client_);
    guard.Rollback();
  }
  loop_.services().registry.Remove(client_.id);
}

Awaitable<void> Session::Run() {
  while (!ending_ && !closing_) {
    state_ = State::kReading;
    if (quiet_) {
      const auto [error] = co_await socket_.async_wait(Socket::wait_read, kToken);
      if (error) break;
    }
    const std::span<char> room = parser_.Prepare();
    const auto [error, size] =
        co_await socket_.async_read_some(asio::buffer(room.data(), room.size()), kToken);
    if (error == asio::error::operation_aborted && !closing_) {  // by Sweep()
      FreeBuffers();
      continue;
    }
    if (error || !Received(size)) break;
    bool wrote = false;
    while (ParseBatch()) {
      state_ = State::kBusy;
      do {
        const Step step = RunBatch();
        if (step == Step::kWait) {
          co_await Park();
        } else if (step == Step::kYield) {
          co_await RunContinuation();
        } else {
          wrote |= first_write_.has_value();
          if (first_write_ || !replies_.empty()) {
            awaits_log_ = NeedsCommit();
            loop_.commits().Join(*this, awaits_log_ ? log_end_ : 0);
            co_await Park();
          }
          if (!TrySend()) co_await SendRest();
        }
      } while (next_command_ < command_ends_.size() && !closing_);
    }
    // The engine slows writers down smoothly: this one reads its next commands later.
    if (const uint64_t delay = wrote ? loop_.services().engine.write_delay_us() : 0; delay > 0) {
      co_await Pause(delay);
    }
  }
  if (ending_ && !closing_) co_await Drain();
}

// ---- reading

bool Session::Received(size_t size) {
  parser_.Commit(size);
  quiet_ = false;
  active_second_ = loop_.seconds();
  loop_.counters().reads.Add(1);
  loop_.counters().input_bytes.Add(size);
  if (parser_.unparsed_bytes() > Relaxed(loop_.services().limits.query_bytes_max)) {
    loop_.services().log.warn(
        "Closing client that reached max query buffer length: id={} addr={} qbuf={}", client_.id,
        client_.address, parser_.unparsed_bytes());
    return false;
  }
  return true;
}

// Takes the next complete commands from the buffer. False if there are none, and nothing to say.
bool Session::ParseBatch() {
  arguments_.clear();
  command_ends_.clear();
  next_command_ = 0;
  parser_.Release();
  if (ending_ || closing_) return false;
  parser_.set_bulk_bytes_max(Relaxed(loop_.services().limits.bulk_bytes_max));
  while (command_ends_.size() < kBatchCommandsMax) {
    const resp::Parsed parsed = parser_.Next(arguments_);
    if (parsed == resp::Parsed::kCommand) {
      command_ends_.push_back(static_cast<uint32_t>(arguments_.size()));
      continue;
    }
    if (parsed == resp::Parsed::kIncomplete) return !command_ends_.empty();
    protocol_error_ = parser_.error();
    return true;
  }
  return true;
}

// ---- running

// One hold of the command lock. No suspension in here: the guard must not outlive it.
Session::Step Session::RunBatch() {
  if (next_command_ < command_ends_.size()) {
    const size_t first = next_command_;
    engine::Guard guard(loop_.services().engine, transaction_);
    ShowInClientList();
    const Step step = RunCommands(guard);
    log_end_ = guard.log_end();
    loop_.counters().commands.Add(next_command_ - first);
    if (step != Step::kSend) return step;
    if (client_.close_after_reply) {
      ending_ = true;
      next_command_ = command_ends_.size();
      return Step::kSend;
    }
  }
  if (!protocol_error_.empty() && next_command_ == command_ends_.size()) {
    replies_.Error(protocol_error_);
    ending_ = true;
  }
  return Step::kSend;
}

Session::Step Session::RunCommands(engine::Guard& guard) {
  Warm(guard);
  engine::Lsn log_end = guard.log_end();
  while (next_command_ < command_ends_.size() && !client_.close_after_reply) {
    const Mark mark = replies_.mark();
    const commands::Run run =
        loop_.services().dispatcher.Execute(guard, client_, ArgumentsOf(next_command_), replies_);
    if (run == commands::Run::kWait) {
      StartWait(guard);
      return Step::kWait;
    }
    if (run == commands::Run::kYield) return Step::kYield;
    ++next_command_;
    if (const engine::Lsn end = guard.log_end(); end != log_end) {
      log_end = end;
      if (!first_write_) first_write_ = mark;
    }
    if (replies_.size() >= kBatchReplyBytesMax) break;
  }
  return Step::kSend;
}

std::span<const resp::Argument> Session::ArgumentsOf(size_t command) const {
  const size_t begin = command == 0 ? 0 : command_ends_[command - 1];
  return std::span(arguments_).subspan(begin, command_ends_[command] - begin);
}

// Starts fetching what the batch's lookups will touch. Only a hint, so the first argument passes
// for the key without a look into the command table.
void Session::Warm(engine::Guard& guard) {
  std::array<std::string_view, engine::kWarmKeysMax> keys;
  size_t count = 0;
  for (size_t i = next_command_; i < command_ends_.size() && count < keys.size(); ++i) {
    const std::span<const resp::Argument> arguments = ArgumentsOf(i);
    if (arguments.size() > 1) keys[count++] = arguments[1].bytes;
  }
  if (count > 1) guard.Warm(client_.db, std::span(keys).first(count));
}

void Session::ShowInClientList() {
  client_.last_used_us = CoarseUnixUs();
  client_.query_bytes = parser_.unparsed_bytes();
  client_.query_free_bytes = parser_.free_bytes();
  client_.argument_bytes = arguments_.capacity() * sizeof(resp::Argument);
  client_.output_bytes = replies_.size();
  client_.memory_bytes = held_bytes();
}

// Loads what the faulting command needs, and along with it what the rest of the pipeline will.
void Session::StartWait(engine::Guard& guard) {
  for (size_t i = next_command_ + 1; i < command_ends_.size(); ++i) {
    commands::Dispatcher::ForEachKey(
        ArgumentsOf(i), [&](std::string_view key) { guard.Prefetch(client_.db, key); });
  }
  // The session stays: it is parked until this has been called.
  guard.Wait([this] { asio::post(loop_.context(), [this] { Unpark(); }); }, loop_.reader());
}

Awaitable<void> Session::RunContinuation() {
  commands::Continuation& continuation = client_.continuation;
  if (const auto work = std::exchange(continuation.off_lock, nullptr)) work();
  if (const uint64_t pause_us = std::exchange(continuation.pause_us, 0); pause_us > 0) {
    co_await Pause(pause_us);
  } else {
    co_await asio::post(loop_.context(), UseAwaitable());  // the others' turn
  }
}

// ---- committing

// Whether the replies depend on what the log may not hold yet.
bool Session::NeedsCommit() const {
  if (loop_.services().engine.sync_mode() != engine::SyncMode::kAlways) {
    return first_write_.has_value();
  }
  // What was read may be somebody's write that a power loss could still take back.
  return !loop_.commits().IsDurable(log_end_);
}

void Session::OnCommitted(const engine::Result<void>& outcome) {
  if (!outcome && awaits_log_) {
    // None of the replies from the first write on is true, and those that follow on this
    // connection could not be told from them: say so once, and end it.
    replies_.TruncateTo(first_write_.value_or(Mark{}));
    replies_.Error("MISCONF Errors writing to the log: " + outcome.error().context);
    ending_ = true;
    next_command_ = command_ends_.size();
  }
  Unpark();
}

// ---- sending

// Sends what the kernel takes at once. False if something is left.
bool Session::TrySend() {
  first_write_.reset();
  sent_bytes_ = 0;
  const size_t size = replies_.size();
  if (size > 0 && !closing_ && !ExceedsOutputLimit(size)) {
    std::vector<std::string_view>& pieces = loop_.pieces();
    pieces.clear();
    replies_.AppendPieces(pieces);
    boost::system::error_code error;
    if (pieces.size() == 1) {  // the common case: send(2) is cheaper than sendmsg(2)
      sent_bytes_ = socket_.write_some(asio::buffer(pieces[0].data(), size), error);
    } else {
      std::vector<asio::const_buffer>& buffers = loop_.buffers();
      buffers.clear();
      for (const std::string_view piece : pieces) buffers.emplace_back(piece.data(), piece.size());
      sent_bytes_ = socket_.write_some(buffers, error);
    }
    if (error && error != asio::error::would_block) closing_ = true;
    loop_.counters().writes.Add(1);
    loop_.counters().output_bytes.Add(sent_bytes_);
    if (sent_bytes_ < size && !closing_) return false;
  }
  replies_.Clear();
  return true;
}

Awaitable<void> Session::SendRest() {
  state_ = State::kSending;
  std::vector<std::string_view> pieces;
  replies_.AppendPieces(pieces);
  std::vector<asio::const_buffer> buffers;
  for (const std::string_view piece : pieces) buffers.emplace_back(piece.data(), piece.size());
  size_t first = 0;
  size_t taken = sent_bytes_;
  for (;;) {
    while (first < buffers.size() && taken >= buffers[first].size()) {
      taken -= buffers[first++].size();
    }
    if (first == buffers.size()) break;
    buffers[first] += taken;
    const auto [error, size] = co_await socket_.async_write_some(
        std::vector(buffers.begin() + static_cast<ptrdiff_t>(first), buffers.end()), kToken);
    if (error || closing_) {
      closing_ = true;
      break;
    }
    taken = size;
    sent_bytes_ += size;
    active_second_ = loop_.seconds();
    loop_.counters().writes.Add(1);
    loop_.counters().output_bytes.Add(size);
  }
  over_soft_limit_since_ = 0;
  state_ = State::kBusy;
  replies_.Clear();
}

bool Session::ExceedsOutputLimit(size_t bytes) {
  const LiveLimits& limits = loop_.services().limits;
  const uint64_t hard = Relaxed(limits.output_hard_bytes);
  const uint64_t soft = Relaxed(limits.output_soft_bytes);
  bool exceeds = hard != 0 && bytes > hard;
  if (soft == 0 || bytes <= soft) {
    over_soft_limit_since_ = 0;
  } else if (over_soft_limit_since_ == 0) {
    over_soft_limit_since_ = loop_.seconds() + 1;
  } else {
    const uint64_t seconds = loop_.seconds() + 1 - over_soft_limit_since_;
    exceeds |= seconds > Relaxed(limits.output_soft_seconds);
  }
  if (!exceeds) return false;
  loop_.services().log.warn(
      "Client closed for overcoming of output buffer limits: id={} addr={} name={} omem={}",
      client_.id, client_.address, client_.name, bytes);
  loop_.counters().output_limit_disconnections.Add(1);
  Kill();
  return true;
}

// Half-closes the connection and reads until the peer has closed its half, too. Closing at once
// would reset a connection with unread input, and the peer would never see the last reply.
Awaitable<void> Session::Drain() {
  boost::system::error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
  state_ = State::kDraining;
  active_second_ = loop_.seconds();
  for (;;) {
    const auto [error, size] =
        co_await socket_.async_read_some(asio::buffer(loop_.discarded()), kToken);
    if (error || closing_) break;
  }
}

// ---- waiting and ending

// Suspends until Unpark(), which whoever has been given this session will call from the loop, and
// so not before the suspension.
Awaitable<void> Session::Park() {
  UseAwaitable token;
  return asio::async_initiate<UseAwaitable, void()>(
      [this](auto handler) { parked_.emplace(std::move(handler)); }, token);
}

void Session::Unpark() {
  auto handler = std::move(*parked_);
  parked_.reset();
  std::move(handler)();  // the session may be gone when this returns
}

Awaitable<void> Session::Pause(uint64_t delay_us) {
  if (closing_) co_return;
  timer_ = std::make_unique<Timer>(loop_.context());
  timer_->expires_after(std::chrono::microseconds(delay_us));
  co_await timer_->async_wait(kToken);
  timer_.reset();
}

void Session::Kill() {
  closing_ = true;
  boost::system::error_code ignored;
  socket_.cancel(ignored);
  if (timer_) timer_->cancel();
}

void Session::Sweep() {
  const uint64_t idle_seconds = loop_.seconds() - active_second_;
  const uint64_t idle_seconds_max = Relaxed(loop_.services().limits.idle_seconds_max);
  const bool waits_for_peer = state_ == State::kReading || state_ == State::kSending;
  if (state_ == State::kDraining && idle_seconds > kDrainSecondsMax) {
    Kill();
  } else if (waits_for_peer && idle_seconds_max != 0 && idle_seconds > idle_seconds_max) {
    loop_.services().log.debug("Closing idle client: id={} addr={}", client_.id, client_.address);
    Kill();
  } else if (state_ == State::kSending) {
    ExceedsOutputLimit(replies_.size() - sent_bytes_);
  } else if (state_ == State::kReading && !quiet_ && idle_seconds > 1) {
    boost::system::error_code ignored;
    socket_.cancel(ignored);  // Run() goes on without a buffer
  }
}

void Session::FreeBuffers() {
  quiet_ = true;
  parser_.FreeIfEmpty();
  replies_.Clear();
  arguments_ = {};
  command_ends_ = {};
}

size_t Session::held_bytes() const {
  return sizeof(Session) + parser_.held_bytes() + replies_.held_bytes() +
         arguments_.capacity() * sizeof(resp::Argument) +
         command_ends_.capacity() * sizeof(command_ends_[0]);
}

}  // namespace varve::server
