#include "engine/row_cache.h"

#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <vector>

namespace varve::engine {
namespace {

constexpr uint64_t kPlenty = 1ull << 30;
constexpr TreeId kTree = 1;

// Spreads small numbers as a hash would.
Position PositionOf(uint64_t number) { return (number + 1) * 0x9E3779B97F4A7C15; }

const RowCache::Row* Put(RowCache& cache, uint64_t number, std::string_view value,
                         TreeId tree = kTree) {
  return cache.Insert(tree, PositionOf(number), std::to_string(number), {value, nullptr},
                      ValueType::kString);
}

bool Has(const RowCache& cache, uint64_t number, TreeId tree = kTree) {
  return cache.Peek(tree, PositionOf(number), std::to_string(number)) != nullptr;
}

bool Visit(RowCache& cache, uint64_t number) {
  return cache.Find(kTree, PositionOf(number), std::to_string(number)) != nullptr;
}

bool Erase(RowCache& cache, uint64_t number) {
  return cache.Erase(kTree, PositionOf(number), std::to_string(number)) !=
         RowCache::Known::kNothing;
}

TEST_CASE("RowCache: rows, absences, trees", "[engine][row_cache]") {
  RowCache cache(kPlenty);
  CHECK_FALSE(Visit(cache, 1));
  CHECK(cache.hits() == 0);
  const RowCache::Row* row = Put(cache, 1, "one");
  CHECK(cache.Find(kTree, PositionOf(1), "1") == row);
  CHECK(cache.hits() == 1);
  CHECK(row->key() == "1");
  CHECK(row->value().bytes == "one");
  CHECK(row->value().owner == nullptr);
  CHECK_FALSE(row->is_absent());

  Put(cache, 1, "other tree", 2);
  cache.Insert(kTree, PositionOf(1), "same position", {"x", nullptr}, ValueType::kString);
  CHECK(cache.row_count() == 3);
  CHECK(cache.Peek(kTree, PositionOf(1), "1")->value_bytes() == "one");
  CHECK(cache.Peek(2, PositionOf(1), "1")->value_bytes() == "other tree");
  CHECK(cache.Peek(3, PositionOf(1), "1") == nullptr);
  CHECK(cache.hits() == 1);

  Put(cache, 1, "replaced");
  CHECK(cache.row_count() == 3);
  CHECK(cache.Peek(kTree, PositionOf(1), "1")->value_bytes() == "replaced");
  CHECK(cache.InsertAbsent(kTree, PositionOf(1), "1")->is_absent());
  CHECK(cache.Peek(kTree, PositionOf(1), "1")->value_bytes().empty());
  CHECK(cache.row_count() == 3);

  CHECK(Erase(cache, 1));
  CHECK_FALSE(Erase(cache, 1));
  CHECK_FALSE(Has(cache, 1));
  CHECK(Has(cache, 1, 2));
  CHECK(cache.row_count() == 2);
}

TEST_CASE("RowCache: a row may be replaced by what it is made of", "[engine][row_cache]") {
  RowCache cache(kPlenty);
  const RowCache::Row* row = Put(cache, 1, "0123456789");
  row = cache.Insert(kTree, PositionOf(1), row->key(), {row->value_bytes().substr(4), nullptr},
                     ValueType::kString);
  CHECK(row->key() == "1");
  CHECK(row->value_bytes() == "456789");
  row = cache.InsertAbsent(kTree, PositionOf(1), row->key());
  CHECK(row->key() == "1");
}

TEST_CASE("RowCache: large values are shared and counted, small ones copied",
          "[engine][row_cache]") {
  const auto large = std::make_shared<const std::string>(kSharedValueBytes, 'x');
  {
    RowCache cache(kPlenty);
    const uint64_t before = cache.memory_bytes();
    const auto* row = cache.Insert(kTree, PositionOf(1), "1", {*large, large}, ValueType::kString);
    CHECK(row->value_bytes().data() == large->data());
    CHECK(row->value().owner == large);
    CHECK(row->key() == "1");
    CHECK(large.use_count() == 2);
    CHECK(cache.memory_bytes() > before + kSharedValueBytes);
    // A small part would keep all of the owner in memory.
    row = cache.Insert(kTree, PositionOf(2), "2", {std::string_view(*large).substr(0, 10), large},
                       ValueType::kString);
    CHECK(row->value().owner == nullptr);
    CHECK(row->value_bytes() == "xxxxxxxxxx");
    CHECK(large.use_count() == 2);
    CHECK(Erase(cache, 1));
    CHECK(large.use_count() == 1);
    CHECK(cache.memory_bytes() < before + 1000);
    cache.Insert(kTree, PositionOf(1), "1", {*large, large}, ValueType::kString);
  }
  CHECK(large.use_count() == 1);
}

TEST_CASE("RowCache: the cost of a small row", "[engine][row_cache]") {
  RowCache cache(kPlenty);
  constexpr uint64_t kRows = 100'000;
  for (uint64_t i = 0; i < kRows; ++i) Put(cache, i, "0123456789");
  CHECK(cache.row_count() == kRows);
  CHECK(cache.memory_bytes() >= kRows * (48 + 10 + 5));
  CHECK(cache.memory_bytes() <= kRows * (48 + 10 + 5 + 8 + 24));  // bucket, allocator's rounding
}

TEST_CASE("RowCache: the table grows and shrinks with the rows", "[engine][row_cache]") {
  RowCache cache(kPlenty);
  const uint64_t before = cache.memory_bytes();
  constexpr uint64_t kRows = 50'000;  // a dozen segments
  for (int round = 0; round < 2; ++round) {
    for (uint64_t i = 0; i < kRows; ++i) {
      Put(cache, i, std::to_string(i));
      if (i % 977 == 0) {
        for (uint64_t j = 0; j <= i; j += 101) REQUIRE(Has(cache, j));
      }
    }
    for (uint64_t i = 0; i < kRows; ++i) {
      REQUIRE(Erase(cache, i));
      if (i % 977 == 0) {
        for (uint64_t j = i + 1; j < kRows; j += 101) REQUIRE(Has(cache, j));
      }
    }
    CHECK(cache.row_count() == 0);
    // Erased rows keep their memory for the next value, as long as there is room.
    cache.SetBytesMax(0);
    while (!cache.EvictSome(1000)) {
    }
    CHECK(cache.memory_bytes() == before);
    cache.SetBytesMax(kPlenty);
  }
}

TEST_CASE("RowCache: an erased row is not found, and its memory serves the next value",
          "[engine][row_cache]") {
  RowCache cache(kPlenty);
  Put(cache, 1, "first");
  const uint64_t bytes = cache.memory_bytes();
  CHECK(cache.Erase(kTree, PositionOf(1), "1") == RowCache::Known::kLive);
  CHECK_FALSE(Has(cache, 1));
  CHECK(cache.Peek(kTree, PositionOf(1), "1") == nullptr);
  CHECK(cache.row_count() == 0);
  CHECK(cache.Erase(kTree, PositionOf(1), "1") == RowCache::Known::kNothing);
  CHECK(cache.memory_bytes() == bytes);
  Put(cache, 1, "again");
  CHECK(cache.memory_bytes() == bytes);
  REQUIRE(cache.Find(kTree, PositionOf(1), "1") != nullptr);
  CHECK(cache.Find(kTree, PositionOf(1), "1")->value_bytes() == "again");
  Put(cache, 1, "of another size");
  CHECK(cache.Find(kTree, PositionOf(1), "1")->value_bytes() == "of another size");
  cache.InsertAbsent(kTree, PositionOf(1), "1");
  CHECK(cache.Find(kTree, PositionOf(1), "1")->is_absent());
  CHECK(cache.Erase(kTree, PositionOf(1), "1") == RowCache::Known::kAbsent);
  CHECK(cache.row_count() == 0);
}

TEST_CASE("RowCache: without hits the oldest goes first", "[engine][row_cache]") {
  RowCache cache(kPlenty);
  for (uint64_t i = 0; i < 100; ++i) Put(cache, i, std::string(1000, 'v'));
  cache.SetBytesMax(cache.memory_bytes() - 1);
  CHECK_FALSE(Has(cache, 0));
  CHECK(cache.row_count() == 99);
  CHECK(cache.evictions() == 1);
  for (uint64_t i = 100; i < 150; ++i) Put(cache, i, std::string(1000, 'v'));
  for (uint64_t i = 0; i < 150; ++i) {
    CAPTURE(i);
    CHECK(Has(cache, i) == (i > 50));
  }
  CHECK(cache.evictions() == 51);
  CHECK(cache.is_full() == (cache.memory_bytes() >= cache.bytes_max()));
  cache.ResetStats();
  CHECK(cache.evictions() == 0);
}

TEST_CASE("RowCache: a visit spares a row once", "[engine][row_cache]") {
  RowCache cache(kPlenty);
  for (uint64_t i = 0; i < 4; ++i) Put(cache, i, std::string(1000, 'v'));
  Visit(cache, 0);
  Visit(cache, 1);
  cache.SetBytesMax(cache.memory_bytes() - 1);
  CHECK((Has(cache, 0) && Has(cache, 1) && !Has(cache, 2) && Has(cache, 3)));
  cache.SetBytesMax(cache.memory_bytes() - 1);  // the hand goes on where it stood,
  CHECK((Has(cache, 0) && Has(cache, 1) && !Has(cache, 3)));
  cache.SetBytesMax(cache.memory_bytes() - 1);  // and comes around
  CHECK((!Has(cache, 0) && Has(cache, 1)));
}

TEST_CASE("RowCache: a scan of cold rows leaves the hot ones", "[engine][row_cache]") {
  RowCache cache(1 << 20);
  constexpr uint64_t kHot = 1000;
  const std::string value(100, 'v');
  for (uint64_t i = 0; i < kHot; ++i) Put(cache, i, value);
  std::mt19937_64 random(1);
  for (uint64_t cold = 0; cold < 100'000; ++cold) {
    Put(cache, 1'000'000 + cold, value);
    Visit(cache, random() % kHot);
  }
  uint64_t kept = 0;
  for (uint64_t i = 0; i < kHot; ++i) kept += Has(cache, i) ? 1 : 0;
  CHECK(kept > kHot * 95 / 100);
  CHECK(cache.memory_bytes() <= cache.bytes_max());
}

TEST_CASE("RowCache: a pinned row stays", "[engine][row_cache]") {
  RowCache cache(kPlenty);
  std::vector<RowCache::Pin> pins;
  const std::string value(1000, 'v');
  for (uint64_t i = 0; i < 10; ++i) pins.push_back(cache.MakePin(Put(cache, i, value)));
  pins.push_back(cache.MakePin(&pins[3].row()));
  cache.SetBytesMax(0);
  CHECK(cache.row_count() == 10);
  CHECK_FALSE(cache.EvictSome(1000));
  const RowCache::Row* extra = Put(cache, 10, value);  // it is given out, so it is still there
  CHECK(extra->value_bytes() == value);
  CHECK_FALSE(cache.EvictSome(1000));
  CHECK_FALSE(Has(cache, 10));

  CHECK(Erase(cache, 0));
  CHECK_FALSE(Has(cache, 0));
  CHECK(pins[0].row().value_bytes() == value);
  Put(cache, 1, "newer");
  CHECK(pins[1].row().value_bytes() == value);
  const uint64_t with_detached = cache.memory_bytes();
  pins[0] = cache.MakePin(&pins[2].row());
  CHECK(with_detached - cache.memory_bytes() > 1000);

  pins.pop_back();  // one of two pins of row 3
  cache.EvictSome(1000);
  CHECK(Has(cache, 3));
  pins.clear();
  CHECK(cache.EvictSome(1000));
  CHECK(cache.row_count() == 0);
}

TEST_CASE("RowCache: a smaller budget is reached in bounded steps", "[engine][row_cache]") {
  RowCache cache(kPlenty);
  for (uint64_t i = 0; i < 20'000; ++i) {
    Put(cache, i, "value");
    Visit(cache, i);
  }
  const uint64_t rows = cache.row_count();
  cache.SetBytesMax(cache.memory_bytes() / 2);
  CHECK(cache.row_count() == rows);  // only visits were taken back so far
  int calls = 0;
  while (!cache.EvictSome(100)) {
    ++calls;
    REQUIRE(calls < 1000);
  }
  CHECK(calls > 200);
  CHECK(cache.memory_bytes() <= cache.bytes_max());
  CHECK(cache.row_count() > rows / 3);
  cache.SetBytesMax(0);
  while (!cache.EvictSome(100)) continue;
  CHECK(cache.row_count() == 0);
}

using Model = std::map<std::tuple<TreeId, Position, std::string>, std::optional<std::string>>;

// Nothing wrong is ever found; without evictions, all is.
TEST_CASE("RowCache: equals a map, as far as it remembers", "[engine][row_cache][model]") {
  const auto seed = GENERATE(range(1u, 9u));
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const bool roomy = seed % 2 == 0;
  RowCache cache(roomy ? kPlenty : 200'000);
  Model model;
  std::vector<RowCache::Pin> pins;
  std::vector<std::string> pinned_keys;
  uint64_t found = 0;
  for (int step = 0; step < 50'000; ++step) {
    const TreeId tree = 1 + random() % 3;
    const uint64_t number = random() % 3000;
    const Position position = random() % 10 == 0 ? number % 5 : PositionOf(number);
    const std::string key = std::to_string(number);
    const auto expected = model.find({tree, position, key});
    switch (random() % 8) {
      case 0:
        REQUIRE((cache.Erase(tree, position, key) != RowCache::Known::kNothing
                     ? expected != model.end()
                     : !roomy || expected == model.end()));
        model.erase({tree, position, key});
        break;
      case 1:
        cache.InsertAbsent(tree, position, key);
        model[{tree, position, key}] = std::nullopt;
        break;
      case 2:
      case 3: {
        const std::string value(random() % 200, static_cast<char>('a' + step % 26));
        const RowCache::Row* row =
            cache.Insert(tree, position, key, {value, nullptr}, ValueType::kString);
        REQUIRE(row->value_bytes() == value);
        model[{tree, position, key}] = value;
        if (random() % 10 == 0) {
          pins.push_back(cache.MakePin(row));
          pinned_keys.push_back(key);
        }
        break;
      }
      default: {
        const RowCache::Row* row = cache.Find(tree, position, key);
        if (roomy) REQUIRE((row != nullptr) == (expected != model.end()));
        if (row == nullptr) break;
        ++found;
        REQUIRE(expected != model.end());
        REQUIRE(row->is_absent() == !expected->second.has_value());
        if (expected->second) REQUIRE(row->value_bytes() == *expected->second);
      }
    }
    if (roomy) REQUIRE(cache.row_count() == model.size());
    for (size_t i = 0; i < pins.size(); ++i) REQUIRE(pins[i].row().key() == pinned_keys[i]);
    if (pins.size() > 20) {
      pins.clear();
      pinned_keys.clear();
    }
  }
  CHECK(found > 1000);
  if (!roomy) CHECK(cache.memory_bytes() < 220'000);
}

}  // namespace
}  // namespace varve::engine
