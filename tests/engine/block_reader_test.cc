#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "engine/invariant.h"
#include "engine/posix_block_reader.h"
#include "engine/posix_file_system.h"
#include "engine/support/temporary_directory.h"
#include "engine/thread_executor.h"

namespace varve::engine {
namespace {

constexpr uint64_t kFileBytes = 1 << 20;

char ByteAt(uint64_t offset) { return static_cast<char>(offset * 2654435761 >> 13); }

// A thread with an event loop of its own, and the reader of that loop.
class ReaderOnLoop : public BlockReader {
 public:
  ReaderOnLoop() : thread_([this] { Run(); }) {
    while (!started_) std::this_thread::yield();
  }
  ~ReaderOnLoop() override {
    PostToLoop([this] { stopping_ = true; });
    thread_.join();
    ::close(wake_);
  }
  bool works() const { return reader_ != nullptr; }
  void Post(Work work) override { reader_->Post(std::move(work)); }
  void Read(const RandomAccessFile& file, uint64_t offset, std::span<char> out,
            std::function<void(Result<void>)> done) override {
    reader_->Read(file, offset, out, std::move(done));
  }

 private:
  void PostToLoop(Work work) {
    {
      const std::lock_guard lock(mutex_);
      posted_.push_back(std::move(work));
    }
    const uint64_t one = 1;
    INVARIANT(::write(wake_, &one, sizeof one) == sizeof one);
  }

  void Run() {
    reader_ = LoopBlockReader::New([this](Work work) { PostToLoop(std::move(work)); });
    started_ = true;
    while (!stopping_) {
      const int blocks = reader_ != nullptr ? reader_->descriptor() : -1;
      std::array<pollfd, 2> ready{{{wake_, POLLIN, 0}, {blocks, POLLIN, 0}}};
      INVARIANT(::poll(ready.data(), ready.size(), -1) >= 0);
      if (ready[1].revents != 0) reader_->TakeIn();
      if (ready[0].revents == 0) continue;
      uint64_t wakes = 0;
      INVARIANT(::read(wake_, &wakes, sizeof wakes) == sizeof wakes);
      std::vector<Work> works;
      {
        const std::lock_guard lock(mutex_);
        works.swap(posted_);
      }
      RunAll(works);
    }
    reader_.reset();
  }

  const int wake_ = ::eventfd(0, EFD_CLOEXEC);
  std::mutex mutex_;
  std::vector<Work> posted_;
  std::unique_ptr<LoopBlockReader> reader_;
  std::atomic<bool> started_{false};
  bool stopping_ = false;  // the loop's
  std::thread thread_;     // the last to come
};

enum class Kind : uint8_t { kPool, kUring, kLoop };

std::unique_ptr<BlockReader> NewReader(Kind kind, Executor& threads) {
  if (kind == Kind::kPool) return std::make_unique<PoolBlockReader>(&threads);
  if (kind == Kind::kUring) return NewUringBlockReader();
  auto reader = std::make_unique<ReaderOnLoop>();
  if (!reader->works()) return nullptr;
  return reader;
}

// A reader, a file of known bytes, and who counts what has come back.
struct Fixture {
  explicit Fixture(Kind kind) : reader(NewReader(kind, threads)) {
    std::string bytes(kFileBytes, '\0');
    for (uint64_t i = 0; i < kFileBytes; ++i) bytes[i] = ByteAt(i);
    const std::string_view piece = bytes;
    const std::string path = directory / "file";
    auto created = files.Create(path);
    REQUIRE(created);
    REQUIRE((*created)->WriteAt(0, {&piece, 1}));
    auto opened = files.OpenForRead(path);
    REQUIRE(opened);
    file = std::move(*opened);
  }

  void WaitFor(uint64_t count) const {
    while (came_back < count) std::this_thread::yield();
  }

  testing::TemporaryDirectory directory;
  PosixFileSystem files;
  ThreadExecutor threads{"reads", 4};
  std::unique_ptr<RandomAccessFile> file;
  std::atomic<uint64_t> came_back{0};
  std::atomic<uint64_t> wrong{0};
  std::unique_ptr<BlockReader> reader;  // the first to go
};

bool HasReader(const Fixture& fixture) {
  if (fixture.reader != nullptr) return true;
  WARN("no io_uring here");
  return false;
}

TEST_CASE("BlockReader: many reads at once, from many threads", "[engine][block_reader]") {
  Fixture fixture(GENERATE(Kind::kPool, Kind::kUring, Kind::kLoop));
  if (!HasReader(fixture)) return;
  constexpr uint64_t kThreads = 4;
  constexpr uint64_t kPosts = 500;
  constexpr uint64_t kReadsPerPost = 3;
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&fixture, t] {
      std::mt19937_64 random(t);
      for (uint64_t i = 0; i < kPosts; ++i) {
        fixture.reader->Post([&fixture, seed = random()] {
          std::mt19937_64 places(seed);
          for (uint64_t read = 0; read < kReadsPerPost; ++read) {
            const uint64_t size = 1 + places() % 10'000;
            const uint64_t offset = places() % (kFileBytes - size);
            auto out = std::make_shared<std::string>(size, '\0');
            fixture.reader->Read(*fixture.file, offset, *out,
                                 [&fixture, out, offset](const Result<void>& result) {
                                   bool right = result.has_value();
                                   for (size_t at = 0; at < out->size(); ++at) {
                                     right &= (*out)[at] == ByteAt(offset + at);
                                   }
                                   fixture.wrong += right ? 0 : 1;
                                   ++fixture.came_back;
                                 });
          }
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  fixture.WaitFor(kThreads * kPosts * kReadsPerPost);
  CHECK(fixture.wrong == 0);
}

TEST_CASE("BlockReader: one read may follow from another", "[engine][block_reader]") {
  Fixture fixture(GENERATE(Kind::kPool, Kind::kUring, Kind::kLoop));
  if (!HasReader(fixture)) return;
  std::string first(100, '\0');
  std::string second(200, '\0');
  fixture.reader->Post([&] {
    fixture.reader->Read(*fixture.file, 1000, first, [&](const Result<void>& one) {
      fixture.wrong += one ? 0 : 1;
      ++fixture.came_back;
      fixture.reader->Read(*fixture.file, 5000, second, [&](const Result<void>& two) {
        fixture.wrong += two ? 0 : 1;
        ++fixture.came_back;
      });
    });
  });
  fixture.WaitFor(2);
  CHECK(fixture.wrong == 0);
  CHECK(first[7] == ByteAt(1007));
  CHECK(second[199] == ByteAt(5199));
}

TEST_CASE("BlockReader: a file that ends too early is an error that names it",
          "[engine][block_reader]") {
  Fixture fixture(GENERATE(Kind::kPool, Kind::kUring, Kind::kLoop));
  if (!HasReader(fixture)) return;
  std::string out(100, '\0');
  Result<void> result;
  fixture.reader->Post([&] {
    fixture.reader->Read(*fixture.file, kFileBytes - 50, out, [&](Result<void> read) {
      result = std::move(read);
      ++fixture.came_back;
    });
  });
  fixture.WaitFor(1);
  REQUIRE_FALSE(result);
  CHECK(result.error().code == Errc::kCorruption);
  CHECK(result.error().context.find("/file") != std::string::npos);
}

}  // namespace
}  // namespace varve::engine
