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

#include "engine/posix_thread.h"

namespace varve::engine {

namespace asio = boost::asio;

struct BackgroundScheduler::State {
  asio::io_context context;
  asio::strand<asio::io_context::executor_type> strand{context.get_executor()};
  asio::executor_work_guard<asio::io_context::executor_type> guard{context.get_executor()};
  std::thread thread;
};

BackgroundScheduler::BackgroundScheduler() : state_(std::make_unique<State>()) {
  state_->thread = StartThread("varve-bg", [state = state_.get()] { state->context.run(); });
}

BackgroundScheduler::~BackgroundScheduler() {
  state_->context.stop();
  state_->thread.join();
}

void BackgroundScheduler::Post(Work work) { asio::post(state_->strand, std::move(work)); }

void BackgroundScheduler::PostAfter(uint64_t delay_us, Work work) {
  auto timer = std::make_unique<asio::steady_timer>(state_->context);
  timer->expires_after(std::chrono::microseconds(delay_us));
  asio::steady_timer& waiting = *timer;
  // The handler owns its timer; an error can only mean that the context is being destroyed.
  waiting.async_wait(asio::bind_executor(
      state_->strand, [timer = std::move(timer), work = std::move(work)](auto error) {
        if (!error) work();
      }));
}

}  // namespace varve::engine
