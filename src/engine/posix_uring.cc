#include "engine/posix_uring.h"

#include <liburing.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <utility>
#include <vector>

namespace varve::engine {
namespace {

// Reads that the kernel has at once. The disks that we know are at their fastest with fewer.
constexpr unsigned kDepth = 256;
constexpr unsigned kReapedAtOnce = 8;

class LinuxUring final : public Uring {
 public:
  ~LinuxUring() override {
    for (Request* request : waiting_) delete request;
    if (is_open_) io_uring_queue_exit(&ring_);
  }

  bool Open(Use use) {
    use_ = use;
    // The kernel finishes reads when this thread calls it, instead of interrupting it: when it asks
    // for them, or, since nothing would wake an event loop, at any call. Not all kernels know this.
    io_uring_params parameters{};
    parameters.flags = IORING_SETUP_SINGLE_ISSUER;
    parameters.flags |= use == Use::kThread ? IORING_SETUP_DEFER_TASKRUN
                                            : IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
    is_open_ = io_uring_queue_init_params(kDepth, &ring_, &parameters) == 0 ||
               io_uring_queue_init(kDepth, &ring_, 0) == 0;
    return is_open_;
  }

  void Read(const RandomAccessFile& file, uint64_t offset, std::span<char> out,
            Done done) override {
    if (file.descriptor() < 0) return done(file.ReadAt(offset, out));
    waiting_.push_back(new Request{file, offset, out, 0, std::move(done)});
  }

  void WakeBy(int eventfd) override {
    wake_ = eventfd;
    ArmWake();
  }

  void Submit(bool wait) override {
    while (!waiting_.empty() && in_flight_ < kDepth - 1) {
      Prepare(waiting_.front());
      waiting_.pop_front();
      ++in_flight_;
    }
    if (wait) {
      io_uring_submit_and_wait(&ring_, 1);
    } else if (use_ == Use::kThread) {
      io_uring_submit_and_get_events(&ring_);
    } else {
      io_uring_submit(&ring_);
    }
  }

  void Reap() override {
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

  bool has_completed() const override { return io_uring_cq_ready(&ring_) > 0; }
  bool idle() const override { return in_flight_ == 0 && waiting_.empty(); }
  int descriptor() const override { return ring_.ring_fd; }

 private:
  struct Request {
    const RandomAccessFile& file;
    const uint64_t offset;
    const std::span<char> out;
    size_t done_bytes;
    const Done done;
  };

  void Prepare(Request* request) {
    io_uring_sqe* entry = NextEntry();
    const std::span<char> rest = request->out.subspan(request->done_bytes);
    io_uring_prep_read(entry, request->file.descriptor(), rest.data(),
                       static_cast<unsigned>(std::min<size_t>(rest.size(), 1u << 30)),
                       request->offset + request->done_bytes);
    io_uring_sqe_set_data(entry, request);
  }

  void ArmWake() {
    io_uring_sqe* entry = NextEntry();
    io_uring_prep_read(entry, wake_, &wakes_, sizeof wakes_, 0);
    io_uring_sqe_set_data(entry, nullptr);
  }

  io_uring_sqe* NextEntry() {
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    if (entry != nullptr) return entry;
    io_uring_submit(&ring_);
    return io_uring_get_sqe(&ring_);
  }

  void Complete(Request* request, int result) {
    if (result == -EINTR || result == -EAGAIN) return Prepare(request);
    if (result > 0) {
      request->done_bytes += static_cast<size_t>(result);
      if (request->done_bytes < request->out.size()) return Prepare(request);
    }
    --in_flight_;
    const std::unique_ptr<Request> finished(request);
    if (result > 0) return request->done({});
    // The error in full: what ReadAt() meets there.
    request->done(request->file.ReadAt(request->offset, request->out));
  }

  io_uring ring_{};
  bool is_open_ = false;
  Use use_ = Use::kThread;
  std::deque<Request*> waiting_;  // for their turn
  std::vector<std::pair<Request*, int>> completed_;
  size_t in_flight_ = 0;
  int wake_ = -1;
  uint64_t wakes_ = 0;
};

}  // namespace

std::unique_ptr<Uring> Uring::New(Use use) {
  auto uring = std::make_unique<LinuxUring>();
  if (!uring->Open(use)) return nullptr;
  return uring;
}

}  // namespace varve::engine
