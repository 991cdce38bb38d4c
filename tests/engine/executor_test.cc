// What env.h promises of executors, by the threaded ones.
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "engine/background_scheduler.h"
#include "engine/thread_executor.h"

namespace varve::engine {
namespace {

using std::chrono::steady_clock;

// The serial executor of one kind or the other, with the threads that it needs.
class Serial {
 public:
  explicit Serial(int kind) {
    if (kind == 0) {
      scheduler_ = std::make_unique<BackgroundScheduler>(3);
    } else {
      thread_ = std::make_unique<ThreadExecutor>("test", 1);
    }
  }
  Executor* get() const { return thread_ ? thread_.get() : scheduler_->strand(); }
  Executor* operator->() const { return get(); }
  void reset() {
    scheduler_.reset();
    thread_.reset();
  }

 private:
  std::unique_ptr<BackgroundScheduler> scheduler_;
  std::unique_ptr<ThreadExecutor> thread_;
};

TEST_CASE("Executor: a serial one runs work in order, from many threads", "[engine][env]") {
  const Serial executor(GENERATE(0, 1));
  constexpr int kPosts = 2000;
  std::vector<std::vector<int>> seen(4);  // by poster; no lock: the executor is serial
  std::atomic<int> inside = 0;
  std::atomic<bool> overlapped = false;
  std::promise<void> all;
  int done = 0;
  std::vector<std::thread> posters;
  for (size_t poster = 0; poster < seen.size(); ++poster) {
    posters.emplace_back([&, poster] {
      for (int i = 0; i < kPosts; ++i) {
        executor->Post([&, poster, i] {
          if (inside++ != 0) overlapped = true;
          seen[poster].push_back(i);
          --inside;
          if (++done == 4 * kPosts) all.set_value();
        });
      }
    });
  }
  for (std::thread& poster : posters) poster.join();
  all.get_future().get();
  CHECK_FALSE(overlapped);
  for (const auto& order : seen) {
    REQUIRE(order.size() == kPosts);
    CHECK(std::is_sorted(order.begin(), order.end()));
  }
}

TEST_CASE("Executor: PostAfter waits its time, the earlier first", "[engine][env]") {
  const Serial executor(GENERATE(0, 1));
  const auto start = steady_clock::now();
  std::vector<int> order;
  std::promise<void> all;
  executor->PostAfter(30'000, [&] {
    order.push_back(30);
    all.set_value();
  });
  executor->PostAfter(10'000, [&] { order.push_back(10); });
  executor->PostAfter(0, [&] { order.push_back(0); });
  all.get_future().get();
  CHECK(steady_clock::now() - start >= std::chrono::milliseconds(30));
  CHECK(order == std::vector<int>{0, 10, 30});
}

TEST_CASE("Executor: its end waits for running work and drops the rest", "[engine][env]") {
  Serial executor(GENERATE(0, 1));
  std::promise<void> started;
  std::promise<void> go_on;
  std::atomic<bool> finished = false;
  std::atomic<bool> ran_later = false;
  const auto held = std::make_shared<int>(1);
  Executor* const posted_to = executor.get();
  executor->Post([&] {
    started.set_value();
    go_on.get_future().get();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    posted_to->Post([&, held] { ran_later = true; });
    finished = true;
  });
  executor->PostAfter(3'600'000'000, [&, held] { ran_later = true; });
  started.get_future().get();
  std::thread releaser([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    go_on.set_value();
  });
  executor.reset();
  releaser.join();
  CHECK(finished);
  CHECK_FALSE(ran_later);
  CHECK(held.use_count() == 1);  // dropped work is destroyed
}

TEST_CASE("BackgroundScheduler: workers run side by side, and beside the strand", "[engine][env]") {
  BackgroundScheduler scheduler(3);
  std::atomic<int> inside = 0;
  std::promise<void> all_inside;
  std::promise<void> release;
  const std::shared_future<void> released = release.get_future().share();
  const auto work = [&, released] {
    if (++inside == 3) all_inside.set_value();
    released.wait();
  };
  scheduler.workers()->Post(work);
  scheduler.workers()->Post(work);
  scheduler.strand()->Post(work);
  all_inside.get_future().get();  // three at once, or this never returns
  release.set_value();
}

TEST_CASE("ThreadExecutor: threads come as work piles up, and run it side by side",
          "[engine][env]") {
  ThreadExecutor executor("test", 4);
  CHECK(executor.thread_count() == 1);
  std::atomic<int> inside = 0;
  std::promise<void> all_inside;
  std::promise<void> release;
  const std::shared_future<void> released = release.get_future().share();
  std::atomic<int> done = 0;
  for (int i = 0; i < 10; ++i) {
    executor.Post([&] {
      if (++inside == 4) all_inside.set_value();
      released.wait();
      ++done;
    });
  }
  all_inside.get_future().get();  // four at once, or this never returns
  CHECK(executor.thread_count() == 4);
  release.set_value();
  while (done < 10) std::this_thread::yield();
  CHECK(executor.thread_count() == 4);
}

TEST_CASE("ThreadExecutor: a timer fires while all that waited for it are at work",
          "[engine][env]") {
  ThreadExecutor executor("test", 2);
  for (int round = 0; round < 50; ++round) {
    std::promise<void> fired;
    std::promise<void> release;
    executor.PostAfter(1000, [&] { fired.set_value(); });
    executor.Post([waiting = release.get_future().share()] { waiting.wait(); });
    CHECK(fired.get_future().wait_for(std::chrono::seconds(10)) == std::future_status::ready);
    release.set_value();
  }
}

TEST_CASE("Executor: signals are left to the threads that wait for them", "[engine][env]") {
  const Serial executor(GENERATE(0, 1));
  std::promise<bool> blocked;
  executor->Post([&] {
    sigset_t set;
    pthread_sigmask(SIG_SETMASK, nullptr, &set);
    blocked.set_value(sigismember(&set, SIGTERM) == 1);
  });
  CHECK(blocked.get_future().get());
  sigset_t mine;
  pthread_sigmask(SIG_SETMASK, nullptr, &mine);
  CHECK(sigismember(&mine, SIGTERM) == 0);
}

}  // namespace
}  // namespace varve::engine
