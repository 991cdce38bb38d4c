// The engine against std::map: random commands, background steps in random order, reopened in
// between, with limits so small that everything happens.
#include <array>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <map>
#include <random>

#include "engine/support/engine_driver.h"
#include "engine/support/table_fixture.h"
#include "engine/table_format.h"

namespace varve::engine::testing {
namespace {

using Model = std::array<std::map<std::string, std::string>, kDatabaseCount>;

struct Shape {
  const char* name;
  size_t write_buffer_bytes;
  size_t memory_bytes_max;
  int key_space;
  size_t value_bytes_max;
  size_t settling_loads_max;
  size_t value_threshold_bytes;
  bool documents = false;  // values that have much in common: tables make dictionaries
};

constexpr Shape kShapes[] = {
    {"roomy cache", 8 * 1024, 1 << 20, 400, 100, 4096, 0},
    {"tiny cache", 8 * 1024, 72 * 1024, 2000, 60, 4096, 0},
    {"every write faults", 8 * 1024, 72 * 1024, 1000, 60, 0, 0},
    {"a few settling loads", 16 * 1024, 160 * 1024, 3000, 40, 3, 0},
    {"large values", 256 * 1024, 4 << 20, 60, 80 * 1024, 4096, 0},
    {"documents", 128 * 1024, 512 * 1024, 1500, 700, 4096, 0, true},
    {"separated values", 8 * 1024, 72 * 1024, 1000, 60, 4096, 1},
    {"many values separated", 8 * 1024, 160 * 1024, 400, 60, 3, 45},
    {"large values separated", 256 * 1024, 4 << 20, 60, 80 * 1024, 4096, 4096},
};

class Run {
 public:
  Run(uint64_t seed, const Shape& shape) : shape_(shape), random_(seed), machine_(seed) {
    options_ = TinyOptions();
    options_.write_buffer_bytes = shape.write_buffer_bytes;
    options_.memory_bytes_max = shape.memory_bytes_max;
    options_.settling_loads_max = shape.settling_loads_max;
    options_.value_threshold_bytes = shape.value_threshold_bytes;
    options_.last_level_compression =
        seed % 2 == 0 ? LastLevelCompression::kSnappy : LastLevelCompression::kZstd;
    Reopen();
  }

  void Step() {
    switch (Below(20)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
      case 5:
      case 6:
        Put();
        break;
      case 7:
      case 8:
        Delete();
        break;
      case 9:
        PutSeveral();
        break;
      case 10:
        if (Below(60) == 0) Clear();
        break;
      case 11:
        if (Below(4) == 0) CHECK(driver_->KeyCount(db_) == model_[db_].size());
        break;
      case 12:
        if (Below(30) == 0) CheckScan();
        break;
      case 13:
        if (Below(150) == 0) Reopen();
        break;
      case 14:
        RandomKey();
        break;
      case 15:
        db_ = static_cast<int>(Below(10) < 8 ? 0 : Below(3));
        break;
      default:
        Get();
    }
    for (uint64_t i = Below(4); i > 0; --i) machine_.scheduler.RunOne();
  }

  void CheckAll() {
    for (int db = 0; db < 3; ++db) {
      CAPTURE(db);
      CHECK(driver_->Contents(db) == model_[db]);
      CHECK(driver_->KeyCount(db) == model_[db].size());
    }
  }

  void Reopen() {
    if (driver_ != nullptr) collections_ += stats().value_collections;
    driver_.reset();
    driver_ = std::make_unique<EngineDriver>(machine_, options_);
    INFO(driver_->error().context);
    REQUIRE(driver_->is_open());
  }

  size_t deepest_level() {
    const Stats stats = driver_->engine().stats();
    size_t deepest = 0;
    for (size_t level = 0; level < stats.levels.size(); ++level) {
      if (stats.levels[level].tables > 0) deepest = level;
    }
    return deepest;
  }
  bool has_dictionary() {
    FileSystem& files = *machine_.env().files;
    const auto names = files.List("db");
    REQUIRE(names);
    for (const std::string& name : *names) {
      if (!name.ends_with(".sst")) continue;
      const std::string bytes = *files.ReadWhole("db/" + name);
      const auto footer = DecodeFooter(std::string_view(bytes).substr(bytes.size() - kFooterBytes),
                                       bytes.size(), name);
      REQUIRE(footer);
      if (footer->has_dictionary()) return true;
    }
    return false;
  }
  Stats stats() { return driver_->engine().stats(); }
  uint64_t collections() const { return collections_; }  // as of the last Reopen()

 private:
  uint64_t Below(uint64_t end) { return random_() % end; }
  std::string Key() { return "key:" + std::to_string(Below(shape_.key_space)); }
  std::string Value() {
    if (shape_.documents) return Document();
    return std::string(Below(shape_.value_bytes_max), static_cast<char>('a' + Below(26))) +
           std::to_string(random_());
  }

