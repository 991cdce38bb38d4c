#include "engine/table_builder.h"

#include <catch2/catch.hpp>
#include <random>

#include "engine/support/fault_file_system.h"
#include "engine/support/mem_file_system.h"
#include "engine/support/table_fixture.h"

namespace varve::engine {
namespace {

using testing::BuildTable;
using testing::FileCall;
using testing::OwnedRow;
using testing::RandomRows;
using testing::TestSecret;

struct Disk {
  Disk() { REQUIRE(memory.CreateDirectories("db")); }
  testing::MemFileSystem memory;
  testing::FaultPlan plan;
  testing::FaultFileSystem files{&memory, &plan};
};

TEST_CASE("table builder: a table that was finished survives a crash", "[engine][table][crash]") {
  const auto rows = RandomRows(3000, 1);
  Disk disk;
  const auto info = BuildTable(&disk.files, "db", 5, rows);
  REQUIRE(info);
  CHECK(disk.memory.IsSynced("db/table-5.sst"));
  REQUIRE(disk.files.SyncDirectory("db"));
  const auto after = disk.memory.CrashClone(0);
  auto table = Table::Open(after.get(), "db", *info);
  REQUIRE(table);
  TableCursor cursor(*table, &TestSecret(), 0, false);
  cursor.Seek(0);
  CHECK(testing::Rest(cursor) == rows);
}

TEST_CASE("table builder: any call may fail, and no file is left", "[engine][table][fault]") {
  const auto rows = RandomRows(20'000, 2);  // several writes
  for (uint64_t n = 1;; ++n) {
    CAPTURE(n);
    Disk disk;
    disk.plan.Fail({.nth = n,
                    .calls = {FileCall::kCreate, FileCall::kWriteAt, FileCall::kSync,
                              FileCall::kOpenForRead, FileCall::kReadAt}});
    const auto info = BuildTable(&disk.files, "db", 5, rows);
    if (!disk.plan.failed()) {
      REQUIRE(info);
      CHECK(n > 8);
      break;
    }
    REQUIRE_FALSE(info);
    CHECK(info.error().code == Errc::kIo);
    CHECK(info.error().system_error == EIO);
    CHECK(info.error().context.find("db/table-5.sst") != std::string::npos);
    CHECK(disk.memory.List("db")->empty());
  }
}

TEST_CASE("table builder: the first error is final", "[engine][table][fault]") {
  const auto rows = RandomRows(20'000, 2);
  Disk disk;
  auto builder = TableBuilder::Create(&disk.files, "db", 5, {}, {});
  REQUIRE(builder);
  disk.plan.Fail({.system_error = ENOSPC});
  size_t failed = 0;
  for (const OwnedRow& row : rows) {
    const auto added = (*builder)->Add(row.view());
    CHECK((failed == 0 || !added));
    if (added) continue;
    CHECK(added.error().code == Errc::kNoSpace);
    ++failed;
  }
  CHECK(failed > 0);
  CHECK_FALSE((*builder)->Finish(TestSecret()));
  builder->reset();
  CHECK(disk.memory.List("db")->empty());
}

TEST_CASE("table builder: one that is dropped leaves no file", "[engine][table]") {
  Disk disk;
  {
    auto builder = TableBuilder::Create(&disk.files, "db", 5, {}, {});
    REQUIRE(builder);
    for (const OwnedRow& row : RandomRows(100, 1)) REQUIRE((*builder)->Add(row.view()));
    CHECK(*disk.files.Exists("db/table-5.sst"));
    CHECK((*builder)->row_count() > 90);
    CHECK((*builder)->file_bytes() < 100'000);
  }
  CHECK_FALSE(*disk.files.Exists("db/table-5.sst"));
}

TEST_CASE("table builder: what the disk changed is found by reading back", "[engine][table]") {
  const auto rows = RandomRows(2000, 3);
  Disk reference;
  const auto info = BuildTable(&reference.files, "db", 5, rows);
  REQUIRE(info);
  for (uint64_t offset = 0; offset < info->file_bytes; offset += 1 + info->file_bytes / 200) {
    CAPTURE(offset);
    Disk disk;
    bool damaged = false;
    disk.plan.SetObserver([&](FileCall call, const std::string& path) {
      if (call != FileCall::kOpenForRead) return;  // it is written and synced by now
      damaged = true;
      disk.memory.Corrupt(path, offset);
    });
    const auto built = BuildTable(&disk.files, "db", 5, rows);
    REQUIRE(damaged);
    REQUIRE_FALSE(built);
    CHECK(built.error().code == Errc::kCorruption);
    CHECK(disk.memory.List("db")->empty());
  }
}

TEST_CASE("table builder: reading back finds rows that are whole but others", "[engine][table]") {
  // A table of the same number and shape with one byte of a value changed: all its checksums hold.
  std::mt19937_64 random(4);
  std::string noise(1000, '\0');  // stored plain, so that the size stays the same
  for (char& byte : noise) byte = static_cast<char>(random());
  std::vector<OwnedRow> rows = testing::InTableOrder(
      {{0, "a", noise, false}, {0, "b", {noise.rbegin(), noise.rend()}, false}});
  Disk other;
  REQUIRE(BuildTable(&other.files, "db", 5, rows));
  const std::string intact = *other.files.ReadWhole("db/table-5.sst");
  rows[1].value[500] ^= 1;
  Disk disk;
  disk.plan.SetObserver([&](FileCall call, const std::string& path) {
    if (call == FileCall::kOpenForRead) disk.memory.Write(path, intact);
  });
  const auto built = BuildTable(&disk.files, "db", 5, rows);
  REQUIRE_FALSE(built);
  CHECK(built.error().code == Errc::kCorruption);
  CHECK(built.error().context.find("read back: not the 2 rows") != std::string::npos);
}

}  // namespace
}  // namespace varve::engine
