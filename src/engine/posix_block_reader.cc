#include "engine/posix_block_reader.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <future>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "engine/posix_thread.h"

namespace varve::engine {
namespace {

class UringBlockReader final : public BlockReader {
 public:
  UringBlockReader() {
    // The thread's own: set_value() may still be at work when its outcome is here.
    const auto started = std::make_shared<std::promise<bool>>();
    std::future<bool> works = started->get_future();
    thread_ = StartThread("varve-blocks", [this, started] { Run(*started); });
    works_ = works.get();
  }
  ~UringBlockReader() override {
    Post([this] { stopping_ = true; });
    thread_.join();
    if (wake_ >= 0) ::close(wake_);
  }
  UringBlockReader(const UringBlockReader&) = delete;
  UringBlockReader& operator=(const UringBlockReader&) = delete;

  bool works() const { return works_; }

  void Post(Work work) override {
    bool wake = false;
    {
      const std::lock_guard lock(mutex_);
      posted_.push_back(std::move(work));
      wake = std::exchange(sleeping_, false);
    }
    if (!wake) return;
    const uint64_t one = 1;
    (void)!::write(wake_, &one, sizeof one);
  }

  void Read(const RandomAccessFile& file, uint64_t offset, std::span<char> out,
            std::function<void(Result<void>)> done) override {
    uring_->Read(file, offset, out, std::move(done));
  }

 private:
  bool Start() {
    wake_ = ::eventfd(0, EFD_CLOEXEC);
    if (wake_ < 0) return false;
    uring_ = Uring::New(Uring::Use::kThread);
    if (uring_ == nullptr) return false;
    uring_->WakeBy(wake_);
    return true;
  }

  void Run(std::promise<bool>& started) {
    const bool works = Start();
    started.set_value(works);
    if (!works) return;
    while (!stopping_ || !uring_->idle()) {
      RunPosted();
      uring_->Submit(MaySleep());
      uring_->Reap();
    }
    uring_.reset();
  }

  void RunPosted() {
    {
      const std::lock_guard lock(mutex_);
      sleeping_ = false;
      running_.swap(posted_);
    }
    for (Work& work : running_) {
      work();
      work = nullptr;
    }
    running_.clear();
  }

  // From a yes on, Post() wakes the thread.
  bool MaySleep() {
    const std::lock_guard lock(mutex_);
    sleeping_ = posted_.empty() && !(stopping_ && uring_->idle()) && !uring_->has_completed();
    return sleeping_;
  }

  std::thread thread_;
  bool works_ = false;
  int wake_ = -1;

  std::mutex mutex_;
  std::vector<Work> posted_;  // guarded by mutex_
  bool sleeping_ = false;     // likewise

  // The thread's own.
  std::unique_ptr<Uring> uring_;
  std::vector<Work> running_;
  bool stopping_ = false;
};

}  // namespace

std::unique_ptr<BlockReader> NewUringBlockReader() {
  auto reader = std::make_unique<UringBlockReader>();
  if (!reader->works()) return nullptr;
  return reader;
}

std::unique_ptr<LoopBlockReader> LoopBlockReader::New(std::function<void(Work)> post) {
  std::unique_ptr<Uring> uring = Uring::New(Uring::Use::kEventLoop);
  if (uring == nullptr) return nullptr;
  return std::unique_ptr<LoopBlockReader>(new LoopBlockReader(std::move(post), std::move(uring)));
}

// Handed over behind what the loop has to do anyway: together with the reads of that.
void LoopBlockReader::Read(const RandomAccessFile& file, uint64_t offset, std::span<char> out,
                           std::function<void(Result<void>)> done) {
  uring_->Read(file, offset, out, std::move(done));
  if (std::exchange(submit_posted_, true)) return;
  post_([this] {
    submit_posted_ = false;
    uring_->Submit(false);
  });
}

// In this order: what came back incomplete is asked for again.
void LoopBlockReader::TakeIn() {
  uring_->Reap();
  uring_->Submit(false);
}

}  // namespace varve::engine
