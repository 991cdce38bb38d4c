#include "engine/posix_env.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/support/temporary_directory.h"

namespace varve::engine {
namespace {

using testing::TemporaryDirectory;

Result<void> WriteOne(WritableFile& file, uint64_t offset, std::string_view piece) {
  return file.WriteAt(offset, {&piece, 1});
}

TEST_CASE("PosixFileSystem: pieces, more than one call takes, land in order", "[engine][env]") {
  const TemporaryDirectory directory;
  PosixFileSystem files;
  const size_t count = GENERATE(1, 2, 63, 64, 65, 129, 3000);
  CAPTURE(count);
  std::vector<std::string> texts;
  std::string expected(5, '\0');
  for (size_t i = 0; i < count; ++i) {
    texts.push_back(i % 7 == 0 ? "" : std::to_string(i * i));  // empty ones among them
    expected += texts.back();
  }
  const std::vector<std::string_view> pieces(texts.begin(), texts.end());
  const std::string path = directory / "f";
  auto file = *files.Create(path);
  REQUIRE(file->WriteAt(5, pieces));
  REQUIRE(file->Sync());
  if (count == 1) expected.clear();  // a single empty piece leaves the file as it was
  CHECK(*files.ReadWhole(path) == expected);
  CHECK(*files.FileSize(path) == expected.size());
}

TEST_CASE("PosixFileSystem: reads are whole or say where the file ended", "[engine][env]") {
  const TemporaryDirectory directory;
  PosixFileSystem files;
  const std::string path = directory / "f";
  REQUIRE(WriteOne(**files.Create(path), 0, "0123456789"));
  const auto file = *files.OpenForRead(path);
  CHECK(file->size() == 10);
  std::array<char, 4> bytes;
  REQUIRE(file->ReadAt(6, bytes));
  CHECK(std::string_view(bytes.data(), 4) == "6789");
  file->WillNeed(0, 10);
  file->DontNeed(0, 10);
  const auto result = file->ReadAt(7, bytes);
  REQUIRE_FALSE(result);
  CHECK(result.error().code == Errc::kCorruption);
  CHECK(result.error().context == path + ": the file ends at 10, within the read at 7+4");
}

TEST_CASE("PosixFileSystem: opening keeps or truncates", "[engine][env]") {
  const TemporaryDirectory directory;
  PosixFileSystem files;
  const std::string path = directory / "f";
  CHECK(files.OpenForWrite(path).error().code == Errc::kNotFound);
  REQUIRE(WriteOne(**files.Create(path), 0, "0123456789"));
  auto kept = *files.OpenForWrite(path);
  REQUIRE(WriteOne(*kept, 2, "xx"));
  kept->StartWriteback(0, 10);
  CHECK(*files.ReadWhole(path) == "01xx456789");
  REQUIRE(kept->Allocate(5));
  CHECK(*files.FileSize(path) == 10);  // never shrinks
  REQUIRE(kept->Allocate(100'000));
  CHECK(*files.ReadWhole(path) == "01xx456789" + std::string(99'990, '\0'));
  REQUIRE(files.Create(path));
  CHECK(*files.FileSize(path) == 0);
}

TEST_CASE("PosixFileSystem: a full disk is told apart", "[engine][env]") {
  PosixFileSystem files;
  auto full = files.OpenForWrite("/dev/full");
  if (!full) return;  // a sandbox without it
  const auto result = WriteOne(**full, 0, "x");
  REQUIRE_FALSE(result);
  CHECK(result.error().code == Errc::kNoSpace);
  CHECK(result.error().context.find("pwritev /dev/full at 0+1") == 0);
}

TEST_CASE("PosixFileSystem: names", "[engine][env]") {
  const TemporaryDirectory directory;
  PosixFileSystem files;
  REQUIRE(files.CreateDirectories(directory / "a/b//c/"));
  REQUIRE(files.CreateDirectories(directory / "a/b"));
  CHECK(*files.Exists(directory / "a/b/c"));
  REQUIRE(files.Create(directory / "a/one"));
  REQUIRE(WriteOne(**files.Create(directory / "a/two"), 0, "2"));
  REQUIRE(files.Rename(directory / "a/two", directory / "a/one"));
  REQUIRE(files.SyncDirectory(directory / "a"));
  CHECK(*files.ReadWhole(directory / "a/one") == "2");
  auto names = *files.List(directory / "a");
  std::sort(names.begin(), names.end());
  CHECK(names == std::vector<std::string>{"b", "one"});
  REQUIRE(files.Remove(directory / "a/one"));
  CHECK_FALSE(*files.Exists(directory / "a/one"));
  CHECK_FALSE(*files.Exists(directory / "a/one/under"));

  CHECK(files.Remove(directory / "a/one").error().code == Errc::kNotFound);
  CHECK(files.List(directory / "none").error().code == Errc::kNotFound);
  CHECK(files.ReadWhole(directory / "none").error().context.find(directory / "none") !=
        std::string::npos);
  REQUIRE(files.Create(directory / "file"));
  CHECK_FALSE(files.CreateDirectories(directory / "file/x"));
  CHECK_FALSE(files.CreateDirectories(directory / "file"));
  CHECK(files.Space(directory.path())->free_bytes > 0);
}

TEST_CASE("PosixFileSystem: a directory has one holder, of this process or another",
          "[engine][env]") {
  const TemporaryDirectory directory;
  PosixFileSystem files;
  const std::string path = directory / "LOCK";
  auto lock = *files.Lock(path);
  const auto second = files.Lock(path);
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Errc::kInvalidArgument);
  CHECK(second.error().context == "the directory " + directory.path() + " is in use by process " +
                                      std::to_string(::getpid()) + " (lock file " + path + ")");
  const pid_t child = ::fork();
  if (child == 0) ::_exit(PosixFileSystem().Lock(path).has_value() ? 1 : 0);
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  lock.reset();
  CHECK(files.Lock(path));
}

TEST_CASE("PosixEnv: clock and randomness", "[engine][env]") {
  const PosixEnv posix(2);
  const Env& env = posix.env();
  const uint64_t start = env.clock->MonotonicUs();
  env.clock->SleepUs(2000);
  CHECK(env.clock->MonotonicUs() - start >= 2000);
  CHECK(env.clock->UnixMs() > 1'700'000'000'000);
  std::array<char, 192> a{};
  std::array<char, 192> b{};
  env.random->Fill(a);
  env.random->Fill(b);
  CHECK(a != b);
}

}  // namespace
}  // namespace varve::engine
