// What compaction gives back, when, and what it costs others.
#include <catch2/catch.hpp>
#include <string>

#include "engine/support/engine_driver.h"

namespace varve::engine::testing {
namespace {

std::string KeyOf(int i) { return "key" + std::to_string(i); }
std::string ValueOf(int i) { return std::to_string(i) + std::string(100, 'v'); }

void PutAll(EngineDriver& driver, int count) {
  for (int i = 0; i < count; ++i) REQUIRE(driver.Put(0, KeyOf(i), ValueOf(i)));
}

uint64_t BytesAbove(const Stats& stats, size_t level) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < level; ++i) bytes += stats.levels[i].bytes;
  return bytes;
}

void Compact(SimulatedEnv& machine, EngineDriver& driver) {
  driver.engine().Compact();
  machine.scheduler.AdvanceUs(1'000'000);
  REQUIRE(driver.engine().stats().compactions_running == 0);
}

TEST_CASE("space: COMPACT brings everything to the last level", "[engine]") {
  SimulatedEnv machine;
  EngineDriver driver(machine, TinyOptions());
  PutAll(driver, 500);
  PutAll(driver, 500);
  for (int i = 0; i < 250; ++i) REQUIRE(driver.Delete(0, KeyOf(i)));
  Compact(machine, driver);
  const Stats stats = driver.engine().stats();
  const size_t last = stats.levels.size() - 1;
  CHECK(BytesAbove(stats, last) == 0);
  CHECK(stats.levels[last].tables > 0);
  CHECK(stats.memtable_bytes == 0);
  CHECK(driver.KeyCount(0) == 250);
  CHECK(driver.Contents(0).size() == 250);
  CHECK(driver.Get(0, KeyOf(300)) == ValueOf(300));

  // No hidden row is left: the same rows in a new database take as much.
  SimulatedEnv other;
  EngineDriver fresh(other, TinyOptions());
  for (int i = 250; i < 500; ++i) REQUIRE(fresh.Put(0, KeyOf(i), ValueOf(i)));
  Compact(other, fresh);
  CHECK(static_cast<double>(stats.table_bytes) <
        1.3 * static_cast<double>(fresh.engine().stats().table_bytes));
}

TEST_CASE("space: what deleted rows took comes back by itself when nobody writes", "[engine]") {
  SimulatedEnv machine;
  EngineDriver driver(machine, TinyOptions());
  PutAll(driver, 2000);
  machine.scheduler.AdvanceUs(60'000'000);
  const uint64_t before = driver.engine().stats().table_bytes;
  for (int i = 0; i < 1800; ++i) REQUIRE(driver.Delete(0, KeyOf(i)));
  machine.scheduler.AdvanceUs(60'000'000);
  CHECK(static_cast<double>(driver.engine().stats().table_bytes) <
        0.1 * 1.3 * static_cast<double>(before));
  CHECK(driver.KeyCount(0) == 200);
  CHECK(driver.Contents(0).size() == 200);
  // And then there is peace: no timer goes on for nothing.
  const uint64_t compactions = driver.engine().stats().compactions;
  machine.scheduler.AdvanceUs(60'000'000);
  CHECK(driver.engine().stats().compactions == compactions);
}

TEST_CASE("space: garbage is bounded while there are writes too", "[engine]") {
  SimulatedEnv machine;
  EngineDriver driver(machine, TinyOptions());
  PutAll(driver, 2000);
  Compact(machine, driver);
  const auto live = static_cast<double>(driver.engine().stats().table_bytes);
  for (int round = 0; round < 10; ++round) {
    PutAll(driver, 2000);
    machine.scheduler.RunReady();
    CHECK(static_cast<double>(driver.engine().stats().table_bytes) < 1.45 * live);
  }
}

TEST_CASE("space: background-io-limit is kept to", "[engine]") {
  constexpr uint64_t kBytesPerSecond = 100'000;
  SimulatedEnv machine;
  Options options = TinyOptions();
  EngineDriver driver(machine, options);
  PutAll(driver, 2000);
  Compact(machine, driver);
  PutAll(driver, 2000);
  REQUIRE(driver.engine().Close().has_value());

  SimulatedEnv second(0, machine.disk().CrashClone(1));
  options.background_io_limit = kBytesPerSecond;
  EngineDriver slow(second, options);
  slow.engine().Compact();
  uint64_t elapsed_us = 0;
  do {
    second.scheduler.AdvanceUs(10'000);
    elapsed_us += 10'000;
    REQUIRE(elapsed_us < 100'000'000);
  } while (BytesAbove(slow.engine().stats(), slow.engine().stats().levels.size() - 1) > 0);
  const Stats stats = slow.engine().stats();
  const uint64_t moved = stats.compaction_bytes_read + stats.compaction_bytes_written;
  CHECK(moved > kBytesPerSecond / 10);
  CHECK(elapsed_us > moved * 1'000'000 / kBytesPerSecond * 6 / 10);  // indexes are not counted
  CHECK(slow.KeyCount(0) == 2000);
}

TEST_CASE("key sets: whether a cold key exists takes no read, once blind writes ask for it",
          "[engine]") {
  Options options = TinyOptions();
  options.memory_bytes_max = 1 << 20;
  SimulatedEnv machine;
  {
    EngineDriver driver(machine, options);
    PutAll(driver, 3000);
    for (int i = 0; i < 100; ++i) REQUIRE(driver.Delete(0, KeyOf(i)));
    Compact(machine, driver);
  }
  EngineDriver driver(machine, options);  // nothing is in memory
  const auto is_there = [&](int i) {
    Presence presence = Presence::kAbsent;
    REQUIRE(driver.Run([&](Guard& guard) { presence = guard.Contains(0, KeyOf(i)); }));
    return presence == Presence::kPresent;
  };
  CHECK(is_there(2999));
  CHECK(driver.engine().stats().loads > 0);
  for (int i = 0; i < 1100; ++i) REQUIRE(driver.Put(0, KeyOf(i), "new"));
  machine.scheduler.AdvanceUs(1'000'000);
  CHECK(driver.KeyCount(0) == 3000);

  const Stats before = driver.engine().stats();
  for (int i = 1500; i < 1600; ++i) CHECK(is_there(i));
  for (int i = 3500; i < 3600; ++i) CHECK_FALSE(is_there(i));
  for (int i = 1600; i < 1700; ++i) CHECK(driver.Delete(0, KeyOf(i)));
  for (int i = 3600; i < 3700; ++i) CHECK_FALSE(driver.Delete(0, KeyOf(i)));
  for (int i = 1700; i < 1800; ++i) REQUIRE(driver.Put(0, KeyOf(i), "newer"));
  const Stats after = driver.engine().stats();
  CHECK(after.loads == before.loads);
  CHECK(after.settling_loads == before.settling_loads);
  CHECK(driver.KeyCount(0) == 2900);
  CHECK(driver.ScanAll(0, 100).size() == 2900);
}

}  // namespace
}  // namespace varve::engine::testing
