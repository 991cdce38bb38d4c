#include "engine/background_scheduler.h"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <chrono>
#include <thread>
#include <utility>
#include <vector>

#include "engine/posix_thread.h"

namespace varve::engine {

namespace asio = boost::asio;

namespace {

// Work on one of Asio's executors: the context's own, or a strand of it.
template <typename AsioExecutor>
class ContextExecutor final : public Executor {
 public:
  explicit ContextExecutor(AsioExecutor executor) : executor_(std::move(executor)) {}

  void Post(Work work) override { asio::post(executor_, std::move(work)); }

  void PostAfter(uint64_t delay_us, Work work) override {
    auto timer = std::make_unique<asio::steady_timer>(executor_);
    timer->expires_after(std::chrono::microseconds(delay_us));
    asio::steady_timer& waiting = *timer;
    // The handler owns its timer; an error can only mean that the context is being destroyed.
    waiting.async_wait(asio::bind_executor(
        executor_, [timer = std::move(timer), work = std::move(work)](auto error) {
          if (!error) work();
        }));
  }

 private:
  const AsioExecutor executor_;
};

}  // namespace

struct BackgroundScheduler::State {
  using ContextKind = asio::io_context::executor_type;
  asio::io_context context;
  ContextExecutor<asio::strand<ContextKind>> strand{asio::make_strand(context)};
  ContextExecutor<ContextKind> workers{context.get_executor()};
  asio::executor_work_guard<ContextKind> guard{context.get_executor()};
  std::vector<std::thread> threads;

  ~State() {
    context.stop();
    for (std::thread& thread : threads) thread.join();
  }
};

BackgroundScheduler::BackgroundScheduler(size_t threads) : state_(std::make_unique<State>()) {
  while (state_->threads.size() < threads) {
    state_->threads.push_back(
        StartThread("varve-bg", [state = state_.get()] { state->context.run(); }));
  }
}

BackgroundScheduler::~BackgroundScheduler() = default;

Executor* BackgroundScheduler::strand() { return &state_->strand; }
Executor* BackgroundScheduler::workers() { return &state_->workers; }

}  // namespace varve::engine
