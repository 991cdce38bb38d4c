#include "engine/key_set.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

namespace varve::engine {
namespace {

struct Key {
  Position position;
  std::string bytes;
  bool is_tombstone;
};

// Keys of `range`, in order.
std::vector<Key> MakeKeys(const DyadicRange& range, size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<Key> keys;
  for (size_t i = 0; i < count; ++i) {
    const Position position = range.begin | (range.bits == 0 ? random() : random() >> range.bits);
    keys.push_back({position, "key" + std::to_string(random()), random() % 3 == 0});
  }
  std::sort(keys.begin(), keys.end(),
            [](const Key& a, const Key& b) { return a.position < b.position; });
  return keys;
}

std::shared_ptr<const KeySet> Build(const DyadicRange& range, const std::vector<Key>& keys) {
  KeySetBuilder builder(range, keys.size());
  for (const Key& key : keys) builder.Add(key.position, key.bytes, key.is_tombstone);
  return builder.Finish();
}

TEST_CASE("key set: knows each key of the table, and no other", "[engine]") {
  const int bits = GENERATE(0, 3, 11, 48);
  const size_t count = GENERATE(1, 2, 9, 1000, 50'000);
  CAPTURE(bits, count);
  const auto range = DyadicRange::Of(0x9abcdef012345678, bits);
  const std::vector<Key> keys = MakeKeys(range, count, 1);
  const auto set = Build(range, keys);
  size_t wrong = 0;
  for (const Key& key : keys) {
    const auto wanted = key.is_tombstone ? KeySet::Answer::kTombstone : KeySet::Answer::kLive;
    if (set->Find(key.position, key.bytes) != wanted) ++wrong;
  }
  CHECK(wrong == 0);
  size_t taken = 0;
  for (const Key& key : MakeKeys(range, 50'000, 2)) {
    if (set->Find(key.position, key.bytes) != KeySet::Answer::kNothing) ++taken;
  }
  CHECK(taken == 0);
  CHECK(set->memory_bytes() <= KeySet::MemoryBytesFor(count) + 200);
}

TEST_CASE("key set: keys of one position are told apart", "[engine]") {
  // With few bits of the range and buckets known there is little room for the second hash, but a
  // table of many rows knows many.
  const DyadicRange range = DyadicRange::Of(0, 20);
  std::vector<Key> keys = MakeKeys(range, 5000, 3);
  const Key first = keys[2500];
  const auto set = Build(range, keys);
  CHECK(set->Find(first.position, first.bytes) != KeySet::Answer::kNothing);
  CHECK(set->Find(first.position, first.bytes + "x") == KeySet::Answer::kNothing);
}

TEST_CASE("key set: takes some 6.5 bytes a key", "[engine]") {
  const std::vector<Key> keys = MakeKeys({}, 60'000, 4);
  CHECK(static_cast<double>(Build({}, keys)->memory_bytes()) / 60'000 < 7);
}

}  // namespace
}  // namespace varve::engine
