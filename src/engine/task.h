#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

#include "engine/env.h"
#include "engine/invariant.h"

// Coroutines for background work: a flush or a compaction reads as one function from top to bottom,
// and gives way to others at each `co_await Yield{executor}`.
namespace varve::engine {

// A lazily started coroutine that returns a T. `co_await task` runs it to its end.
// Owns:    the frame; destroying a suspended task destroys what it was doing, with all locals.
// Threads: whichever thread resumes it; one at a time.
template <typename T>
class [[nodiscard]] Task {
 public:
  struct promise_type {
    std::optional<T> value;
    std::coroutine_handle<> continuation = std::noop_coroutine();

    Task get_return_object() {
      return Task(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    struct Resumer {
      bool await_ready() noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> self) noexcept {
        return self.promise().continuation;
      }
      void await_resume() noexcept {}
    };
    Resumer final_suspend() noexcept { return {}; }
    template <typename U>
    void return_value(U&& result) {
      value.emplace(std::forward<U>(result));
    }
    void unhandled_exception() { std::terminate(); }
  };

  Task() = default;
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      Destroy();
      handle_ = std::exchange(other.handle_, nullptr);
    }
    return *this;
  }
  ~Task() { Destroy(); }

  // Runs the task on the calling thread until it first suspends. For the outermost task only.
  void Start() { handle_.resume(); }
  bool done() const { return handle_ == nullptr || handle_.done(); }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
    handle_.promise().continuation = awaiting;
    return handle_;
  }
  T await_resume() {
    INVARIANT(handle_.promise().value.has_value());
    return *std::move(handle_.promise().value);
  }

 private:
  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  void Destroy() {
    if (handle_) handle_.destroy();
    handle_ = nullptr;
  }

  std::coroutine_handle<promise_type> handle_;
};

// `co_await Yield{executor}`: goes on later, behind what else waits on the executor;
// `co_await Yield{executor, us}`: not before so many microseconds have passed.
struct Yield {
  Executor& executor;
  uint64_t delay_us = 0;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> self) const {
    if (delay_us == 0) {
      executor.Post([self] { self.resume(); });
    } else {
      executor.PostAfter(delay_us, [self] { self.resume(); });
    }
  }
  void await_resume() const noexcept {}
};

}  // namespace varve::engine
