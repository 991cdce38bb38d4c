#include "engine/posix_block_reader.h"

#include <liburing.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <future>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "engine/posix_thread.h"

namespace varve::engine {
namespace {

// Reads that the kernel has at once. The disks that we know are at their fastest with fewer.
constexpr unsigned kDepth = 256;
// What came back is worked on a few at a time: meanwhile the kernel gets the next reads.
constexpr unsigned kReapedAtOnce = 8;

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
    if (file.descriptor() < 0) return done(file.ReadAt(offset, out));
    waiting_.push_back(new Request{file, offset, out, 0, std::move(done)});
  }

 private:
  struct Request {
    const RandomAccessFile& file;
    const uint64_t offset;
    const std::span<char> out;
    size_t done_bytes;
    std::function<void(Result<void>)> done;
  };

  bool Start() {
    wake_ = ::eventfd(0, EFD_CLOEXEC);
    if (wake_ < 0) return false;
    // The kernel finishes reads when this thread comes to fetch them, instead of interrupting it.
    // Not all kernels know this.
    io_uring_params parameters{};
    parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    if (io_uring_queue_init_params(kDepth, &ring_, &parameters) == 0) return true;
    return io_uring_queue_init(kDepth, &ring_, 0) == 0;
  }

  void Run(std::promise<bool>& started) {
    const bool works = Start();
    started.set_value(works);
    if (!works) return;
    ArmWake();
    while (!stopping_ || in_flight_ > 0) {
      RunPosted();
      Submit();
      Reap();
    }
    for (Request* request : waiting_) delete request;
    io_uring_queue_exit(&ring_);
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

  // Sleeps until a read has come, unless there is more to do.
  void Submit() {
    while (!waiting_.empty() && in_flight_ < kDepth - 1 && !stopping_) {
      Prepare(waiting_.front());
      waiting_.pop_front();
      ++in_flight_;
    }
    bool sleep = false;
    {
      const std::lock_guard lock(mutex_);
      sleep = sleeping_ =
          posted_.empty() && !(stopping_ && in_flight_ == 0) && io_uring_cq_ready(&ring_) == 0;
    }
    if (sleep) {
      io_uring_submit_and_wait(&ring_, 1);
    } else {
      io_uring_submit_and_get_events(&ring_);
    }
  }

  void Prepare(Request* request) {
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    if (entry == nullptr) {
      io_uring_submit(&ring_);
      entry = io_uring_get_sqe(&ring_);
    }
    const std::span<char> rest = request->out.subspan(request->done_bytes);
    io_uring_prep_read(entry, request->file.descriptor(), rest.data(),
                       static_cast<unsigned>(std::min<size_t>(rest.size(), 1u << 30)),
                       request->offset + request->done_bytes);
    io_uring_sqe_set_data(entry, request);
  }

  void ArmWake() {
    io_uring_sqe* const entry = io_uring_get_sqe(&ring_);
    io_uring_prep_read(entry, wake_, &wakes_, sizeof wakes_, 0);
    io_uring_sqe_set_data(entry, nullptr);
  }

  void Reap() {
    unsigned head = 0;
    unsigned count = 0;
    io_uring_cqe* entry = nullptr;
    io_uring_for_each_cqe(&ring_, head, entry) {
      if (count == kReapedAtOnce) break;
      ++count;
      auto* request = static_cast<Request*>(io_uring_cqe_get_data(entry));
      completed_.emplace_back(request, entry->res);
    }
    io_uring_cq_advance(&ring_, count);
    for (const auto& [request, result] : completed_) {
      if (request == nullptr) {
        ArmWake();
      } else {
        Complete(request, result);
      }
    }
    completed_.clear();
  }

  void Complete(Request* request, int result) {
    if (result == -EINTR || result == -EAGAIN) return Prepare(request);
    if (result > 0) {
      request->done_bytes += static_cast<size_t>(result);
      if (request->done_bytes < request->out.size()) return Prepare(request);
    }
    --in_flight_;
    const std::unique_ptr<Request> finished(request);
    if (stopping_) return;
    if (result > 0) return request->done({});
    // The error in full: what ReadAt() meets there.
    request->done(request->file.ReadAt(request->offset, request->out));
  }

  std::thread thread_;
  bool works_ = false;
  int wake_ = -1;

  std::mutex mutex_;
  std::vector<Work> posted_;  // guarded by mutex_
  bool sleeping_ = false;     // likewise: the next Post() has to wake the thread

  // The thread's own.
  io_uring ring_{};
  std::vector<Work> running_;
  std::deque<Request*> waiting_;  // for their turn
  std::vector<std::pair<Request*, int>> completed_;
  size_t in_flight_ = 0;
  uint64_t wakes_ = 0;
  bool stopping_ = false;
};

}  // namespace

std::unique_ptr<BlockReader> NewUringBlockReader() {
  auto reader = std::make_unique<UringBlockReader>();
  if (!reader->works()) return nullptr;
  return reader;
}

}  // namespace varve::engine
