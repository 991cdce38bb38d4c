// What engine.h promises, one property a case, on a simulated machine that runs step by step.
#include "engine/engine.h"

#include <catch2/catch.hpp>
#include <random>

#include "engine/support/engine_driver.h"

namespace varve::engine::testing {
namespace {

// A database whose rows are all in tables, and a row cache that holds none of them.
class ColdDatabase {
 public:
  explicit ColdDatabase(int rows = 300, uint64_t memory_bytes = 0) {
    Options options = TinyOptions();
    // Less than what the memtables may take: nothing is left for the row cache.
    options.memory_bytes_max = memory_bytes != 0 ? memory_bytes : 1;
    options.write_buffer_bytes = 64 * 1024;
    {
      EngineDriver driver(machine_, WithRoom(options));
      for (int i = 0; i < rows; ++i) REQUIRE(driver.Put(0, Key(i), Value(i)));
      Fill(driver);
    }
    driver_ = std::make_unique<EngineDriver>(machine_, options);
    REQUIRE(driver_->is_open());
    machine_.scheduler.RunReady();
  }

  static std::string Key(int i) { return "key" + std::to_string(i); }
  static std::string Value(int i) { return "value" + std::to_string(i); }
  SimulatedEnv& machine() { return machine_; }
  EngineDriver& driver() { return *driver_; }
  Engine& engine() { return driver_->engine(); }

 private:
  static Options WithRoom(Options options) {
    options.memory_bytes_max = 1 << 20;
    return options;
  }
  // Other rows, until those before them are in tables.
  void Fill(EngineDriver& driver) {
    const uint64_t before = driver.engine().stats().flushes;
    for (int i = 0; driver.engine().stats().flushes == before; ++i) {
      REQUIRE(driver.Put(1, "fill" + std::to_string(i), std::string(1000, 'f')));
      machine_.scheduler.RunReady();
    }
  }

  SimulatedEnv machine_;
  std::unique_ptr<EngineDriver> driver_;
};

// One run of a GET, with a transaction of its own: what it found, or a wait that it has begun.
struct Client {
  Transaction transaction;
  bool resumed = false;
  std::optional<std::string> value;

