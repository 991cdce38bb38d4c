#include "engine/memtable.h"

#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "engine/row_memory.h"

namespace varve::engine {
namespace {

using Model = std::map<std::pair<Position, std::string>, std::optional<std::string>>;

// A memtable, what it takes to write to it, and what it should have.
class TestMemtable {
 public:
  void Put(Position position, const std::string& key, const std::string& value) {
    memory_.Write(*rows_, memtable_, position, key, {value, nullptr}, ValueType::kString, false);
    model_[{position, key}] = value;
  }
  void PutShared(Position position, const std::string& key, const std::string& value) {
    const auto owner = std::make_shared<const std::string>(value);
    memory_.Write(*rows_, memtable_, position, key, {*owner, owner}, ValueType::kString, false);
    model_[{position, key}] = value;
  }
  void Delete(Position position, const std::string& key) {
    memory_.Write(*rows_, memtable_, position, key, {}, ValueType::kString, true);
    model_[{position, key}] = std::nullopt;
  }

  // The walk from `from`, to its end or for so many rows.
  void CheckWalk(RowCursor& cursor, Position from, size_t row_count = ~size_t{0}) const {
    CAPTURE(from);
    auto expected = model_.lower_bound({from, ""});
    for (cursor.Seek(from); cursor.Valid() && row_count > 0; cursor.Next(), --row_count) {
      if (expected == model_.end()) FAIL("a row too many");
      const auto& [id, value] = *expected++;
      const Row& row = cursor.row();
      if (row.position != id.first || row.key != id.second) {
        FAIL("at " << row.position << " instead of " << id.first);
      }
      if (row.is_tombstone != !value.has_value() || row.value != value.value_or("")) {
        FAIL("wrong value of " << row.key << " at " << row.position);
      }
      if (row.type != ValueType::kString) FAIL("wrong type");
    }
    if (row_count > 0) CHECK(expected == model_.end());
    CHECK(cursor.status().has_value());
  }
  void CheckWalks(std::mt19937_64& random) const {
    CHECK(memtable_.row_count() == model_.size());
    const auto cursor = memtable_.NewCursor();
    CHECK_FALSE(cursor->Valid());  // it stands nowhere yet
    CheckWalk(*cursor, 0);
    CheckWalk(*cursor, ~Position{0});
    for (int i = 0; i < 50; ++i) CheckWalk(*cursor, random(), 50);  // back and forth
    if (model_.empty()) return;
    for (const Position edge : {model_.begin()->first.first, model_.rbegin()->first.first,
                                std::next(model_.begin(), model_.size() / 2)->first.first}) {
      CheckWalk(*cursor, edge - 1, 50);
      CheckWalk(*cursor, edge, 50);
      CheckWalk(*cursor, edge + 1, 50);
    }
  }
  const Memtable& memtable() const { return memtable_; }

 private:
  RowMemory memory_{1 << 30};
  std::shared_ptr<TreeRows> rows_ = std::make_shared<TreeRows>();
  Memtable memtable_{1};
  Model model_;
};

TEST_CASE("Memtable: walks any number of rows in order, from anywhere", "[engine][memtable]") {
  // Around the sizes at which rows are dealt out before they are sorted, too.
  const size_t row_count = GENERATE(size_t{0}, 1, 2, 1023, 1024, 1025, 2048, 10'000, 100'000);
  CAPTURE(row_count);
  std::mt19937_64 random(row_count);
  TestMemtable rows;
  for (size_t i = 0; i < row_count; ++i) {
    rows.Put(random(), "key:" + std::to_string(i), std::to_string(i));
  }
  CHECK(rows.memtable().row_count() == row_count);
  CHECK(rows.memtable().empty() == (row_count == 0));
  rows.CheckWalks(random);
}

TEST_CASE("Memtable: a walk sees the last row of each key, tombstones too", "[engine][memtable]") {
  std::mt19937_64 random(1);
  TestMemtable rows;
  for (int round = 0; round < 5; ++round) {
    for (Position i = 0; i < 3000; ++i) {
      const Position position = i * 0x9E3779B97F4A7C15;
      const std::string key = std::to_string(i);
      switch (random() % 5) {
        case 0:
          rows.Delete(position, key);
          break;
        case 1:
          rows.PutShared(position, key, std::string(random() % 500, 's'));
          break;
        default:  // some fit into the place of the one before, some do not
          rows.Put(position, key, std::string(random() % 500, static_cast<char>('a' + round)));
      }
    }
    CHECK(rows.memtable().row_count() == 3000);
    rows.CheckWalks(random);
  }
}

TEST_CASE("Memtable: rows of one position are in the order of their keys", "[engine][memtable]") {
  std::mt19937_64 random(2);
  TestMemtable rows;
  for (const Position position : {Position{0}, Position{1} << 63, ~Position{0}}) {
    for (int i = 0; i < 2000; ++i) {
      const size_t key_bytes = random() % 4;
      rows.Put(position, std::string(key_bytes, static_cast<char>(random())), "any");
      rows.Put(position, std::to_string(random() % 5000), "number");
    }
    rows.Put(position, "", "empty key");
    rows.Delete(position, std::string("\0", 1));
  }
  rows.CheckWalks(random);
}

TEST_CASE("Memtable: positions that are not spread are sorted all the same", "[engine][memtable]") {
  std::mt19937_64 random(3);
  TestMemtable rows;
  for (Position i = 0; i < 4000; ++i) {
    rows.Put((i * 7919) % 4000, "low", "");
    rows.Put(~Position{0} - random() % 1000, std::to_string(i), "high");
  }
  rows.CheckWalks(random);
}

TEST_CASE("Memtable: a cursor sees the rows as they were when it was made, sealed by then",
          "[engine][memtable]") {
  RowMemory memory(1 << 30);
  TreeRows rows;
  Memtable sealed(1);
  Memtable newer(2);
  const auto write = [&](Memtable& memtable, std::string_view value, bool is_absent) {
    memory.Write(rows, memtable, 1, "key", {value, nullptr}, ValueType::kString, is_absent);
  };
  write(sealed, "old", false);
  const auto cursor = sealed.NewCursor();
  write(newer, "new", false);
  cursor->Seek(0);
  REQUIRE(cursor->Valid());
  CHECK(cursor->row().value == "old");
  write(newer, {}, true);
  CHECK(cursor->row().value == "old");
  cursor->Next();
  CHECK_FALSE(cursor->Valid());
  const auto newer_cursor = newer.NewCursor();
  newer_cursor->Seek(1);
  REQUIRE(newer_cursor->Valid());
  CHECK(newer_cursor->row().is_tombstone);
  memory.MakeClean(sealed);
  const auto empty = sealed.NewCursor();
  empty->Seek(0);
  CHECK_FALSE(empty->Valid());
}

}  // namespace
}  // namespace varve::engine
