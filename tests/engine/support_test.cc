// The simulated machine itself: a fault in it would make every crash test built on it worthless.
#include <catch2/catch.hpp>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/support/simulated_env.h"

namespace varve::engine::testing {
namespace {

void WriteAt(WritableFile& file, uint64_t offset, std::string_view bytes) {
  REQUIRE(file.WriteAt(offset, {&bytes, 1}));
}

TEST_CASE("MemFileSystem: names and bytes", "[engine][support]") {
  MemFileSystem files;
  CHECK_FALSE(files.Create("d/a"));
  REQUIRE(files.CreateDirectories("d/e/"));
  auto file = *files.Create("d/a");
  WriteAt(*file, 3, "xyz");
  CHECK(*files.ReadWhole("d/a") == std::string("\0\0\0xyz", 6));
  CHECK(*files.FileSize("d/a") == 6);
  REQUIRE(files.Rename("d/a", "d/b"));
  CHECK_FALSE(*files.Exists("d/a"));
  CHECK(*files.Exists("d/e"));
  CHECK(*files.List("d/") == std::vector<std::string>{"b"});
  CHECK(files.Rename("d/a", "d/b").error().code == Errc::kNotFound);
  const auto reader = *files.OpenForRead("d/b");
  char bytes[3];
  REQUIRE(reader->ReadAt(3, bytes));
  CHECK(std::string_view(bytes, 3) == "xyz");
  CHECK(reader->ReadAt(4, bytes).error().code == Errc::kCorruption);
  REQUIRE(files.Remove("d/b"));
  CHECK(reader->ReadAt(3, bytes));  // as with a real file that is still open
  CHECK(files.OpenForRead("d/b").error().code == Errc::kNotFound);
}

TEST_CASE("MemFileSystem: a crash keeps what was synced, and only of the rest may it lose",
          "[engine][support][crash]") {
  MemFileSystem files;
  auto synced = *files.Create("synced");
  WriteAt(*synced, 0, std::string(20'000, 's'));
  REQUIRE(synced->Sync());
  REQUIRE(files.SyncDirectory("."));
  WriteAt(*synced, 0, std::string(4096, 'n'));  // page 0 again, unsynced
  auto unsynced = *files.Create("unsynced");
  WriteAt(*unsynced, 0, std::string(9000, 'u'));

  bool kept_page = false, lost_page = false, tore_page = false;
  std::set<uint64_t> sizes;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    const auto after = files.CrashClone(seed);
    const std::string bytes = *after->ReadWhole("synced");
    REQUIRE(bytes.size() == 20'000);
    CHECK(bytes.substr(4096) == std::string(20'000 - 4096, 's'));
    const size_t fresh = bytes.find_first_not_of('n');
    CHECK(bytes.find('n', fresh) == std::string::npos);
    (fresh == 4096 ? kept_page : fresh == 0 ? lost_page : tore_page) = true;
    sizes.insert(*after->Exists("unsynced") ? *after->FileSize("unsynced") + 1 : 0);
    CHECK(after->unsynced_name_changes() == 0);
  }
  CHECK((kept_page && lost_page && tore_page));
  CHECK(sizes.contains(0));     // the name was lost
  CHECK(sizes.contains(1));     // the name was kept, nothing else
  CHECK(sizes.contains(9001));  // all of it
  CHECK_FALSE(*files.CrashClone(0)->Exists("unsynced"));
  CHECK(*files.CrashClone(0)->ReadWhole("synced") == std::string(20'000, 's'));
  CHECK(files.ReadWhole("synced")->front() == 'n');  // the original goes on
}

TEST_CASE("MemFileSystem: names survive in the order of their changes",
          "[engine][support][crash]") {
  MemFileSystem files;
  files.Write("current", "old");
  auto file = *files.Create("new");
  WriteAt(*file, 0, "new");
  REQUIRE(file->Sync());
  REQUIRE(files.Rename("new", "current"));
  REQUIRE(files.Remove("current"));
  std::set<std::string> states;
  for (uint64_t seed = 1; seed < 100; ++seed) {
    const auto after = files.CrashClone(seed);
    std::string state;
    const auto names = *after->List(".");
    for (const std::string& name : names) {
      state += name + "=" + *after->ReadWhole(name) + " ";
    }
    states.insert(state);
  }
  CHECK(states ==
        std::set<std::string>{"", "current=old ", "current=new ", "current=old new=new "});
  REQUIRE(files.SyncDirectory("."));
  CHECK(files.CrashClone(7)->List(".")->empty());
  CHECK(files.unsynced_name_changes() == 0);
}

TEST_CASE("MemFileSystem: a kill loses nothing, a crash after it still may", "[engine][support]") {
  MemFileSystem files;
  auto file = *files.Create("a");
  WriteAt(*file, 0, "bytes");
  const auto killed = files.KillClone();
  WriteAt(*file, 0, "BYTES");
  CHECK(*killed->ReadWhole("a") == "bytes");
  CHECK_FALSE(killed->IsSynced("a"));
  CHECK_FALSE(*killed->CrashClone(0)->Exists("a"));
}

TEST_CASE("MemFileSystem: capacity, locks, damage", "[engine][support]") {
  MemFileSystem files;
  files.SetCapacity(100);
  auto file = *files.Create("a");
  CHECK(file->Allocate(101).error().code == Errc::kNoSpace);
  REQUIRE(file->Allocate(90));
  CHECK(files.Space(".")->free_bytes == 10);
  WriteAt(*file, 0, "inside");
  std::string_view eleven = "12345678901";
  CHECK(file->WriteAt(90, {&eleven, 1}).error().system_error == ENOSPC);

  auto lock = *files.Lock("LOCK");
  CHECK(files.Lock("LOCK").error().code == Errc::kInvalidArgument);
  lock.reset();
  CHECK(files.Lock("LOCK"));

  REQUIRE(files.SyncDirectory("."));
  files.Corrupt("a", 2);
  CHECK(files.ReadWhole("a")->substr(0, 6) != "inside");
  files.CutOff("a", 1);
  CHECK(*files.CrashClone(0)->FileSize("a") == 1);
}

TEST_CASE("FaultPlan: fails the calls that the rule names", "[engine][support][fault]") {
  SimulatedEnv machine;
  FileSystem& files = *machine.env().files;
  machine.faults.Fail({.nth = 2, .calls = {FileCall::kWriteAt}, .path_contains = "wal"});
  auto wal = *files.Create("wal-1");
  auto table = *files.Create("table-1");
  const std::string_view piece = "0123456789";
  CHECK(wal->WriteAt(0, {&piece, 1}));
  CHECK(table->WriteAt(0, {&piece, 1}));
  CHECK_FALSE(machine.faults.failed());
  const auto result = wal->WriteAt(10, {&piece, 1});
  REQUIRE_FALSE(result);
  CHECK(result.error().system_error == EIO);
  CHECK(result.error().context.find("wal-1") != std::string::npos);
  CHECK(*files.ReadWhole("wal-1") == "012345678901234");  // half of it arrived
  CHECK(wal->WriteAt(10, {&piece, 1}));
  CHECK(machine.faults.matching_calls() == 3);

  machine.faults.Fail({.nth = 1, .count = 100, .system_error = ENOSPC});
  CHECK(files.FileSize("wal-1").error().code == Errc::kNoSpace);
  CHECK(wal->Sync().error().code == Errc::kNoSpace);
  machine.faults.Clear();
  std::vector<std::string> seen;
  machine.faults.SetObserver([&](FileCall, const std::string& path) { seen.push_back(path); });
  CHECK(wal->Sync());
  CHECK(seen == std::vector<std::string>{"wal-1"});
}

std::string RunFive(uint64_t seed) {
  ManualScheduler scheduler(seed);
  Executor* serial = scheduler.serial_executor();
  Executor* parallel = scheduler.parallel_executor();
  std::string order;
  for (const char c : {'a', 'b', 'c'}) serial->Post([&order, c] { order += c; });
  for (const char c : {'X', 'Y'}) parallel->Post([&order, c] { order += c; });
  CHECK(scheduler.ready_count() == 5);
  CHECK(scheduler.RunReady() == 5);
  return order;
}

TEST_CASE("ManualScheduler: the seed decides the order, serial stays serial", "[engine][support]") {
  CHECK(RunFive(0) == "abcXY");
  std::set<std::string> orders;
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    const std::string order = RunFive(seed);
    CHECK(order == RunFive(seed));
    CHECK(order.find('a') < order.find('b'));
    CHECK(order.find('b') < order.find('c'));
    orders.insert(order);
  }
  CHECK(orders.size() > 10);  // of 20 possible ones
}

TEST_CASE("ManualScheduler: time stands still until it is moved", "[engine][support]") {
  ManualScheduler scheduler;
  Executor* executor = scheduler.serial_executor();
  const uint64_t start = scheduler.clock()->MonotonicUs();
  std::vector<uint64_t> fired;
  const auto note = [&] { fired.push_back(scheduler.clock()->MonotonicUs() - start); };
  executor->PostAfter(300, note);
  executor->PostAfter(100, [&] {
    note();
    executor->PostAfter(50, note);
  });
  CHECK_FALSE(scheduler.RunOne());
  scheduler.AdvanceUs(99);
  CHECK(fired.empty());
  scheduler.AdvanceUs(101);
  CHECK(fired == std::vector<uint64_t>{100, 150});
  CHECK(scheduler.clock()->MonotonicUs() - start == 200);
  CHECK(scheduler.RunUntil([&] { return fired.size() == 3; }));
  CHECK(fired.back() == 300);
  CHECK_FALSE(scheduler.RunUntil([] { return false; }));
}

TEST_CASE("ManualScheduler: who sleeps lets others work, but not its own strand",
          "[engine][support]") {
  ManualScheduler scheduler;
  Executor* strand = scheduler.serial_executor();
  Executor* other = scheduler.serial_executor();
  std::string order;
  strand->Post([&] {
    order += "a";
    scheduler.clock()->SleepUs(10);
    order += "b";
  });
  strand->Post([&] { order += "c"; });
  other->Post([&] { order += "X"; });
  scheduler.RunReady();
  CHECK(order == "aXbc");
  strand->Post([&] { order += "never"; });
  scheduler.Drop();
  CHECK(scheduler.RunReady() == 0);
}

}  // namespace
}  // namespace varve::engine::testing
