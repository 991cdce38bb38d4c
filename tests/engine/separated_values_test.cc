// Values in files of their own, as the whole engine keeps them.
#include <catch2/catch.hpp>
#include <map>
#include <random>

#include "engine/support/engine_driver.h"

namespace varve::engine::testing {
namespace {

constexpr int kKeys = 400;

std::string Key(uint64_t i) { return "key" + std::to_string(i); }

// A value that does not compress, so that bytes of records are bytes of values.
std::string Value(std::mt19937_64& random) {
  std::string value(300, '\0');
  for (char& byte : value) byte = static_cast<char>(random());
  return value;
}

Options SmallOptions(size_t value_threshold_bytes) {
  Options options = TinyOptions();
  options.write_buffer_bytes = 32 * 1024;
  options.value_threshold_bytes = value_threshold_bytes;
  return options;
}

// All that was written comes to be in tables, merged and collected as far as idle time does it.
void Settle(SimulatedEnv& machine) {
  for (int i = 0; i < 40; ++i) {
    machine.scheduler.AdvanceUs(1'000'000);
    machine.scheduler.RunReady();
  }
}

size_t FilesWith(SimulatedEnv& machine, const std::string& suffix) {
  const auto names = machine.disk().List("db");
  return static_cast<size_t>(std::count_if(
      names->begin(), names->end(), [&](const auto& name) { return name.ends_with(suffix); }));
}

TEST_CASE("separated values: a cold GET is one read, of the value's record", "[engine][values]") {
  SimulatedEnv machine(1);
  std::mt19937_64 random(1);
  std::map<std::string, std::string> model;
  {
    EngineDriver driver(machine, SmallOptions(100));
    for (int i = 0; i < kKeys; ++i) {
      model[Key(i)] = i % 4 == 0 ? "small" : Value(random);
      REQUIRE(driver.Put(0, Key(i), model[Key(i)]));
    }
    REQUIRE(driver.Run([](Guard& guard) { guard.Put(1, "other", {"database", nullptr}); }));
    Settle(machine);
  }
  EngineDriver driver(machine, SmallOptions(100));
  machine.scheduler.RunReady();
  const Stats before = driver.engine().stats();
  REQUIRE(before.value_live_bytes > 0);
  uint64_t loads = 0;
  for (const auto& [key, value] : model) {
    CHECK(driver.Get(0, key) == value);
    ++loads;
  }
  const Stats after = driver.engine().stats();
  // A few are in memory still, from the log. Of the filters' wrong answers there may be some.
  CHECK(after.loads - before.loads > loads / 2);
  CHECK(after.load_blocks_read - before.load_blocks_read <= (after.loads - before.loads) * 21 / 20);
}

TEST_CASE("separated values: what overwrites and deletes leave is bounded", "[engine][values]") {
  for (const uint64_t seed : {1, 2, 3}) {
    CAPTURE(seed);
    SimulatedEnv machine(seed);
    std::mt19937_64 random(seed);
    std::map<std::string, std::string> model;
    EngineDriver driver(machine, SmallOptions(100));
    double worst = 0;
    for (int i = 0; i < 20 * kKeys; ++i) {
      const std::string key = Key(random() % kKeys);
      model[key] = Value(random);
      REQUIRE(driver.Put(0, key, model[key]));
      machine.scheduler.RunReady();
      if (i < 4 * kKeys) continue;
      const Stats stats = driver.engine().stats();
      // Beside memtables, whose rows hide what is in files: two of a hundred rows at most.
      worst = std::max(worst, static_cast<double>(stats.value_file_bytes) / (kKeys * 300));
    }
    CHECK(worst < 1.7);  // a flush is a quarter of the whole here
    CHECK(worst > 1);
    CHECK(driver.engine().stats().value_collections > 0);
    Settle(machine);
    CHECK(driver.engine().stats().value_file_bytes < kKeys * 300 * 1.3);
    CHECK(driver.Contents(0) == model);

    // Nine tenths go, and their space with them.
    for (int i = 0; i < kKeys; ++i) {
      if (i % 10 != 0) driver.Delete(0, Key(i));
    }
    Settle(machine);
    CHECK(driver.engine().stats().value_file_bytes < kKeys * 30 * 1.3);
    for (int i = 0; i < kKeys; i += 10) CHECK(driver.Get(0, Key(i)) == model[Key(i)]);
  }
}

TEST_CASE("separated values: FLUSHDB removes their files", "[engine][values]") {
  SimulatedEnv machine(1);
  std::mt19937_64 random(1);
  EngineDriver driver(machine, SmallOptions(100));
  for (int i = 0; i < kKeys; ++i) REQUIRE(driver.Put(0, Key(i), Value(random)));
  machine.scheduler.RunReady();
  REQUIRE(FilesWith(machine, ".val") > 0);
  driver.Clear(0);
  REQUIRE(driver.engine().WriteLog(driver.log_end()));
  Settle(machine);
  CHECK(FilesWith(machine, ".val") == 0);
  CHECK(FilesWith(machine, ".sst") == 0);
}

TEST_CASE("separated values: files that no manifest names go at the start", "[engine][values]") {
  SimulatedEnv machine(1);
  std::mt19937_64 random(1);
  {
    EngineDriver driver(machine, SmallOptions(100));
    for (int i = 0; i < kKeys; ++i) REQUIRE(driver.Put(0, Key(i), Value(random)));
    machine.scheduler.RunReady();
  }
  const size_t files = FilesWith(machine, ".val");
  machine.disk().Write("db/values-999999.val", "left behind");
  EngineDriver driver(machine, SmallOptions(100));
  REQUIRE(driver.is_open());
  CHECK(FilesWith(machine, ".val") == files);
}

TEST_CASE("separated values: the threshold may change, and be taken away", "[engine][values]") {
  SimulatedEnv machine(1);
  std::mt19937_64 random(1);
  std::map<std::string, std::string> model;
  uint64_t live_bytes = 0;
  for (const size_t threshold : {100, 0, 1, 301, 0}) {
    CAPTURE(threshold);
    EngineDriver driver(machine, SmallOptions(threshold));
    REQUIRE(driver.is_open());
    CHECK(driver.Contents(0) == model);
    for (int i = 0; i < kKeys; ++i) {
      const std::string key = Key(random() % kKeys);
      model[key] = Value(random);
      REQUIRE(driver.Put(0, key, model[key]));
    }
    Settle(machine);
    CHECK(driver.Contents(0) == model);
    const uint64_t before = std::exchange(live_bytes, driver.engine().stats().value_live_bytes);
    CHECK((live_bytes > before) == (threshold == 100 || threshold == 1));
  }
}

TEST_CASE("separated values: damage of a record is an error of its row, and names the file",
          "[engine][values]") {
  SimulatedEnv machine(1);
  std::mt19937_64 random(1);
  std::map<std::string, std::string> model;
  {
    EngineDriver driver(machine, SmallOptions(100));
    for (int i = 0; i < kKeys; ++i) {
      model[Key(i)] = Value(random);
      REQUIRE(driver.Put(0, Key(i), model[Key(i)]));
    }
    Settle(machine);
  }
  const auto names = machine.disk().List("db");
  for (const std::string& name : *names) {
    if (name.ends_with(".val")) machine.disk().Corrupt("db/" + name, 20);
  }
  EngineDriver driver(machine, SmallOptions(100));
  size_t failed = 0;
  for (const auto& [key, value] : model) {
    std::optional<std::string> got;
    if (driver.Run([&](Guard& guard) {
          const Lookup found = guard.Get(0, key);
          got.reset();
          if (found.presence == Presence::kPresent) got = std::string(found.value.bytes);
        })) {
      CHECK(got == value);
      continue;
    }
    ++failed;
    CHECK(driver.error().code == Errc::kCorruption);
    CHECK(driver.error().context.find(".val: block at 0") != std::string::npos);
  }
  CHECK(failed > 0);
  CHECK(failed <= FilesWith(machine, ".val"));
  CHECK(driver.KeyCount(0) == kKeys);  // which needs no values
}

}  // namespace
}  // namespace varve::engine::testing