  Outcome Get(Engine& engine, const std::string& key) {
    Guard guard(engine, transaction);
    guard.Begin();
    const Lookup found = guard.Get(0, key);
    if (found.presence == Presence::kPresent) value = std::string(found.value.bytes);
    const Outcome outcome = guard.Commit();
    resumed = false;
    if (outcome == Outcome::kWait) guard.Wait([this] { resumed = true; });
    return outcome;
  }
};

TEST_CASE("engine: a command of many cold keys loads them a part at a time", "[engine]") {
  constexpr int kKeys = 3000;
  ColdDatabase cold(kKeys);
  Engine& engine = cold.engine();
  const uint64_t before = engine.stats().loads;
  size_t found = 0;
  REQUIRE(cold.driver().Run([&](Guard& guard) {
    found = 0;
    for (int i = 0; i < kKeys; ++i) {
      const Lookup row = guard.Get(0, ColdDatabase::Key(i));
      found += row.presence == Presence::kPresent && row.value.bytes == ColdDatabase::Value(i);
    }
  }));
  CHECK(found == kKeys);
  // Each once: what has been loaded stays until the command ends.
  CHECK(engine.stats().loads - before == kKeys);
  CHECK(cold.driver().waits() >= kKeys / 512);
  CHECK(cold.driver().waits() <= kKeys / 256 + 1);
}

TEST_CASE("engine: two clients that miss the same row share one load", "[engine]") {
  ColdDatabase database;
  Client first;
  Client second;
  REQUIRE(first.Get(database.engine(), "key7") == Outcome::kWait);
  REQUIRE(second.Get(database.engine(), "key7") == Outcome::kWait);
  const Stats before = database.engine().stats();
  CHECK(before.loads == 1);
  CHECK(before.loads_joined == 1);
  database.machine().scheduler.RunReady();
  REQUIRE(first.resumed);
  REQUIRE(second.resumed);
  // The row is pinned for both: it is there although the cache has no room for it.
  CHECK(first.Get(database.engine(), "key7") == Outcome::kDone);
  CHECK(second.Get(database.engine(), "key7") == Outcome::kDone);
  CHECK(first.value == "value7");
  CHECK(second.value == "value7");
  CHECK(database.engine().stats().load_blocks_read == 1);
}

TEST_CASE("engine: a write that overtakes a load is what the reader sees", "[engine]") {
  ColdDatabase database(300, 1 << 20);
  Client reader;
  REQUIRE(reader.Get(database.engine(), "key7") == Outcome::kWait);
  REQUIRE(database.driver().Put(0, "key7", "new"));
  database.machine().scheduler.RunReady();
  REQUIRE(reader.resumed);
  CHECK(database.engine().stats().loads_stale == 1);
  REQUIRE(reader.Get(database.engine(), "key7") == Outcome::kDone);
  CHECK(reader.value == "new");
  // Nor does the old value come back when the memtable has gone.
  for (int i = 0; i < 400; ++i) {
    REQUIRE(database.driver().Put(1, "more" + std::to_string(i), std::string(1000, 'm')));
    database.machine().scheduler.RunReady();
  }
  CHECK(database.engine().stats().flushes > 0);
  CHECK(database.driver().Get(0, "key7") == "new");
}

TEST_CASE("engine: FLUSHDB in the middle of a load leaves nothing behind", "[engine]") {
  ColdDatabase database(300, 1 << 20);
  Client reader;
  REQUIRE(reader.Get(database.engine(), "key7") == Outcome::kWait);
  database.driver().Clear(0);
  database.machine().scheduler.RunReady();
  REQUIRE(reader.resumed);
  REQUIRE(reader.Get(database.engine(), "key7") == Outcome::kDone);
  CHECK_FALSE(reader.value.has_value());
  CHECK(database.driver().KeyCount(0) == 0);
  CHECK(database.driver().ScanAll(0, 10).empty());
}

TEST_CASE("engine: the files of a flushed database go once the flush is durable", "[engine]") {
  ColdDatabase database;
  REQUIRE(database.engine().stats().table_bytes > 0);
  const auto table_files = [&] {
    size_t count = 0;
    const auto names = database.machine().env().files->List("db");
    for (const std::string& name : *names) count += name.ends_with(".sst");
    return count;
  };
  REQUIRE(table_files() > 0);
  database.driver().Clear(0);
  database.driver().Clear(1);
  database.machine().scheduler.RunReady();
  CHECK(table_files() == 0);
  CHECK(database.driver().KeyCount(0) == 0);
}

TEST_CASE("engine: a pipeline's rows are loaded along with the one that faults", "[engine]") {
  ColdDatabase database(300, 1 << 20);
  Transaction transaction;
  bool resumed = false;
  {
    Guard guard(database.engine(), transaction);
    guard.Begin();
    CHECK(guard.Get(0, "key1").presence == Presence::kFault);
    REQUIRE(guard.Commit() == Outcome::kWait);
    for (int i = 2; i < 20; ++i) guard.Prefetch(0, ColdDatabase::Key(i));
    guard.Wait([&] { resumed = true; });
  }
  database.machine().scheduler.RunReady();
  REQUIRE(resumed);
  Guard guard(database.engine(), transaction);
  for (int i = 1; i < 20; ++i) {
    CAPTURE(i);
    guard.Begin();
    const Lookup found = guard.Get(0, ColdDatabase::Key(i));
    REQUIRE(found.presence == Presence::kPresent);
    CHECK(found.value.bytes == ColdDatabase::Value(i));
    CHECK(guard.Commit() == Outcome::kDone);
  }
}

TEST_CASE("engine: a blind write is counted right behind its reply", "[engine]") {
  ColdDatabase database;
  CHECK(database.driver().KeyCount(0) == 300);
  REQUIRE(database.driver().Put(0, "key7", "again"));
  REQUIRE(database.driver().Put(0, "fresh", "new"));
  CHECK(database.driver().waits() == 0);
  CHECK(database.engine().stats().settling_loads >= 1);
  CHECK(database.driver().KeyCount(0) == 301);
  CHECK(database.driver().Delete(0, "key7"));
  CHECK(database.driver().KeyCount(0) == 300);
}

TEST_CASE("engine: damage in a table is an error that names the file, for its rows only",
          "[engine]") {
  ColdDatabase database;
  const auto names = database.machine().env().files->List("db");
  for (const std::string& name : *names) {
    if (!name.ends_with(".sst")) continue;
    const uint64_t size = *database.machine().env().files->FileSize("db/" + name);
    // Not its end, which has index and filter: without those none of its rows can be read.
    for (uint64_t offset = 0; offset < size / 2; offset += 1500) {
      database.machine().disk().Corrupt("db/" + name, offset);
    }
  }
  size_t failed = 0;
  for (int i = 0; i < 300; ++i) {
    CAPTURE(i);
    std::optional<std::string> value;
    const bool done = database.driver().Run([&](Guard& guard) {
      const Lookup found = guard.Get(0, ColdDatabase::Key(i));
      value.reset();
      if (found.presence == Presence::kPresent) value = std::string(found.value.bytes);
    });
    if (done) {
      CHECK(value == ColdDatabase::Value(i));
    } else {
      ++failed;
      CHECK(database.driver().error().code == Errc::kCorruption);
      CHECK(database.driver().error().context.find(".sst") != std::string::npos);
    }
  }
  CHECK(failed > 0);
  CHECK(failed < 300);
  CHECK(database.driver().Put(0, "still", "writable"));
}

TEST_CASE("engine: a large value is read from its file, and its damage found", "[engine]") {
  ColdDatabase database(1);
  EngineDriver& driver = database.driver();
  std::mt19937_64 random(1);
  std::string large(600'000, '\0');
  for (char& byte : large) byte = static_cast<char>(random());
  REQUIRE(driver.Put(0, "large", large));
  const uint64_t loads = database.engine().stats().loads;
  // Push it out of the memtable and out of memory.
  for (int i = 0; i < 3000; ++i) REQUIRE(driver.Put(1, "fill" + std::to_string(i), "fill"));
  database.machine().scheduler.RunReady();
  CHECK(driver.Get(0, "large") == large);
  CHECK(database.engine().stats().loads > loads);
  for (int i = 3000; i < 6000; ++i) REQUIRE(driver.Put(1, "fill" + std::to_string(i), "fill"));
  database.machine().scheduler.RunReady();
  const auto names = database.machine().env().files->List("db");
  for (const std::string& name : *names) {
    const uint64_t size = *database.machine().env().files->FileSize("db/" + name);
    if (name.ends_with(".val") && size > large.size()) {
      database.machine().disk().Corrupt("db/" + name, size / 2);
    }
  }
  CHECK_FALSE(driver.Run([&](Guard& guard) { guard.Get(0, "large"); }));
  CHECK(driver.error().code == Errc::kCorruption);
}

TEST_CASE("engine: after a failed write of the log writes are refused and reads go on",
          "[engine][fault]") {
  SimulatedEnv machine;
  EngineDriver driver(machine, TinyOptions());
  REQUIRE(driver.Put(0, "a", "1"));
  REQUIRE(driver.engine().WriteLog(driver.log_end()).has_value());
  machine.faults.Fail(
      {.nth = 1, .count = 1, .calls = {FileCall::kWriteAt}, .path_contains = "wal"});
  REQUIRE(driver.Put(0, "b", "2"));
  CHECK_FALSE(driver.engine().WriteLog(driver.log_end()).has_value());
  CHECK_FALSE(driver.Put(0, "c", "3"));
  CHECK(driver.error().context.find("wal-") != std::string::npos);
  CHECK(driver.Get(0, "a") == "1");
  CHECK_FALSE(driver.Get(0, "c").has_value());
  CHECK_FALSE(driver.engine().stats().write_error.empty());
}

TEST_CASE("engine: a full disk refuses writes before they are applied, and they resume",
          "[engine][fault]") {
  SimulatedEnv machine;
  EngineDriver driver(machine, TinyOptions());
  REQUIRE(driver.Put(0, "a", "1"));
  machine.scheduler.RunReady();
  machine.disk().SetCapacity(machine.disk().used_bytes());
  bool refused = false;
  int written = 0;
  for (; written < 5000 && !refused; ++written) {
    refused = !driver.Put(0, "k" + std::to_string(written), std::string(100, 'x'));
    machine.scheduler.RunReady();
  }
  REQUIRE(refused);
  CHECK(driver.error().code == Errc::kNoSpace);
  CHECK_FALSE(driver.Get(0, "k" + std::to_string(written - 1)).has_value());
  CHECK(driver.Get(0, "a") == "1");
  CHECK(driver.Get(0, "k" + std::to_string(written - 2)) == std::string(100, 'x'));
  machine.disk().SetCapacity(~uint64_t{0});
  machine.scheduler.AdvanceUs(20'000'000);
  CHECK(driver.Put(0, "after", "2"));
  CHECK(driver.engine().stats().background_error.empty());
  CHECK(driver.KeyCount(0) == static_cast<uint64_t>(written - 1) + 2);
}

TEST_CASE("engine: a value with an owner is shared, never copied", "[engine]") {
  SimulatedEnv machine;
  Options options = TinyOptions();
  options.memory_bytes_max = 64 << 20;
  EngineDriver driver(machine, options);
  const auto owner = std::make_shared<const std::string>(1 << 20, 'v');
  REQUIRE(driver.Run([&](Guard& guard) { guard.Put(0, "big", {*owner, owner}); }));
  Transaction transaction;
  {
    Guard guard(driver.engine(), transaction);
    guard.Begin();
    const Lookup found = guard.Get(0, "big");
    CHECK(found.value.bytes.data() == owner->data());
    CHECK(found.value.owner == owner);
    CHECK(guard.Commit() == Outcome::kDone);
  }
  REQUIRE(driver.engine().WriteLog(driver.log_end()).has_value());
  machine.scheduler.RunReady();
  CHECK(driver.Get(0, "big") == *owner);
}

TEST_CASE("engine: a directory is opened once at a time", "[engine]") {
  SimulatedEnv machine;
  EngineDriver first(machine, TinyOptions());
  REQUIRE(first.is_open());
  EngineDriver second(machine, TinyOptions());
  REQUIRE_FALSE(second.is_open());
  CHECK(second.error().context.find("db") != std::string::npos);
}

}  // namespace
}  // namespace varve::engine::testing
