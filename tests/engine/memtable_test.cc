#include "engine/memtable.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace varve::engine {
namespace {

using Previous = Memtable::Previous;

constexpr size_t kExpectedBytes = 1 << 20;

Memtable::Upserted Put(Memtable& memtable, Position position, std::string_view key,
                       std::string_view value) {
  return memtable.Upsert(position, key, {value, nullptr}, ValueType::kString, false);
}

Memtable::Upserted PutShared(Memtable& memtable, Position position, std::string_view key,
                             const std::shared_ptr<const std::string>& value) {
  return memtable.Upsert(position, key, {*value, value}, ValueType::kString, false);
}

Memtable::Upserted PutTombstone(Memtable& memtable, Position position, std::string_view key) {
  return memtable.Upsert(position, key, {}, ValueType::kString, true);
}

std::string ValueOf(const Memtable& memtable, Position position, std::string_view key) {
  const Memtable::Entry* entry = memtable.Find(position, key);
  if (entry == nullptr) return "(none)";
  return entry->is_tombstone() ? "(tombstone)" : std::string(entry->value_bytes());
}

TEST_CASE("Memtable: an upsert tells what was there", "[engine][memtable]") {
  Memtable memtable(kExpectedBytes);
  CHECK(memtable.empty());
  CHECK(memtable.Find(7, "k") == nullptr);
  CHECK(Put(memtable, 7, "k", "one").previous == Previous::kNone);
  CHECK(Put(memtable, 7, "k", "two").previous == Previous::kLive);
  CHECK(PutTombstone(memtable, 7, "k").previous == Previous::kLive);
  CHECK(PutTombstone(memtable, 7, "k").previous == Previous::kTombstone);
  CHECK(ValueOf(memtable, 7, "k") == "(tombstone)");
  const auto upserted = Put(memtable, 7, "k", "three");
  CHECK(upserted.previous == Previous::kTombstone);
  CHECK(upserted.entry == memtable.Find(7, "k"));
  CHECK(upserted.entry->key() == "k");
  CHECK(upserted.entry->position() == 7);
  CHECK(ValueOf(memtable, 7, "k") == "three");
  CHECK(memtable.row_count() == 1);
  // Neither the key nor the position alone makes it the same row.
  CHECK(Put(memtable, 7, "", "empty key").previous == Previous::kNone);
  CHECK(Put(memtable, 8, "k", "").previous == Previous::kNone);
  CHECK(ValueOf(memtable, 8, "k") == "");
  CHECK(memtable.row_count() == 3);
}

TEST_CASE("Memtable: an overwrite that fits happens in place and takes no memory",
          "[engine][memtable]") {
  Memtable memtable(kExpectedBytes);
  const auto* entry = Put(memtable, 1, "key", std::string(100, 'a')).entry;
  const size_t bytes = memtable.memory_bytes();
  for (const size_t size : {100, 3, 0, 77, 100}) {
    CHECK(Put(memtable, 1, "key", std::string(size, 'b')).entry == entry);
    CHECK(entry->value_bytes() == std::string(size, 'b'));
  }
  CHECK(PutTombstone(memtable, 1, "key").entry == entry);
  CHECK(Put(memtable, 1, "key", std::string(100, 'c')).entry == entry);
  CHECK(memtable.memory_bytes() == bytes);
  CHECK(Put(memtable, 1, "key", std::string(101, 'd')).entry != entry);
  CHECK(ValueOf(memtable, 1, "key") == std::string(101, 'd'));
}

TEST_CASE("Memtable: a value that grows byte by byte does not fill the arena with copies",
          "[engine][memtable]") {
  Memtable memtable(kExpectedBytes);
  std::string value;
  for (int i = 0; i < 10'000; ++i) {
    value += static_cast<char>('a' + i % 26);
    Put(memtable, 1, "key", value);
    REQUIRE(ValueOf(memtable, 1, "key") == value);
  }
  CHECK(memtable.memory_bytes() < 100'000);
}

TEST_CASE("Memtable: a value may be overwritten by a part of itself", "[engine][memtable]") {
  Memtable memtable(kExpectedBytes);
  const auto* entry = Put(memtable, 1, "key", "0123456789").entry;
  Put(memtable, 1, "key", entry->value_bytes().substr(3));
  CHECK(ValueOf(memtable, 1, "key") == "3456789");

  const auto large = std::make_shared<const std::string>(kSharedValueBytes, 'x');
  entry = PutShared(memtable, 1, "key", large).entry;
  Put(memtable, 1, "key", entry->value_bytes());  // the view alone: copied
  CHECK(ValueOf(memtable, 1, "key") == *large);
  CHECK(large.use_count() == 1);
}

TEST_CASE("Memtable: values with an owner are shared, counted and let go of",
          "[engine][memtable]") {
  const auto large = std::make_shared<const std::string>(100'000, 'x');
  const auto other = std::make_shared<const std::string>(50'000, 'y');
  {
    Memtable memtable(kExpectedBytes);
    Put(memtable, 1, "inline", "small");
    const size_t before = memtable.memory_bytes();
    const auto* entry = PutShared(memtable, 1, "key", large).entry;
    CHECK(entry->value_bytes().data() == large->data());
    CHECK(entry->value().owner == large);
    CHECK(entry->key() == "key");
    CHECK(memtable.memory_bytes() > before + 100'000);
    CHECK(large.use_count() == 2);

    CHECK(PutShared(memtable, 1, "key", other).entry == entry);
    CHECK(large.use_count() == 1);
    CHECK(memtable.memory_bytes() < before + 60'000);
    CHECK(ValueOf(memtable, 1, "key") == *other);

    CHECK(PutTombstone(memtable, 1, "key").previous == Previous::kLive);
    CHECK(other.use_count() == 1);
    CHECK(memtable.memory_bytes() < before + 10'000);
    CHECK(PutShared(memtable, 1, "key", large).previous == Previous::kTombstone);
    CHECK(Put(memtable, 1, "key", "small again").previous == Previous::kLive);
    CHECK(large.use_count() == 1);
    CHECK(ValueOf(memtable, 1, "key") == "small again");
    CHECK(memtable.Find(1, "key")->value().owner == nullptr);

    CHECK(PutShared(memtable, 1, "inline", large).previous == Previous::kLive);
    PutShared(memtable, 2, "third", large);
    CHECK(large.use_count() == 3);
  }
  CHECK(large.use_count() == 1);
}

TEST_CASE("Memtable: marks", "[engine][memtable]") {
  Memtable memtable(kExpectedBytes);
  const auto* entry = Put(memtable, 1, "key", "12345").entry;
  CHECK_FALSE(entry->read());
  CHECK_FALSE(entry->unsettled());
  entry->MarkRead();
  entry->SetUnsettled(true);
  CHECK(entry->read());
  Put(memtable, 1, "key", "1234");  // in place
  CHECK_FALSE(entry->read());
  CHECK(entry->unsettled());
  entry->MarkRead();
  entry = Put(memtable, 1, "key", "1234567890").entry;  // replaced
  CHECK_FALSE(entry->read());
  CHECK(entry->unsettled());
  entry->MarkRead();
  entry->SetUnsettled(false);
  CHECK(entry->read());
  CHECK_FALSE(entry->unsettled());
}

using Model = std::map<std::pair<Position, std::string>, std::pair<std::string, bool>>;

void CheckWalk(const Memtable& memtable, const Model& model, Position from) {
  auto expected = model.lower_bound({from, ""});
  const auto cursor = memtable.NewCursor();
  for (cursor->Seek(from); cursor->Valid(); cursor->Next(), ++expected) {
    REQUIRE(expected != model.end());
    const Row& row = cursor->row();
    REQUIRE(row.position == expected->first.first);
    REQUIRE(row.key == expected->first.second);
    REQUIRE(row.value == expected->second.first);
    REQUIRE(row.is_tombstone == expected->second.second);
  }
  REQUIRE(expected == model.end());
  CHECK(cursor->status().has_value());
}

// Positions that share buckets, positions that keys share, and the ends of the space.
Position RandomPosition(std::mt19937_64& random) {
  switch (random() % 4) {
    case 0:
      return random() % 8;
    case 1:
      return ~Position{0} - random() % 8;
    case 2:
      return (random() % 64) << 58;
    default:
      return random();
  }
}

TEST_CASE("Memtable: equals a map", "[engine][memtable][model]") {
  const auto seed = GENERATE(range(1u, 9u));
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  Memtable memtable(random() % 2 == 0 ? 0 : 4 << 20);
  Model model;
  std::vector<std::pair<Position, std::string>> keys;
  for (int step = 0; step < 20'000; ++step) {
    if (keys.empty() || random() % 4 == 0) {
      keys.emplace_back(RandomPosition(random), std::to_string(random() % 100));
    }
    const auto& [position, key] = keys[random() % keys.size()];
    const auto known = model.find({position, key});
    const Previous previous = known == model.end()   ? Previous::kNone
                              : known->second.second ? Previous::kTombstone
                                                     : Previous::kLive;
    memtable.PrefetchBucket(position);
    memtable.PrefetchEntry(position);
    std::string value(random() % (random() % 50 == 0 ? 2000 : 40),
                      static_cast<char>('a' + step % 26));
    Memtable::Upserted upserted;
    const auto kind = random() % 10;
    if (kind == 0) {
      value.clear();
      upserted = PutTombstone(memtable, position, key);
    } else if (kind == 1) {
      upserted = PutShared(memtable, position, key, std::make_shared<const std::string>(value));
    } else {
      upserted = Put(memtable, position, key, value);
    }
    REQUIRE(upserted.previous == previous);
    model[{position, key}] = {value, kind == 0};
    REQUIRE(memtable.row_count() == model.size());
    const auto& [other_position, other_key] = keys[random() % keys.size()];
    const auto expected = model.find({other_position, other_key});
    REQUIRE((memtable.Find(other_position, other_key) != nullptr) == (expected != model.end()));
  }
  for (const auto& [id, row] : model) {
    REQUIRE(ValueOf(memtable, id.first, id.second) == (row.second ? "(tombstone)" : row.first));
  }
  CheckWalk(memtable, model, 0);
  CheckWalk(memtable, model, ~Position{0});
  for (int i = 0; i < 20; ++i) CheckWalk(memtable, model, RandomPosition(random));
}

TEST_CASE("Memtable: an unused one costs nothing, a full one what it holds", "[engine][memtable]") {
  Memtable memtable(64 << 20);
  CHECK(memtable.memory_bytes() == 0);
  const auto cursor = memtable.NewCursor();
  cursor->Seek(0);
  CHECK_FALSE(cursor->Valid());
  std::mt19937_64 random(1);
  Put(memtable, random(), "first", "row");
  CHECK(memtable.memory_bytes() < 10'000);
  const std::string value(100, 'v');
  constexpr size_t kRows = 100'000;
  for (size_t i = 0; i < kRows; ++i) Put(memtable, random(), "key:" + std::to_string(i), value);
  const size_t data_bytes = kRows * (32 + 9 + 100);
  const size_t bucket_bytes = (64 << 20) / 128 * sizeof(void*);
  CHECK(memtable.memory_bytes() > data_bytes);
  CHECK(memtable.memory_bytes() < data_bytes * 105 / 100 + bucket_bytes);
}

TEST_CASE("Memtable: values of any size", "[engine][memtable]") {
  Memtable memtable(kExpectedBytes);
  Model model;
  for (const size_t size : {0, 1, 7, 8, 9, 4095, 16'383, 16'384, 262'144, 300'000, 3'000'000}) {
    const std::string key(size / 2, 'k');
    const std::string value(size, 'v');
    Put(memtable, size, key, value);
    model[{size, key}] = {value, false};
  }
  CheckWalk(memtable, model, 0);
}

}  // namespace
}  // namespace varve::engine