  std::string Document() {
    static const std::vector<OwnedRow> rows = DocumentRows(100, 1);
    std::string document = rows[Below(rows.size())].value + std::to_string(random_());
    while (document.size() < Below(shape_.value_bytes_max)) {
      document += rows[Below(rows.size())].value.substr(0, 100);
    }
    return document;
  }

  void Put() {
    const std::string key = Key();
    const std::string value = Value();
    REQUIRE(driver_->Put(db_, key, value));
    model_[db_][key] = value;
  }
  void Get() {
    const std::string key = Key();
    CAPTURE(key);
    const auto expected = model_[db_].find(key);
    const std::optional<std::string> got = driver_->Get(db_, key);
    REQUIRE(got.has_value() == (expected != model_[db_].end()));
    if (got) REQUIRE(*got == expected->second);
  }
  void Delete() {
    const std::string key = Key();
    CHECK(driver_->Delete(db_, key) == (model_[db_].erase(key) == 1));
  }
  void PutSeveral() {
    std::vector<std::pair<std::string, std::string>> rows;
    for (uint64_t i = 1 + Below(20); i > 0; --i) rows.emplace_back(Key(), Value());
    REQUIRE(driver_->Run([&](Guard& guard) {
      for (const auto& [key, value] : rows) guard.Put(db_, key, {value, nullptr});
      for (const auto& [key, value] : rows)
        REQUIRE(guard.Get(db_, key).presence == Presence::kPresent);
    }));
    for (const auto& [key, value] : rows) model_[db_][key] = value;
  }
  void Clear() {
    driver_->Clear(db_);
    model_[db_].clear();
  }
  void RandomKey() {
    std::optional<std::optional<std::string>> key;
    REQUIRE(driver_->Run([&](Guard& guard) { key = guard.RandomKey(db_); }));
    REQUIRE(key->has_value() == !model_[db_].empty());
    if (*key) CHECK(model_[db_].contains(**key));
  }
  // Keys that are there all the while are returned exactly once, whatever is written meanwhile.
  void CheckScan() {
    std::map<std::string, std::string> stable = model_[db_];
    std::multiset<std::string> seen;
    std::set<std::string> ever;
    for (const auto& row : stable) ever.insert(row.first);
    ScanToken token = 0;
    do {
      const ScanPage page = driver_->Scan(db_, token, 1 + Below(50));
      seen.insert(page.keys.begin(), page.keys.end());
      token = page.next;
      for (uint64_t i = Below(5); i > 0; --i) {
        const std::string key = Key();
        if (Below(3) == 0) {
          driver_->Delete(db_, key);
          model_[db_].erase(key);
          stable.erase(key);
        } else {
          Put();
          for (const auto& row : model_[db_]) ever.insert(row.first);
        }
      }
      for (uint64_t i = Below(20); i > 0; --i) machine_.scheduler.RunOne();
    } while (token != 0);
    for (const auto& [key, value] : stable) {
      CAPTURE(key);
      REQUIRE(seen.count(key) == 1);
    }
    for (const std::string& key : seen) REQUIRE(ever.contains(key));
  }

  const Shape& shape_;
  std::mt19937_64 random_;
  SimulatedEnv machine_;
  Options options_;
  std::unique_ptr<EngineDriver> driver_;
  Model model_;
  int db_ = 0;
  uint64_t collections_ = 0;
};

uint64_t SeedCount() {
  const char* seeds = std::getenv("VARVE_MODEL_SEEDS");
  return seeds != nullptr ? std::strtoull(seeds, nullptr, 10) : 12;
}

TEST_CASE("engine: equals std::map under random commands, steps and reopens", "[engine][model]") {
  const char* first = std::getenv("VARVE_MODEL_FIRST_SEED");
  const uint64_t begin = first != nullptr ? std::strtoull(first, nullptr, 10) : 1;
  for (const Shape& shape : kShapes) {
    size_t deepest = 0;
    uint64_t separated = 0;
    uint64_t collections = 0;
    bool has_dictionary = false;
    for (uint64_t seed = begin; seed < begin + SeedCount(); ++seed) {
      INFO("shape " << shape.name << ", seed " << seed);
      Run run(seed, shape);
      for (int step = 0; step < 4000; ++step) {
        CAPTURE(step);
        run.Step();
      }
      run.CheckAll();
      run.Reopen();
      run.CheckAll();
      deepest = std::max(deepest, run.deepest_level());
      separated += run.stats().value_live_bytes;
      collections += run.collections();
      has_dictionary |= run.has_dictionary();
    }
    INFO("shape " << shape.name);
    CHECK((separated > 0) == (shape.value_threshold_bytes > 0));
    CHECK((collections > 0) == (shape.value_threshold_bytes > 0));
    CHECK(has_dictionary == shape.documents);
    CHECK(deepest >= 1);  // else the limits were not small enough to test anything
  }
}

}  // namespace
}  // namespace varve::engine::testing
