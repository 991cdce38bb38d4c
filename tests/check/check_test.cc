#include "check/check.h"

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "engine/support/engine_driver.h"
#include "engine/support/simulated_env.h"

using namespace varve;  // NOLINT(google-build-using-namespace)
using engine::testing::EngineDriver;
using engine::testing::MemFileSystem;
using engine::testing::SimulatedEnv;
using engine::testing::TinyOptions;

namespace {

constexpr int kKeys = 1500;
const std::string kDirectory = "db";

std::string KeyOf(int number) { return "key" + std::to_string(number); }

// The disk of a killed process: `count` keys, the older ones in tables, the newest in the log only,
// all of it synced.
std::unique_ptr<MemFileSystem> MakeDatabase(int count, size_t value_threshold_bytes = 0) {
  SimulatedEnv machine(1);
  std::unique_ptr<MemFileSystem> disk;
  {
    engine::Options options = TinyOptions();
    options.value_threshold_bytes = value_threshold_bytes;
    EngineDriver driver(machine, options);
    REQUIRE(driver.is_open());
    for (int i = 0; i < count; ++i) {
      REQUIRE(driver.Put(0, KeyOf(i), std::string(40, static_cast<char>('a' + i % 26))));
    }
    bool durable = false;
    driver.engine().WhenDurable(driver.log_end(), [&](const engine::Result<void>& result) {
      durable = result.has_value();
    });
    machine.scheduler.RunReady();
    REQUIRE(durable);
    disk = machine.disk().KillClone();
  }
  return disk;
}

std::vector<std::string> FilesWith(MemFileSystem& disk, const std::string& part) {
  std::vector<std::string> paths;
  const auto names = disk.List(kDirectory);
  for (const std::string& name : *names) {
    if (name.find(part) != std::string::npos) paths.push_back(kDirectory + "/" + name);
  }
  return paths;
}

std::string Everything(MemFileSystem& disk) {
  std::string all;
  for (const std::string& path : FilesWith(disk, "")) {
    if (path.ends_with("LOCK")) continue;
    all += path + "\n" + *disk.ReadWhole(path) + "\n";
  }
  return all;
}

struct Checked {
  check::Findings findings;
  std::string lines;
};

Checked Check(SimulatedEnv& machine) {
  Checked checked;
  const auto findings = check::CheckDatabase(machine.env(), kDirectory, [&](std::string_view line) {
    checked.lines += std::string(line) + "\n";
  });
  REQUIRE(findings.has_value());
  checked.findings = *findings;
  return checked;
}

}  // namespace

TEST_CASE("check: a whole database has no findings, and is left as it is", "[check]") {
  SimulatedEnv machine(2, MakeDatabase(kKeys));
  const std::string before = Everything(machine.disk());
  const Checked checked = Check(machine);
  INFO(checked.lines);
  CHECK(checked.findings.damaged == 0);
  CHECK(checked.findings.tables > 0);
  CHECK(checked.findings.rows > 0);
  CHECK(checked.findings.wal_records > 0);
  CHECK(Everything(machine.disk()) == before);
}

TEST_CASE("check: one flipped bit anywhere in a table is found and named", "[check]") {
  const auto disk = MakeDatabase(kKeys);
  const std::string table = FilesWith(*disk, ".sst").at(0);
  const uint64_t size = *disk->FileSize(table);
  for (uint64_t offset = 0; offset < size; offset += 1 + size / 40) {
    CAPTURE(table, offset, size);
    SimulatedEnv machine(2, disk->KillClone());
    machine.disk().Corrupt(table, offset);
    const Checked checked = Check(machine);
    CHECK(checked.findings.damaged == 1);
    CHECK(checked.lines.find(table) != std::string::npos);
  }
}

