#include "engine/row_table.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "engine/segment.h"

namespace varve::engine {
namespace {

using Model = std::map<std::pair<Position, std::string>, MemoryRow*>;

// What a table points to: rows without values, for as long as the test runs.
class Rows {
 public:
  MemoryRow* New(Position position, std::string_view key) {
    const size_t bytes_max = sizeof(MemoryRow) + key.size() + alignof(MemoryRow);
    if (segments_.empty() || !segments_.back()->HasRoomFor(bytes_max)) {
      segments_.push_back(Segment::New(Segment::kAlignment, false));
    }
    return segments_.back()->Append(position, key, {}, 0, ValueType::kString, false);
  }

 private:
  std::vector<Segment::Pointer> segments_;
};

void Insert(RowTable& table, MemoryRow* row) {
  const RowTable::Place place = table.Locate(row->position(), row->key());
  REQUIRE_FALSE(place.found());
  table.Insert(place, row);
}

void Remove(RowTable& table, const MemoryRow* row) {
  const RowTable::Place place = table.Locate(row->position(), row->key());
  REQUIRE(place.found());
  REQUIRE(&place.row() == row);
  table.Remove(place);
}

// Beginning at `from`, at most `row_count` rows.
void CheckWalk(const RowTable& table, const Model& model, Position from,
               size_t row_count = ~size_t{0}) {
  CAPTURE(from);
  auto expected = model.lower_bound({from, ""});
  RowTable::Cursor cursor(table);
  cursor.Seek(from);
  for (; cursor.Valid() && row_count > 0; cursor.Next(), ++expected, --row_count) {
    if (expected == model.end()) FAIL("a row too many");
    const Row& row = cursor.row();
    if (row.position != expected->first.first || row.key != expected->first.second) {
      FAIL("at " << row.position << " instead of " << expected->first.first);
    }
  }
  if (row_count > 0) CHECK(expected == model.end());
  CHECK(cursor.status().has_value());
}

void CheckFinds(const RowTable& table, const Model& model) {
  REQUIRE(table.row_count() == model.size());
  for (const auto& [id, row] : model) {
    if (table.Find(id.first, id.second) != row) FAIL("not found at " << id.first);
  }
}

TEST_CASE("RowTable: a row is found by its position and its key", "[engine][row_table]") {
  Rows rows;
  RowTable table;
  CHECK(table.Find(7, "k") == nullptr);
  CHECK_FALSE(table.Locate(7, "k").found());
  MemoryRow* const row = rows.New(7, "k");
  table.Insert(table.Locate(7, "k"), row);
  CHECK(table.row_count() == 1);
  CHECK(table.Find(7, "k") == row);
  REQUIRE(table.Locate(7, "k").found());
  CHECK(&table.Locate(7, "k").row() == row);
  CHECK(&table.PlaceOf(row).row() == row);

  // Neither the key nor the position alone makes it the same row.
  CHECK(table.Find(7, "") == nullptr);
  CHECK(table.Find(7, "kk") == nullptr);
  CHECK(table.Find(8, "k") == nullptr);
  CHECK_FALSE(table.Locate(7 + (Position{1} << 16), "k").found());  // the same tag
  MemoryRow* const empty = rows.New(7, "");
  MemoryRow* const far = rows.New(7 + (Position{1} << 16), "k");
  Insert(table, empty);
  Insert(table, far);
  CHECK(table.row_count() == 3);
  CHECK(table.Find(7, "") == empty);
  CHECK(table.Find(7 + (Position{1} << 16), "k") == far);

  MemoryRow* const newer = rows.New(7, "k");
  table.Replace(table.Locate(7, "k"), newer);
  CHECK(table.row_count() == 3);
  CHECK(table.Find(7, "k") == newer);
  CHECK(&table.PlaceOf(newer).row() == newer);
  table.Remove(table.PlaceOf(newer));
  CHECK(table.row_count() == 2);
  CHECK(table.Find(7, "k") == nullptr);
  CHECK(table.Find(7, "") == empty);
  table.Insert(table.Locate(7, "k"), row);  // it may come back
  CHECK(table.Find(7, "k") == row);
}

TEST_CASE("RowTable: walks from anywhere in few rows", "[engine][row_table]") {
  Rows rows;
  RowTable table;
  Model model;
  CheckWalk(table, model, 0);
  CheckWalk(table, model, ~Position{0});
  CHECK_FALSE(RowTable::Cursor(table).Valid());  // it stands nowhere yet
  const std::vector<Position> positions = {0,           1, 5, Position{1} << 58, Position{1} << 63,
                                           ~Position{0}};
  for (const Position position : positions) {
    for (const char* key : {"b", "a", "", "ab"}) {
      MemoryRow* const row = rows.New(position, key);
      Insert(table, row);
      model[{position, key}] = row;
    }
    for (const Position from : positions) {
      CheckWalk(table, model, from - 1);
      CheckWalk(table, model, from);
      CheckWalk(table, model, from + 1);
    }
  }
}

TEST_CASE("RowTable: grows and shrinks with its rows, always in order", "[engine][row_table]") {
  constexpr size_t kRows = 250'000;
  std::mt19937_64 random(1);
  Rows rows;
  RowTable table;
  Model model;
  std::vector<MemoryRow*> all;
  // Of rows and table, at which they are looked at: around splits, and halfway between doublings.
  const std::vector<size_t> sizes = {0,     1,      2,      319,    320,    321,     640,    641,
                                     5'000, 20'480, 20'481, 30'000, 81'920, 100'000, 163'841};
  const auto check = [&] {
    CAPTURE(all.size());
    CheckFinds(table, model);
    CheckWalk(table, model, 0);
    for (int i = 0; i < 100; ++i) CheckWalk(table, model, random(), 20);
    CheckWalk(table, model, ~Position{0});
    if (model.empty()) return;
    CheckWalk(table, model, model.begin()->first.first + 1, 20);
    CheckWalk(table, model, model.rbegin()->first.first);
    CheckWalk(table, model, model.rbegin()->first.first + 1);
    CheckWalk(table, model, std::next(model.begin(), model.size() / 2)->first.first, 20);
  };
  uint64_t bytes_before = 0;
  CHECK(table.memory_bytes() == 0);
  while (all.size() < kRows) {
    all.push_back(rows.New(random(), "key:" + std::to_string(all.size())));
    Insert(table, all.back());
    model[{all.back()->position(), std::string(all.back()->key())}] = all.back();
    if (std::count(sizes.begin(), sizes.end(), all.size()) > 0) check();
    if (table.memory_bytes() < bytes_before) FAIL("smaller with " << all.size() << " rows");
    bytes_before = table.memory_bytes();
  }
  check();
  CHECK(table.memory_bytes() > kRows * sizeof(void*) * 8 / 5);
  CHECK(table.memory_bytes() < kRows * sizeof(void*) * 9 / 5);

  std::shuffle(all.begin(), all.end(), random);
  uint64_t bytes_at_eighth = 0;
  while (!all.empty()) {
    Remove(table, all.back());
    model.erase({all.back()->position(), std::string(all.back()->key())});
    all.pop_back();
    if (std::count(sizes.begin(), sizes.end(), all.size()) > 0) check();
    if (table.memory_bytes() > bytes_before) FAIL("larger with " << all.size() << " rows");
    bytes_before = table.memory_bytes();
    if (all.size() == kRows / 8) bytes_at_eighth = bytes_before;
  }
  CHECK(bytes_at_eighth < kRows * sizeof(void*));
  // Overflow buckets are kept for the next rows.
  CHECK(table.memory_bytes() < kRows * sizeof(void*) / 4);
  const uint64_t kept_bytes = table.memory_bytes();
  Insert(table, rows.New(1, "again"));
  CHECK(table.memory_bytes() == kept_bytes);
}

TEST_CASE("RowTable: many rows of one position", "[engine][row_table]") {
  constexpr size_t kSame = 50;  // a chain of seven overflow buckets
  std::mt19937_64 random(2);
  const bool crowded = GENERATE(false, true);  // the table has split meanwhile
  CAPTURE(crowded);
  Rows rows;
  RowTable table;
  Model model;
  const auto insert = [&](Position position, const std::string& key) {
    MemoryRow* const row = rows.New(position, key);
    Insert(table, row);
    model[{position, key}] = row;
  };
  for (const Position position : {Position{0}, Position{1} << 40, ~Position{0}}) {
    for (size_t i = 0; i < kSame; ++i) insert(position, std::to_string(i));
  }
  if (crowded) {
    for (size_t i = 0; i < 5000; ++i) insert(random(), "other");
  }
  CheckFinds(table, model);
  CheckWalk(table, model, 0);
  CHECK(table.Find(Position{1} << 40, "50") == nullptr);
  // From the front, from the back, and in any order.
  std::vector<MemoryRow*> all;
  for (const auto& [id, row] : model) all.push_back(row);
  std::shuffle(all.begin() + kSame, all.end() - kSame, random);
  std::reverse(all.end() - kSame, all.end());
  for (MemoryRow* row : all) {
    Remove(table, row);
    model.erase({row->position(), std::string(row->key())});
    if (model.size() % 100 < 3 || !crowded) {
      CheckFinds(table, model);
      CheckWalk(table, model, 0);
    }
  }
  CHECK(table.row_count() == 0);
}

TEST_CASE("RowTable: positions that differ in few bits", "[engine][row_table]") {
  // Only the low bits differ, then those above a slot's tag: one bucket has all the rows,
  // however often the table splits. Then only the top bits differ.
  const auto [shift, row_count] =
      GENERATE(table<int, size_t>({{0, 2000}, {16, 2000}, {48, 20'000}}));
  CAPTURE(shift);
  const Position base = 0x1234'5678'9abc'0000;
  Rows rows;
  RowTable table;
  Model model;
  for (size_t i = 0; i < row_count; ++i) {
    const Position position = base ^ ((i * 7919 % row_count) << shift);
    MemoryRow* const row = rows.New(position, "key");
    Insert(table, row);
    model[{position, "key"}] = row;
  }
  CheckFinds(table, model);
  CheckWalk(table, model, 0);
  CheckWalk(table, model, base);
  CheckWalk(table, model, base + (Position{row_count / 2} << shift));
  CheckWalk(table, model, ~Position{0});
  std::vector<MemoryRow*> all;
  for (const auto& [id, row] : model) all.push_back(row);
  std::shuffle(all.begin(), all.end(), std::mt19937_64(3));
  while (!all.empty()) {
    Remove(table, all.back());
    model.erase({all.back()->position(), "key"});
    all.pop_back();
    if (all.size() % (row_count / 4) == 0) {
      CheckFinds(table, model);
      CheckWalk(table, model, 0);
    }
  }
}

// Positions that share buckets, positions that keys share, and the ends of the space.
Position RandomPosition(std::mt19937_64& random) {
  switch (random() % 5) {
    case 0:
      return random() % 8;
    case 1:
      return ~Position{0} - random() % 8;
    case 2:
      return (random() % 64) << 58;
    case 3:
      return random() << 16;
    default:
      return random();
  }
}

TEST_CASE("RowTable: equals a map", "[engine][row_table][model]") {
  const auto seed = GENERATE(range(1u, 9u));
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  Rows rows;
  RowTable table;
  Model model;
  std::vector<std::pair<Position, std::string>> keys;
  for (int step = 0; step < 20'000; ++step) {
    if (keys.empty() || random() % 3 == 0) {
      keys.emplace_back(RandomPosition(random), std::to_string(random() % 100));
    }
    // Phases in which the table grows, and in which it shrinks.
    const bool removes = random() % 8 < (step / 3000 % 2 == 0 ? 2 : 6);
    const auto& [position, key] = keys[random() % keys.size()];
    const auto known = model.find({position, key});
    table.PrefetchBucket(position);
    table.PrefetchRow(position);
    const RowTable::Place place = table.Locate(position, key);
    REQUIRE(place.found() == (known != model.end()));
    if (known == model.end()) {
      MemoryRow* const row = rows.New(position, key);
      table.Insert(place, row);
      model[{position, key}] = row;
    } else {
      REQUIRE(&place.row() == known->second);
      if (removes) {
        table.Remove(random() % 2 == 0 ? place : table.PlaceOf(known->second));
        model.erase(known);
      } else if (random() % 2 == 0) {
        MemoryRow* const row = rows.New(position, key);
        table.Replace(random() % 2 == 0 ? place : table.PlaceOf(known->second), row);
        known->second = row;
      }
    }
    REQUIRE(table.row_count() == model.size());
    if (step % 1000 == 0) {
      CheckFinds(table, model);
      CheckWalk(table, model, RandomPosition(random));
    }
  }
  CheckFinds(table, model);
  CheckWalk(table, model, 0);
  for (int i = 0; i < 20; ++i) CheckWalk(table, model, RandomPosition(random), 100);
}

}  // namespace
}  // namespace varve::engine
