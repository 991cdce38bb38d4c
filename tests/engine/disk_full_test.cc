// A disk that gets full: what was written stays and is read, deletes free space, writes come back
// by themselves, and none of it depends on the process living through it.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <map>
#include <random>

#include "engine/support/engine_driver.h"

namespace varve::engine::testing {
namespace {

using Rows = std::map<std::string, std::string>;

constexpr uint64_t kLongWhileUs = 60'000'000;

// A database on a small disk, and what it must hold.
class SmallDisk {
 public:
  explicit SmallDisk(uint64_t seed) : random_(seed), separates_values_(seed % 2 == 0), seed_(seed) {
    Start(std::make_unique<MemFileSystem>());
    machine_->disk().SetCapacity(1'100'000 + random_() % 2'000'000);
  }
  // From the `nth` file that is opened from now on, so many cannot be.
  void RunOutOfFiles(uint64_t nth, uint64_t count) {
    machine_->faults.Fail({nth,
                           count,
                           {FileCall::kOpenForRead, FileCall::kCreate, FileCall::kOpenForWrite,
                            FileCall::kReadWhole, FileCall::kList},
                           {},
                           EMFILE});
  }

  // Writes until a write is refused.
  void Fill() {
    for (int writes = 0;; ++writes) {
      REQUIRE(writes < 100'000);
      const std::string key = AnyKey();
      const std::string value = AnyValue();
      if (!driver_->Put(0, key, value)) break;
      rows_[key] = value;
      RunSome();
    }
    REQUIRE(driver_->error().code == Errc::kNoSpace);
  }
  // Deletes all but a few rows, in an order of their own. False: one was refused.
  bool DeleteMost() {
    std::vector<std::string> keys;
    for (const auto& [key, value] : rows_) keys.push_back(key);
    std::shuffle(keys.begin(), keys.end(), random_);
    keys.resize(keys.size() - keys.size() / 16);
    for (const std::string& key : keys) {
      if (!driver_->Delete(0, key)) return false;
      rows_.erase(key);
      RunSome();
    }
    return true;
  }
  bool Clear() {
    if (!driver_->Clear(0)) return false;
    rows_.clear();
    return true;
  }
  // Dies, and starts again on what a kill leaves.
  void Kill() {
    REQUIRE(driver_->engine().WriteLog(driver_->log_end()));
    auto disk = machine_->disk().KillClone();
    driver_.reset();
    Start(std::move(disk));
    if (!driver_->is_open() && eaten_ > 0) {
      // Somebody else has what a start needs, and lets go of it.
      CHECK(driver_->error().code == Errc::kNoSpace);
      Uneat();
      driver_.reset();
      Start(machine_->disk().KillClone());
    }
    INFO(driver_->error().context);
    REQUIRE(driver_->is_open());
  }
  void CheckRows() {
    REQUIRE(driver_->KeyCount(0) == rows_.size());
    REQUIRE(driver_->Contents(0) == rows_);
  }
  bool Put() {
    const std::string key = AnyKey();
    const std::string value = AnyValue();
    const bool done = driver_->Put(0, key, value);
    if (done) rows_[key] = value;
    return done;
  }
  // Another process takes what is free, or lets go of all it has.
  void EatAll() {
    const uint64_t free_bytes = machine_->disk().Space(".")->free_bytes;
    machine_->disk().Write("eaten-" + std::to_string(eaten_++), std::string(free_bytes, 'x'));
  }
  void Uneat() {
    while (eaten_ > 0) {
      REQUIRE(machine_->disk().Remove("eaten-" + std::to_string(--eaten_)));
    }
  }
  void LetTimePass() { machine_->scheduler.AdvanceUs(kLongWhileUs); }
  void RunSome() {
    for (uint64_t i = random_() % 4; i > 0; --i) machine_->scheduler.RunOne();
  }

  EngineDriver& driver() { return *driver_; }
  SimulatedEnv& machine() { return *machine_; }
  const Rows& rows() const { return rows_; }
  uint64_t Below(uint64_t end) { return random_() % end; }

 private:
  void Start(std::unique_ptr<MemFileSystem> disk) {
    machine_ = std::make_unique<SimulatedEnv>(++seed_, std::move(disk));
    Options options = TinyOptions();
    options.write_buffer_bytes = 32 * 1024;
    if (separates_values_) options.value_threshold_bytes = 700;
    driver_ = std::make_unique<EngineDriver>(*machine_, options);
  }
  std::string AnyKey() { return "key" + std::to_string(random_() % 4000); }
  std::string AnyValue() {
    std::string value(random_() % 1500, 'v');
    for (char& c : value) c = static_cast<char>(random_());  // does not compress
    return value;
  }

  std::mt19937_64 random_;
  const bool separates_values_;
  uint64_t seed_;
  Rows rows_;
  int eaten_ = 0;
  std::unique_ptr<SimulatedEnv> machine_;
  std::unique_ptr<EngineDriver> driver_;
};

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr ? std::strtoull(value, nullptr, 10) : otherwise;
}

// Runs `test` for each seed.
template <typename Test>
void ForSeeds(Test test) {
  const uint64_t first = FromEnvironment("VARVE_DISK_FIRST_SEED", 1);
  const uint64_t count = FromEnvironment("VARVE_DISK_SEEDS", 20);
  for (uint64_t seed = first; seed < first + count; ++seed) {
    INFO("seed " << seed);
    SmallDisk disk(seed * 1'000'001);
    test(disk);
  }
}

TEST_CASE("disk full: rows are there, deletes free space, and writes come back by themselves",
          "[engine][disk]") {
  ForSeeds([](SmallDisk& disk) {
    disk.Fill();
    if (disk.Below(2) == 0) disk.LetTimePass();
    disk.CheckRows();
    if (disk.Below(2) == 0) disk.Kill();
    const bool deleted = disk.DeleteMost();
    INFO("refused with: " << disk.driver().error().context);
    REQUIRE(deleted);
    disk.CheckRows();
    disk.LetTimePass();
    const bool written = disk.Put();
    INFO("refused with: " << disk.driver().error().context);
    REQUIRE(written);
    CHECK(disk.driver().engine().stats().write_error.empty());
    disk.Kill();
    disk.CheckRows();
  });
}

TEST_CASE("disk full: FLUSHDB frees all of it", "[engine][disk]") {
  ForSeeds([](SmallDisk& disk) {
    for (int round = 0; round < 3; ++round) {
      disk.Fill();
      if (disk.Below(2) == 0) disk.Kill();
      const bool cleared = disk.Clear();
      INFO("refused with: " << disk.driver().error().context);
      REQUIRE(cleared);
      disk.LetTimePass();
      const bool written = disk.Put();
      INFO("refused with: " << disk.driver().error().context);
      REQUIRE(written);
      disk.CheckRows();
    }
  });
}

TEST_CASE("disk full: starts again and again without using up what is kept", "[engine][disk]") {
  ForSeeds([](SmallDisk& disk) {
    disk.Fill();
    for (int start = 0; start < 30; ++start) {
      disk.Kill();
      disk.RunSome();
    }
    disk.CheckRows();
    const bool deleted = disk.DeleteMost();
    INFO("refused with: " << disk.driver().error().context);
    REQUIRE(deleted);
    disk.LetTimePass();
    const bool written = disk.Put();
    INFO("refused with: " << disk.driver().error().context);
    REQUIRE(written);
  });
}

TEST_CASE("disk full: another process that takes all there is hurts for as long as it does",
          "[engine][disk]") {
  ForSeeds([](SmallDisk& disk) {
    const uint64_t steps = 200 + disk.Below(1000);
    for (uint64_t step = 0; step < steps; ++step) {
      disk.Put();
      disk.RunSome();
      if (disk.Below(100) == 0) disk.EatAll();
      if (disk.Below(150) == 0) disk.Uneat();
      if (disk.Below(100) == 0) disk.machine().scheduler.AdvanceUs(disk.Below(3'000'000));
      if (disk.Below(300) == 0) {
        disk.CheckRows();
        disk.Kill();
      }
    }
    disk.CheckRows();
    disk.Uneat();
    disk.LetTimePass();
    disk.CheckRows();
    if (!disk.Put()) {  // its own rows fill the disk
      REQUIRE(disk.Clear());
      disk.LetTimePass();
      REQUIRE(disk.Put());
    }
    disk.Kill();
    disk.CheckRows();
  });
}

TEST_CASE("no more files: any file may not open, and nothing is lost", "[engine][disk]") {
  SmallDisk disk(1);
  disk.machine().disk().SetCapacity(~uint64_t{0});
  for (uint64_t nth = 1; nth < 150; nth += 3) {
    INFO("open " << nth);
    disk.RunOutOfFiles(nth, 1 + nth % 4);
    for (int i = 0; i < 100; ++i) {
      if (!disk.Put()) REQUIRE(disk.driver().error().code == Errc::kTooManyFiles);
      disk.RunSome();
    }
    disk.CheckRows();
    disk.LetTimePass();
    disk.machine().faults.Clear();
    REQUIRE(disk.Put());
    CHECK(disk.driver().engine().stats().background_error.empty());
    if (nth % 2 == 0) disk.Kill();
    disk.CheckRows();
  }
}

TEST_CASE(
    "no more files: reads go on, writes too while there is room in memory, and all is well "
    "when there are some again",
    "[engine][disk]") {
  ForSeeds([](SmallDisk& disk) {
    disk.machine().disk().SetCapacity(~uint64_t{0});
    for (uint64_t i = 200 + disk.Below(1000); i > 0; --i) REQUIRE(disk.Put());
    disk.machine().scheduler.RunReady();
    disk.RunOutOfFiles(1, ~uint64_t{0} / 2);
    while (disk.Put()) disk.RunSome();  // to the end of the active segment, and of the next one
    CHECK(disk.driver().error().code == Errc::kTooManyFiles);
    disk.LetTimePass();
    disk.CheckRows();
    disk.machine().faults.Clear();
    disk.LetTimePass();
    REQUIRE(disk.Put());
    CHECK(disk.driver().engine().stats().background_error.empty());
    CHECK(disk.driver().engine().stats().wal_preparation_error.empty());
    disk.Kill();
    disk.CheckRows();
  });
}

}  // namespace
}  // namespace varve::engine::testing
