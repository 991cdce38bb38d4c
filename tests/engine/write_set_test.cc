#include "engine/write_set.h"

#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace varve::engine {
namespace {

TEST_CASE("write set: the newest write of a key counts, few writes or many", "[engine]") {
  std::mt19937_64 random(7);
  for (const size_t writes : {1, 5, 8, 9, 10, 200}) {
    CAPTURE(writes);
    WriteSet set;
    std::vector<std::string> keys;
    for (int i = 0; i < 12; ++i) keys.push_back("key" + std::to_string(i));
    std::map<std::pair<int, std::string>, std::string> model;
    std::map<int, bool> cleared;
    std::vector<std::string> values(writes);
    for (size_t i = 0; i < writes; ++i) {
      const int db = static_cast<int>(random() % 2);
      const std::string& key = keys[random() % keys.size()];
      const Position position = key.size();  // all share one
      values[i] = std::to_string(i);
      switch (random() % 8) {
        case 0:
          set.ClearDatabase(db);
          std::erase_if(model, [&](const auto& row) { return row.first.first == db; });
          for (const auto& each : keys) model[{db, each}] = "deleted";
          break;
        case 1:
        case 2:
          set.Delete(db, position, key);
          model[{db, key}] = "deleted";
          break;
        default:
          set.Put(db, position, key, {values[i], nullptr}, ValueType::kString);
          model[{db, key}] = values[i];
      }
    }
    for (int db = 0; db < 2; ++db) {
      for (const std::string& key : keys) {
        CAPTURE(db, key);
        const WriteSet::Write* write = nullptr;
        const WriteSet::Found found = set.Find(db, key.size(), key, &write);
        const auto expected = model.find({db, key});
        if (expected == model.end()) {
          CHECK(found == WriteSet::Found::kNothing);
        } else if (expected->second == "deleted") {
          CHECK(found == WriteSet::Found::kDeleted);
        } else {
          REQUIRE(found == WriteSet::Found::kPut);
          CHECK(write->value.bytes == expected->second);
        }
      }
    }
    set.Clear();
    CHECK(set.empty());
    const WriteSet::Write* write = nullptr;
    for (const std::string& key : keys) {
      CHECK(set.Find(0, key.size(), key, &write) == WriteSet::Found::kNothing);
    }
  }
}

}  // namespace
}  // namespace varve::engine