TEST_CASE("check: one flipped bit anywhere in a live value file is found and named", "[check]") {
  const auto disk = MakeDatabase(kKeys, 20);
  {
    SimulatedEnv machine(2, disk->KillClone());
    const Checked checked = Check(machine);
    INFO(checked.lines);
    CHECK(checked.findings.damaged == 0);
    CHECK(checked.findings.value_files > 0);
  }
  const std::string values = FilesWith(*disk, ".val").at(0);
  const uint64_t size = *disk->FileSize(values);
  for (uint64_t offset = 0; offset < size; offset += 1 + size / 40) {
    CAPTURE(values, offset, size);
    SimulatedEnv machine(2, disk->KillClone());
    machine.disk().Corrupt(values, offset);
    const Checked checked = Check(machine);
    CHECK(checked.findings.damaged == 1);
    CHECK(checked.lines.find(values) != std::string::npos);
  }
  SimulatedEnv machine(2, disk->KillClone());
  REQUIRE(machine.disk().Remove(values).has_value());
  CHECK(Check(machine).findings.damaged == 1);
}

TEST_CASE("check: a table that is missing is found, and so is a damaged manifest", "[check]") {
  const auto disk = MakeDatabase(kKeys);
  {
    SimulatedEnv machine(2, disk->KillClone());
    const std::string table = FilesWith(machine.disk(), ".sst").at(0);
    REQUIRE(machine.disk().Remove(table).has_value());
    const Checked checked = Check(machine);
    CHECK(checked.findings.damaged == 1);
    CHECK(checked.lines.find(table) != std::string::npos);
  }
  {
    SimulatedEnv machine(2, disk->KillClone());
    const std::string manifest = FilesWith(machine.disk(), "manifest-").at(0);
    machine.disk().Corrupt(manifest, 50);
    const Checked checked = Check(machine);
    CHECK(checked.findings.damaged == 1);
    CHECK(checked.lines.find(manifest) != std::string::npos);
  }
}

TEST_CASE("check: a directory without a database is refused", "[check]") {
  SimulatedEnv machine(2);
  REQUIRE(machine.disk().CreateDirectories(kDirectory).has_value());
  const auto findings = check::CheckDatabase(machine.env(), kDirectory, [](std::string_view) {});
  REQUIRE_FALSE(findings.has_value());
  CHECK(findings.error().code == engine::Errc::kInvalidArgument);
}

TEST_CASE("check: a cut log opens again with all that stood before the damage", "[check]") {
  const auto disk = MakeDatabase(kKeys);
  const std::string wal = [&] {  // the segment that the newest rows are in
    for (const std::string& path : FilesWith(*disk, "wal-")) {
      if (disk->ReadWhole(path)->find(KeyOf(kKeys - 1)) != std::string::npos) return path;
    }
    FAIL("no segment holds the last key");
    return std::string();
  }();
  const size_t last_key = disk->ReadWhole(wal)->find(KeyOf(kKeys - 1));
  for (const uint64_t offset : {uint64_t{3}, uint64_t{45}, uint64_t{70}, uint64_t{last_key}}) {
    CAPTURE(wal, offset);
    SimulatedEnv machine(2, disk->KillClone());
    machine.disk().Corrupt(wal, offset);
    {
      const EngineDriver refused(machine, TinyOptions());
      REQUIRE_FALSE(refused.is_open());
    }
    CHECK(Check(machine).findings.damaged == 1);
    REQUIRE(check::CutLog(machine.env(), kDirectory, [](std::string_view) {}).has_value());
    CHECK(Check(machine).findings.damaged == 0);
    CHECK_FALSE(FilesWith(machine.disk(), ".damaged").empty());

    EngineDriver driver(machine, TinyOptions());
    INFO(driver.error().context);
    REQUIRE(driver.is_open());
    const auto contents = driver.Contents(0);
    CHECK(driver.KeyCount(0) == contents.size());
    for (int i = 0; i < static_cast<int>(contents.size()); ++i) {  // the oldest ones, no gap
      CHECK(contents.count(KeyOf(i)) == 1);
    }
    CHECK(contents.count(KeyOf(kKeys - 1)) == 0);
    if (offset == last_key) CHECK(contents.size() == kKeys - 1);
  }
}

TEST_CASE("check: nothing is cut off a whole log", "[check]") {
  SimulatedEnv machine(2, MakeDatabase(kKeys));
  const std::string before = Everything(machine.disk());
  REQUIRE(check::CutLog(machine.env(), kDirectory, [](std::string_view) {}).has_value());
  CHECK(Everything(machine.disk()) == before);
}
