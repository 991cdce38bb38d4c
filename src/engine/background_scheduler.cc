#include "engine/background_scheduler.h"

#include <pthread.h>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <chrono>
#include <csignal>
#include <thread>
#include <utility>

namespace varve::engine {

namespace asio = boost::asio;

struct BackgroundScheduler::State {
  asio::io_context context;
  asio::strand<asio::io_context::executor_type> strand{context.get_executor()};
  asio::executor_work_guard<asio::io_context::executor_type> guard{context.get_executor()};
  std::thread thread;
};

BackgroundScheduler::BackgroundScheduler() : state_(std::make_unique<State>()) {
  // A signal for the process must find the thread that waits for it.
  sigset_t all;
  sigset_t previous;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &previous);
  state_->thread = std::thread([state = state_.get()] { state->context.run(); });
  pthread_sigmask(SIG_SETMASK, &previous, nullptr);
  pthread_setname_np(state_->thread.native_handle(), "varve-bg");
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
