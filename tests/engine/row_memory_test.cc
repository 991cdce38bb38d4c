#include "engine/row_memory.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace varve::engine {
namespace {

using Known = RowMemory::Known;
using SharedString = std::shared_ptr<const std::string>;

constexpr uint64_t kPlenty = 1ull << 30;
// Segments of 128 KiB, so that a few thousand rows fill many, and no huge pages.
constexpr uint64_t kSmallSegments = 8 << 20;

// Spreads small numbers as a hash would.
Position PositionOf(uint64_t number) { return (number + 1) * 0x9E3779B97F4A7C15; }

SharedString Shared(size_t size, char byte = 'x') {
  return std::make_shared<const std::string>(size, byte);
}

// The rows of one tree, whose keys are numbers.
class TestTree {
 public:
  explicit TestTree(RowMemory& memory) : memory_(memory) {}

  Known Put(Memtable& memtable, uint64_t number, std::string_view value) {
    return memory_.Write(*rows_, memtable, PositionOf(number), std::to_string(number),
                         {value, nullptr}, ValueType::kString, false);
  }
  Known PutShared(Memtable& memtable, uint64_t number, const SharedString& value) {
    return memory_.Write(*rows_, memtable, PositionOf(number), std::to_string(number),
                         {*value, value}, ValueType::kString, false);
  }
  Known Delete(Memtable& memtable, uint64_t number) {
    return memory_.Write(*rows_, memtable, PositionOf(number), std::to_string(number), {},
                         ValueType::kString, true);
  }
  RowMemory::Pin Load(uint64_t number, std::string_view value) {
    return memory_.AddLoaded(rows_, PositionOf(number), std::to_string(number), {value, nullptr},
                             ValueType::kString, false);
  }
  RowMemory::Pin LoadShared(uint64_t number, const SharedString& value) {
    return memory_.AddLoaded(rows_, PositionOf(number), std::to_string(number), {*value, value},
                             ValueType::kString, false);
  }
  RowMemory::Pin LoadAbsent(uint64_t number) {
    return memory_.AddLoaded(rows_, PositionOf(number), std::to_string(number), {},
                             ValueType::kString, true);
  }
  const MemoryRow* Find(uint64_t number) const {
    return rows_->table.Find(PositionOf(number), std::to_string(number));
  }
  bool Has(uint64_t number) const { return Find(number) != nullptr; }
  void Visit(uint64_t number) const {
    if (const MemoryRow* row = Find(number)) row->MarkVisited();
  }
  std::string ValueOf(uint64_t number) const {
    const MemoryRow* const row = Find(number);
    if (row == nullptr) return "(none)";
    return row->is_absent() ? "(absent)" : std::string(row->value_bytes());
  }
  uint64_t CountOf(uint64_t begin, uint64_t end) const {
    uint64_t count = 0;
    for (uint64_t number = begin; number < end; ++number) count += Has(number) ? 1 : 0;
    return count;
  }
  std::shared_ptr<TreeRows>& rows() { return rows_; }

 private:
  RowMemory& memory_;
  std::shared_ptr<TreeRows> rows_ = std::make_shared<TreeRows>();
};

// Returns how many calls it took.
int EvictAll(RowMemory& memory, size_t rows_per_call = 1000) {
  int calls = 1;
  for (; !memory.EvictSome(rows_per_call); ++calls) {
    if (calls == 100'000) FAIL("eviction does not end");
  }
  return calls;
}

using Written = std::map<std::pair<Position, std::string>, std::optional<std::string>>;

// What a flush of the memtable would write.
Written RowsOf(const Memtable& memtable) {
  Written rows;
  const auto cursor = memtable.NewCursor();
  for (cursor->Seek(0); cursor->Valid(); cursor->Next()) {
    const Row& row = cursor->row();
    std::optional<std::string> value;
    if (!row.is_tombstone) value = row.value;
    REQUIRE(rows.emplace(std::pair(row.position, row.key), value).second);
  }
  REQUIRE(rows.size() == memtable.row_count());
  return rows;
}

Written::value_type WrittenRow(uint64_t number, std::optional<std::string> value) {
  return {{PositionOf(number), std::to_string(number)}, std::move(value)};
}

// ---- Writing

TEST_CASE("RowMemory: a write says what was known of the key", "[engine][row_memory]") {
  RowMemory memory(kPlenty);
  TestTree tree(memory);
  TestTree other(memory);
  Memtable memtable(1);
  CHECK(memtable.empty());
  CHECK(memtable.generation() == 1);
  CHECK(tree.Put(memtable, 7, "one") == Known::kNothing);
  CHECK(tree.Put(memtable, 7, "two") == Known::kLive);
  CHECK(tree.Delete(memtable, 7) == Known::kLive);
  CHECK(tree.ValueOf(7) == "(absent)");
  CHECK(tree.Delete(memtable, 7) == Known::kAbsent);
  CHECK(tree.Put(memtable, 7, "three") == Known::kAbsent);
  CHECK(tree.ValueOf(7) == "three");
  CHECK(memtable.row_count() == 1);
  CHECK(tree.Delete(memtable, 8) == Known::kNothing);
  CHECK(memtable.row_count() == 2);

  // Another tree's keys are others.
  Memtable other_memtable(1);
  CHECK_FALSE(other.Has(7));
  CHECK(other.Put(other_memtable, 7, "") == Known::kNothing);
  CHECK(other.ValueOf(7) == "");
  CHECK(tree.ValueOf(7) == "three");

  // A newer memtable's, of rows in the older one, clean rows, and loaded ones.
  Memtable newer(2);
  CHECK(tree.Put(newer, 7, "four") == Known::kLive);
  CHECK(tree.Put(newer, 8, "eight") == Known::kAbsent);
  CHECK(newer.row_count() == 2);
  memory.MakeClean(memtable);
  memory.MakeClean(newer);
  Memtable newest(3);
  CHECK(tree.Put(newest, 7, "five") == Known::kLive);
  (void)tree.Load(9, "nine");
  (void)tree.LoadAbsent(10);
  CHECK(tree.Put(newest, 9, "nine again") == Known::kLive);
  CHECK(tree.Put(newest, 10, "ten") == Known::kAbsent);
  CHECK(tree.Put(newest, 11, "eleven") == Known::kNothing);
  CHECK(newest.row_count() == 4);
  for (const auto& [number, value] :
       {std::pair{7, "five"}, {8, "eight"}, {9, "nine again"}, {10, "ten"}, {11, "eleven"}}) {
    CHECK(tree.ValueOf(number) == value);
  }
}

TEST_CASE("RowMemory: an overwrite that fits happens in place and takes no memory",
          "[engine][row_memory]") {
  RowMemory memory(kPlenty);
  TestTree tree(memory);
  Memtable memtable(1);
  tree.Put(memtable, 1, std::string(100, 'a'));
  const MemoryRow* const row = tree.Find(1);
  const uint64_t bytes = memtable.memory_bytes();
  for (const size_t size : {100, 3, 0, 77, 100}) {
    CAPTURE(size);
    CHECK(tree.Put(memtable, 1, std::string(size, 'b')) == Known::kLive);
    CHECK(tree.Find(1) == row);
    CHECK(row->value_bytes() == std::string(size, 'b'));
  }
  tree.Delete(memtable, 1);
  CHECK(tree.Find(1) == row);
  tree.Put(memtable, 1, std::string(100, 'c'));
  CHECK(tree.Find(1) == row);
  CHECK(memtable.memory_bytes() == bytes);
  tree.Put(memtable, 1, std::string(101, 'd'));
  CHECK(tree.Find(1) != row);
  CHECK(tree.ValueOf(1) == std::string(101, 'd'));
  CHECK(memtable.memory_bytes() > bytes);
  CHECK(RowsOf(memtable) == Written{WrittenRow(1, std::string(101, 'd'))});
}

TEST_CASE("RowMemory: a value that grows byte by byte does not fill the memory with copies",
          "[engine][row_memory]") {
  RowMemory memory(kPlenty);
  TestTree tree(memory);
  Memtable memtable(1);
  std::string value;
  for (int i = 0; i < 10'000; ++i) {
    value += static_cast<char>('a' + i % 26);
    tree.Put(memtable, 1, value);
    REQUIRE(tree.ValueOf(1) == value);
  }
  CHECK(memtable.memory_bytes() < 100'000);
  CHECK(memtable.row_count() == 1);
}

TEST_CASE("RowMemory: a value may be overwritten by a part of itself", "[engine][row_memory]") {
  RowMemory memory(kPlenty);
  TestTree tree(memory);
  Memtable memtable(1);
  tree.Put(memtable, 1, "0123456789");
  tree.Put(memtable, 1, tree.Find(1)->value_bytes().substr(3));
  CHECK(tree.ValueOf(1) == "3456789");

  Memtable newer(2);
  tree.Put(newer, 1, tree.Find(1)->value_bytes().substr(1, 5));  // of the older memtable
  CHECK(tree.ValueOf(1) == "45678");

  const SharedString large = Shared(kSharedValueBytes);
  tree.PutShared(newer, 1, large);
  tree.Put(newer, 1, tree.Find(1)->value_bytes());  // the view alone: copied
  CHECK(tree.ValueOf(1) == *large);
  CHECK(large.use_count() == 1);
  tree.PutShared(newer, 1, large);
  CHECK(memory.Write(*tree.rows(), newer, PositionOf(1), "1", tree.Find(1)->value(),
                     ValueType::kString, false) == Known::kLive);
  CHECK(tree.ValueOf(1) == *large);
  CHECK(large.use_count() == 2);

  // The key, too, may be a view of what is there.
  const Row row = tree.Find(1)->row();
  memory.Write(*tree.rows(), newer, row.position, row.key, {"small", nullptr}, ValueType::kString,
               false);
  CHECK(tree.ValueOf(1) == "small");
}

TEST_CASE("RowMemory: views of other rows stay valid while rows are written",
          "[engine][row_memory]") {
  RowMemory memory(kSmallSegments);
  TestTree tree(memory);
  Memtable memtable(1);
  std::vector<std::string_view> views;
  for (uint64_t i = 0; i < 10'000; ++i) {
    tree.Put(memtable, i, std::to_string(i * i));
    views.push_back(tree.Find(i)->value_bytes());
  }
  for (uint64_t i = 0; i < views.size(); ++i) REQUIRE(views[i] == std::to_string(i * i));
}

TEST_CASE("RowMemory: values with an owner are shared, counted and let go of",
          "[engine][row_memory]") {
  const SharedString large = Shared(100'000, 'x');
  const SharedString other = Shared(50'000, 'y');
  {
    RowMemory memory(kPlenty);
    TestTree tree(memory);
    Memtable memtable(1);
    tree.Put(memtable, 2, "inline");
    const uint64_t before = memtable.memory_bytes();
    tree.PutShared(memtable, 1, large);
    const MemoryRow* const row = tree.Find(1);
    CHECK(row->value_bytes().data() == large->data());
    CHECK(row->value().owner == large);
    CHECK(row->key() == "1");
    CHECK(memtable.memory_bytes() > before + 100'000);
    CHECK(large.use_count() == 2);

    tree.PutShared(memtable, 1, other);
    CHECK(tree.Find(1) == row);
    CHECK(large.use_count() == 1);
    CHECK(memtable.memory_bytes() < before + 60'000);
    CHECK(tree.ValueOf(1) == *other);

    CHECK(tree.Delete(memtable, 1) == Known::kLive);
    CHECK(other.use_count() == 1);
    CHECK(memtable.memory_bytes() < before + 10'000);
    CHECK(tree.PutShared(memtable, 1, large) == Known::kAbsent);
    CHECK(tree.Put(memtable, 1, "small again") == Known::kLive);
    CHECK(large.use_count() == 1);
    CHECK(tree.ValueOf(1) == "small again");
    CHECK(tree.Find(1)->value().owner == nullptr);

    tree.PutShared(memtable, 2, large);
    tree.PutShared(memtable, 3, large);
    CHECK(large.use_count() == 3);
    CHECK(RowsOf(memtable) ==
          Written{WrittenRow(1, "small again"), WrittenRow(2, *large), WrittenRow(3, *large)});
  }
  CHECK(large.use_count() == 1);
}

TEST_CASE("RowMemory: a superseded value is let go of as soon as no flush needs it",
          "[engine][row_memory]") {
  const SharedString sealed_value = Shared(100'000, 'a');
  const SharedString clean_value = Shared(100'000, 'b');
  RowMemory memory(kPlenty);
  TestTree tree(memory);
  Memtable oldest(1);
  tree.PutShared(oldest, 1, clean_value);
  memory.MakeClean(oldest);
  Memtable sealed(2);
  tree.PutShared(sealed, 2, sealed_value);

  Memtable active(3);
  const uint64_t clean_bytes = memory.memory_bytes();
  tree.Put(active, 1, "newer");
  CHECK(clean_value.use_count() == 1);
  CHECK(memory.memory_bytes() + 100'000 <= clean_bytes);
  const uint64_t sealed_bytes = sealed.memory_bytes();
  tree.Delete(active, 2);
  CHECK(sealed_value.use_count() == 2);
  CHECK(sealed.memory_bytes() == sealed_bytes);
  CHECK(RowsOf(sealed) == Written{WrittenRow(2, *sealed_value)});
  const uint64_t before = memory.memory_bytes();
  memory.MakeClean(sealed);
  CHECK(sealed_value.use_count() == 1);
  CHECK(memory.memory_bytes() < before + 10'000);
  CHECK(tree.ValueOf(1) == "newer");
  CHECK(tree.ValueOf(2) == "(absent)");
}

TEST_CASE("RowMemory: newer writes leave a sealed memtable as it is", "[engine][row_memory]") {
  RowMemory memory(kSmallSegments);
  TestTree tree(memory);
  Memtable older(1);
  Written expected;
  for (uint64_t i = 0; i < 5000; ++i) {
    const std::string value = "old:" + std::to_string(i);
    tree.Put(older, i, value);
    expected.insert(WrittenRow(i, value));
  }
  for (uint64_t i = 0; i < 5000; i += 7) {
    tree.Delete(older, i);
    expected[WrittenRow(i, "").first] = std::nullopt;
  }
  const auto cursor = older.NewCursor();  // a flush that is under way
  const uint64_t bytes = older.memory_bytes();

  Memtable newer(2);
  Written newer_expected;
  for (uint64_t i = 0; i < 5000; i += 3) {
    tree.Put(newer, i, "new");
    newer_expected.insert(WrittenRow(i, "new"));
  }
  for (uint64_t i = 0; i < 5000; i += 9) {
    tree.Delete(newer, i);
    newer_expected[WrittenRow(i, "").first] = std::nullopt;
  }
  CHECK(older.memory_bytes() == bytes);
  CHECK(older.row_count() == 5000);
  auto next = expected.begin();
  for (cursor->Seek(0); cursor->Valid(); cursor->Next(), ++next) {
    REQUIRE(next != expected.end());
    REQUIRE(cursor->row().key == next->first.second);
    REQUIRE(cursor->row().is_tombstone == !next->second.has_value());
    REQUIRE(cursor->row().value == next->second.value_or(""));
  }
  CHECK(next == expected.end());
  CHECK(RowsOf(older) == expected);
  CHECK(RowsOf(newer) == newer_expected);
}

// ---- What is clean

TEST_CASE("RowMemory: a flushed memtable becomes clean rows where it stands",
          "[engine][row_memory]") {
  // With huge pages and spare segments, or without.
  const uint64_t row_count = GENERATE(uint64_t{1}, uint64_t{1000}, uint64_t{50'000});
  CAPTURE(row_count);
  RowMemory memory(kPlenty);
  TestTree tree(memory);
  Memtable memtable(1);
  std::vector<const MemoryRow*> before;
  for (uint64_t i = 0; i < row_count; ++i) {
    tree.Put(memtable, i, "value");
    before.push_back(tree.Find(i));
  }
  CHECK(memtable.memory_bytes() > row_count * (24 + 5));
  CHECK(memory.clean_rows() == 0);
  CHECK(memory.memory_bytes() == tree.rows()->table.memory_bytes());  // nothing else is clean
  const uint64_t bytes = memory.memory_bytes() + memtable.memory_bytes();

  Memtable newer(2);
  tree.Put(newer, 0, "newer");
  memory.MakeClean(memtable);
  CHECK(memtable.memory_bytes() == 0);
  CHECK(memtable.row_count() == 0);
  CHECK(memtable.empty());
  CHECK(RowsOf(memtable).empty());
  CHECK(memory.memory_bytes() == bytes);
  CHECK(memory.clean_rows() == row_count - 1);  // not the one that has a newer version
  for (uint64_t i = 1; i < row_count; ++i) {
    if (tree.Find(i) != before[i]) FAIL("row " << i << " has moved");
  }
  CHECK(tree.ValueOf(0) == "newer");
}

TEST_CASE("RowMemory: known absences are clean rows", "[engine][row_memory]") {
  RowMemory memory(kPlenty);
  TestTree tree(memory);
  const RowMemory::Pin absent = tree.LoadAbsent(1);
  const RowMemory::Pin live = tree.Load(2, "two");
  CHECK(absent.row().is_absent());
  CHECK(absent.row().key() == "1");
  CHECK(absent.row().value_bytes().empty());
  CHECK_FALSE(live.row().is_absent());
  CHECK(live.row().value().bytes == "two");
  CHECK(live.row().value().owner == nullptr);
  CHECK(tree.Find(1) == &absent.row());
  CHECK(tree.Find(2) == &live.row());
  CHECK(memory.clean_rows() == 2);
  Memtable memtable(1);
  tree.Delete(memtable, 3);
  tree.Delete(memtable, 2);
  CHECK(memory.clean_rows() == 1);
  memory.MakeClean(memtable);  // a tombstone that was flushed
  CHECK(memory.clean_rows() == 3);
  for (const uint64_t number : {1, 2, 3}) CHECK(tree.ValueOf(number) == "(absent)");
}

TEST_CASE("RowMemory: without visits the oldest rows go first", "[engine][row_memory]") {
  RowMemory memory(kSmallSegments);
  TestTree tree(memory);
  const std::string value(100, 'v');
  // Loaded and flushed rows stand in one queue.
  Memtable memtable(1);
  for (uint64_t i = 0; i < 5000; ++i) tree.Put(memtable, i, value);
  memory.MakeClean(memtable);
  for (uint64_t i = 5000; i < 10'000; ++i) (void)tree.Load(i, value);
  CHECK(memory.evictions() == 0);
  CHECK_FALSE(memory.has_victims());
  memory.SetBytesMax(memory.memory_bytes() - 1);
  CHECK(memory.has_victims());
  uint64_t oldest = 0;  // that is still there
  for (int round = 0; round < 5; ++round) {
    CAPTURE(round);
    EvictAll(memory);
    CHECK(memory.memory_bytes() <= memory.bytes_max());
    CHECK_FALSE(memory.has_victims());
    const uint64_t evicted = memory.evictions();
    CHECK(evicted > oldest);
    CHECK(evicted <= oldest + 3000);  // a segment or two
    CHECK(memory.clean_rows() == 10'000 - evicted);
    oldest = evicted;
    CHECK(tree.CountOf(0, oldest) == 0);
    CHECK(tree.CountOf(oldest, 10'000) == 10'000 - oldest);
    memory.SetBytesMax(memory.memory_bytes() - 1);
  }
  memory.ResetStats();
  CHECK(memory.evictions() == 0);
  // A load makes room by itself.
  for (uint64_t i = 10'000; i < 30'000; ++i) {
    (void)tree.Load(i, value);
    REQUIRE(tree.ValueOf(i) == value);
  }
  CHECK(memory.memory_bytes() < memory.bytes_max() + (256 << 10));
  CHECK(memory.evictions() > 19'000);
  CHECK(tree.CountOf(0, 10'000) == 0);
}

TEST_CASE("RowMemory: a row stays for as many rounds as it was visited, three at most",
          "[engine][row_memory]") {
  RowMemory memory(kPlenty);
  TestTree tree(memory);
  Memtable memtable(5);
  for (uint64_t i = 0; i < 6; ++i) tree.Put(memtable, i, "value");
  for (uint64_t i = 0; i < 6; ++i) {
    for (uint64_t visit = 0; visit < i; ++visit) tree.Visit(i);
  }
  // A newer version, in the same place or another, is as hot as the old one was.
  tree.Put(memtable, 1, "VALUE");
  tree.Put(memtable, 2, "a longer value");
  memory.MakeClean(memtable);
  memory.SetBytesMax(0);
  for (uint64_t round = 0; round <= 3; ++round) {
    CAPTURE(round);
    for (uint64_t i = 0; i < 6; ++i) CHECK(tree.Has(i) == (std::min<uint64_t>(i, 3) >= round));
    memory.EvictSome(1);  // looks at all of them, since they are few
  }
  CHECK(memory.clean_rows() == 0);
}

TEST_CASE("RowMemory: the read that a row was loaded for is no visit, nor is one that comes again",
          "[engine][row_memory]") {
  RowMemory memory(kPlenty);
  TestTree tree(memory);
  Memtable memtable(1);
  for (uint64_t i = 0; i < 3; ++i) (void)tree.Load(i, "loaded");
  tree.Put(memtable, 3, "written");  // for no read
  tree.Put(memtable, 4, "written");
  memory.MakeClean(memtable);
  tree.Visit(0);
  tree.Visit(1);
  tree.Visit(1);
  for (int run = 0; run < 3; ++run) {
    for (const uint64_t number : {2, 4}) tree.Find(number)->MarkVisited(/*again=*/run > 0);
  }
  tree.Visit(3);
  memory.SetBytesMax(0);
  memory.EvictSome(5);  // looks at each of them once
  for (uint64_t i = 0; i < 5; ++i) {
    CAPTURE(i);
    CHECK(tree.Has(i) == (i == 1 || i >= 3));
  }
}

TEST_CASE("RowMemory: a row that is loaded again soon stays without a visit",
          "[engine][row_memory]") {
  RowMemory memory(kSmallSegments);
  TestTree tree(memory);
  const std::string value(100, 'v');
  uint64_t next = 0;
  while (memory.evictions() == 0) (void)tree.Load(next++, value);
  const uint64_t cached = memory.clean_rows();
  REQUIRE(!tree.Has(0));
  (void)tree.Load(0, value);
  const uint64_t other = next;  // for the first time
  for (uint64_t i = 0; i < 2 * cached; ++i) (void)tree.Load(next++, value);
  CHECK(tree.Has(0));
  CHECK(!tree.Has(other));
}

TEST_CASE("RowMemory: large values are evicted a few at a time", "[engine][row_memory]") {
  constexpr uint64_t kRows = 200;
  RowMemory memory(kSmallSegments * 4);
  TestTree tree(memory);
  std::vector<SharedString> owners;
  for (uint64_t i = 0; i < kRows; ++i) {
    owners.push_back(Shared(100'000));
    (void)tree.LoadShared(i, owners.back());
  }
  CHECK(memory.evictions() == 0);
  memory.SetBytesMax(memory.memory_bytes() - 1);
  EvictAll(memory);
  const uint64_t evicted = memory.evictions();
  CHECK(evicted > 0);
  CHECK(evicted < 10);
  for (uint64_t i = 0; i < kRows; ++i) {
    CHECK(owners[i].use_count() == (i < evicted ? 1 : 2));
  }
  CHECK(memory.memory_bytes() > (kRows - evicted) * 100'000);
  CHECK(memory.memory_bytes() < (kRows - evicted) * 101'000);
}

TEST_CASE("RowMemory: a scan of cold rows leaves the hot ones", "[engine][row_memory]") {
  RowMemory memory(1 << 20);
  TestTree tree(memory);
  constexpr uint64_t kHot = 1000;
  const std::string value(100, 'v');
  for (uint64_t i = 0; i < kHot; ++i) (void)tree.Load(i, value);
  std::mt19937_64 random(1);
  for (uint64_t cold = 0; cold < 100'000; ++cold) {
    (void)tree.Load(1'000'000 + cold, value);
    tree.Visit(random() % kHot);
  }
  CHECK(tree.CountOf(0, kHot) > kHot * 95 / 100);
  CHECK(memory.memory_bytes() <= memory.bytes_max() + (128 << 10));
  for (uint64_t i = 0; i < kHot; ++i) {
    if (tree.Has(i)) REQUIRE(tree.ValueOf(i) == value);
  }
}

TEST_CASE("RowMemory: knows up to which generation rows were evicted", "[engine][row_memory]") {
  RowMemory memory(kSmallSegments);
  TestTree tree(memory);
  TestTree other(memory);
  const uint64_t& evicted_generation = tree.rows()->evicted_generation;
  const std::string value(100, 'v');
  for (uint64_t i = 0; i < 1000; ++i) (void)tree.Load(i, value);
  uint64_t begin = 1000;
  for (const uint64_t generation : {3, 5, 9}) {
    Memtable memtable(generation);
    for (uint64_t i = begin; i < begin + 1000; ++i) tree.Put(memtable, i, value);
    begin += 1000;
    memory.MakeClean(memtable);
  }
  tree.Visit(1500);  // of generation 3: it outlives the others
  memory.SetBytesMax(0);
  const auto evict_until_gone = [&](uint64_t number) {
    while (tree.Has(number)) memory.EvictSome(1);
  };
  CHECK(evicted_generation == 0);
  evict_until_gone(900);
  CHECK(evicted_generation == 0);  // loaded: written no one knows when, and in tables since
  evict_until_gone(1000);
  CHECK(evicted_generation == 3);
  evict_until_gone(2000);
  CHECK(evicted_generation == 5);
  CHECK(tree.Has(1500));
  evict_until_gone(3000);
  CHECK(evicted_generation == 9);
  EvictAll(memory);
  CHECK(memory.clean_rows() == 0);
  CHECK(evicted_generation == 9);
  CHECK(other.rows()->evicted_generation == 0);

  // A row that was kept counts as long as it is there.
  memory.SetBytesMax(kSmallSegments);
  Memtable memtable(12);
  other.Put(memtable, 1, "kept");
  memory.MakeClean(memtable);
  other.Visit(1);
  memory.SetBytesMax(0);
  memory.EvictSome(1);
  CHECK(other.Has(1));
  CHECK(other.rows()->evicted_generation == 0);
  EvictAll(memory);
  CHECK_FALSE(other.Has(1));
  CHECK(other.rows()->evicted_generation == 12);
  CHECK(evicted_generation == 9);
}

TEST_CASE("RowMemory: a smaller budget is reached in bounded steps", "[engine][row_memory]") {
  constexpr uint64_t kRows = 20'000;
  constexpr uint64_t kStep = 100;
  RowMemory memory(kSmallSegments);
  TestTree tree(memory);
  for (uint64_t i = 0; i < kRows; ++i) {
    (void)tree.Load(i, std::string(100, 'v'));
    tree.Visit(i);  // what it was loaded for
    tree.Visit(i);
  }
  memory.SetBytesMax(memory.memory_bytes() / 2);
  CHECK(memory.clean_rows() == kRows);  // nothing happens before EvictSome()
  int calls = 0;
  for (bool done = false; !done; ++calls) {
    const uint64_t before = memory.evictions();
    done = memory.EvictSome(kStep);
    REQUIRE(memory.evictions() - before < kStep + 20);  // batches of some rows
    REQUIRE(calls < 1000);
  }
  CHECK(calls > 150);  // most rows were looked at before the first one went
  CHECK(memory.memory_bytes() <= memory.bytes_max());
  CHECK(memory.clean_rows() > kRows / 3);
  CHECK(memory.clean_rows() == tree.CountOf(0, kRows));
  memory.SetBytesMax(0);
  EvictAll(memory, kStep);
  CHECK(memory.clean_rows() == 0);
  CHECK(tree.CountOf(0, kRows) == 0);
  CHECK(memory.memory_bytes() == tree.rows()->table.memory_bytes());
  // It works without any, too.
  {
    const RowMemory::Pin pin = tree.Load(1, "one");
    CHECK(tree.ValueOf(1) == "one");
    CHECK(memory.EvictSome(kStep));
    CHECK(tree.ValueOf(1) == "one");
  }
  Memtable memtable(1);
  CHECK(tree.Put(memtable, 1, "two") == Known::kLive);
  EvictAll(memory);
  CHECK(tree.ValueOf(1) == "two");  // not in tables yet
  memory.MakeClean(memtable);
  EvictAll(memory);
  CHECK_FALSE(tree.Has(1));
  memory.SetBytesMax(kSmallSegments);
  (void)tree.Load(1, "three");
  EvictAll(memory);
  CHECK(tree.ValueOf(1) == "three");
}

TEST_CASE("RowMemory: a pinned row stays", "[engine][row_memory]") {
  RowMemory memory(kSmallSegments);
  TestTree tree(memory);
  const std::string value(100, 'v');
  std::vector<RowMemory::Pin> pins;
  for (uint64_t i = 0; i < 5000; ++i) {
    RowMemory::Pin pin = tree.Load(i, value);
    if (i % 500 == 0) pins.push_back(std::move(pin));
  }
  memory.SetBytesMax(0);
  CHECK(memory.EvictSome(100'000));  // there are no victims left
  for (const RowMemory::Pin& pin : pins) {
    CHECK(pin.row().value_bytes() == value);
    CHECK(tree.rows()->table.Find(pin.row().position(), pin.row().key()) == &pin.row());
  }
  (void)tree.Load(10'000, value);  // a full memory takes in another one
  CHECK(memory.EvictSome(100'000));

  // Several pins of one row: it stays until the last one has gone.
  std::vector<RowMemory::Pin> clones;
  for (const RowMemory::Pin& pin : pins) clones.push_back(pin.Clone());
  pins.clear();
  CHECK(memory.EvictSome(100'000));
  for (uint64_t i = 0; i < 5000; i += 500) CHECK(tree.Has(i));

  // A pin does not keep writes away, but its bytes stay.
  Memtable memtable(1);
  tree.Put(memtable, 0, "newer");
  tree.Delete(memtable, 500);
  CHECK(tree.ValueOf(0) == "newer");
  CHECK(tree.ValueOf(500) == "(absent)");
  for (uint64_t i = 1000; i < 5000; ++i) tree.Put(memtable, i, "newer");  // all around them
  EvictAll(memory);
  for (uint64_t i = 0; i < 10; ++i) {
    CHECK(clones[i].row().key() == std::to_string(i * 500));
    CHECK(clones[i].row().value_bytes() == value);
  }
  clones[0] = std::move(clones[1]);
  CHECK(clones[0].row().key() == "500");
  clones.clear();
  memory.MakeClean(memtable);
  EvictAll(memory);
  CHECK(memory.clean_rows() == 0);
  CHECK(memory.memory_bytes() == tree.rows()->table.memory_bytes());
}

TEST_CASE("RowMemory: a value that was superseded under its pins goes with them",
          "[engine][row_memory]") {
  RowMemory memory(kPlenty);
  TestTree tree(memory);
  const SharedString large = Shared(100'000, 'a');
  const SharedString other = Shared(100'000, 'b');
  std::optional<RowMemory::Pin> pin = tree.LoadShared(1, large);
  std::optional<RowMemory::Pin> second = pin->Clone();
  std::optional<RowMemory::Pin> other_pin = tree.LoadShared(2, other);
  const uint64_t bytes = memory.memory_bytes();
  CHECK(large.use_count() == 2);
  Memtable memtable(1);
  tree.Put(memtable, 1, "newer");
  CHECK(pin->row().value_bytes() == *large);
  CHECK(memory.memory_bytes() == bytes);
  pin.reset();
  CHECK(second->row().value_bytes() == *large);
  second.reset();
  other_pin.reset();  // of another row beside it
  CHECK(large.use_count() == 1);
  CHECK(other.use_count() == 2);
  CHECK(memory.memory_bytes() + 100'000 <= bytes);
  CHECK(tree.ValueOf(2) == *other);
}

TEST_CASE("RowMemory: what is left of mostly dead segments is gathered", "[engine][row_memory]") {
  constexpr uint64_t kRows = 20'000;
  constexpr uint64_t kLeft = 10;  // one in so many
  const bool pinned = GENERATE(false, true);
  CAPTURE(pinned);
  RowMemory memory(kSmallSegments);
  TestTree tree(memory);
  const auto value_of = [](uint64_t i) {
    return std::string(100, static_cast<char>('a' + i % 26));
  };
  std::optional<RowMemory::Pin> pin;
  std::vector<SharedString> owners;  // of each hundredth row
  {
    Memtable memtable(7);
    for (uint64_t i = 0; i < kRows; ++i) {
      if (i % 100 == 0) {
        owners.push_back(Shared(1000, static_cast<char>('a' + i % 26)));
        tree.PutShared(memtable, i, owners.back());
      } else {
        tree.Put(memtable, i, value_of(i));
      }
    }
    memory.MakeClean(memtable);
  }
  if (pinned) pin = tree.Load(kRows, "pinned");
  const uint64_t bytes = memory.memory_bytes();

  // Half of them dead: what is left stays where it is.
  Memtable memtable(8);
  for (uint64_t i = 0; i < kRows; ++i) {
    if (i % kLeft >= kLeft / 2) tree.Delete(memtable, i);
  }
  CHECK_FALSE(memory.has_victims());
  CHECK(memory.EvictSome(1000));

  for (uint64_t i = 0; i < kRows; ++i) {
    if (i % kLeft > 0) tree.Put(memtable, i, "newer");
  }
  CHECK(memory.has_victims());
  const int calls = EvictAll(memory, 100);
  CHECK(calls >= static_cast<int>(kRows / kLeft / 120));
  CHECK_FALSE(memory.has_victims());
  CHECK(memory.memory_bytes() < bytes / 3);
  CHECK(memory.evictions() == 0);
  CHECK(tree.rows()->evicted_generation == 0);
  CHECK(memory.clean_rows() == kRows / kLeft + (pinned ? 1 : 0));
  for (uint64_t i = 0; i < kRows; ++i) {
    CAPTURE(i);
    if (i % kLeft > 0) {
      REQUIRE(tree.ValueOf(i) == "newer");
    } else if (i % 100 == 0) {
      REQUIRE(tree.Find(i)->value().owner == owners[i / 100]);
      REQUIRE(owners[i / 100].use_count() == 2);
    } else {
      REQUIRE(tree.ValueOf(i) == value_of(i));
    }
  }
  if (pinned) CHECK(pin->row().value_bytes() == "pinned");
  // The gathered ones are evicted as any, and their generation is remembered.
  pin.reset();
  memory.SetBytesMax(0);
  EvictAll(memory);
  CHECK(memory.clean_rows() == 0);
  CHECK(tree.rows()->evicted_generation == 7);
  for (const SharedString& owner : owners) REQUIRE(owner.use_count() == 1);
}

TEST_CASE("RowMemory: what is mostly dead when it is flushed is gathered, too",
          "[engine][row_memory]") {
  RowMemory memory(kSmallSegments);
  TestTree tree(memory);
  Memtable sealed(1);
  for (uint64_t i = 0; i < 10'000; ++i) tree.Put(sealed, i, std::string(100, 'a'));
  Memtable active(2);
  for (uint64_t i = 1; i < 10'000; ++i) tree.Put(active, i, std::string(100, 'b'));
  CHECK_FALSE(memory.has_victims());
  memory.MakeClean(sealed);
  CHECK(memory.has_victims());
  EvictAll(memory);
  CHECK(memory.memory_bytes() < tree.rows()->table.memory_bytes() + 1000);
  CHECK(memory.clean_rows() == 1);
  CHECK(tree.ValueOf(0) == std::string(100, 'a'));
  CHECK(tree.ValueOf(1) == std::string(100, 'b'));
}

TEST_CASE("RowMemory: a tree that is not read any more counts no more", "[engine][row_memory]") {
  RowMemory memory(kSmallSegments);
  TestTree tree(memory);
  const SharedString large = Shared(50'000);
  for (uint64_t i = 0; i < 1000; ++i) (void)tree.Load(i, std::to_string(i));
  tree.Visit(1);
  const uint64_t bytes = memory.memory_bytes();
  const uint64_t rows = memory.clean_rows();

  std::optional<RowMemory::Pin> pin;
  std::optional<RowMemory::Pin> clone;
  std::weak_ptr<TreeRows> dropped_rows;
  {
    TestTree dropped(memory);
    dropped_rows = dropped.rows();
    Memtable flushed(1);
    for (uint64_t i = 0; i < 10'000; ++i) dropped.Put(flushed, i, "flushed");
    dropped.PutShared(flushed, 10'000, large);
    memory.MakeClean(flushed);
    Memtable sealed(2);
    for (uint64_t i = 0; i < 10'000; ++i) {  // some that wait to be gathered
      if (i % 10 > 0) dropped.Put(sealed, i, "sealed");
    }
    CHECK(memory.has_victims());
    for (uint64_t i = 20'000; i < 21'000; ++i) {
      RowMemory::Pin loaded = dropped.Load(i, "loaded");
      if (i == 20'500) pin = std::move(loaded);
    }
    dropped.PutShared(sealed, 20'999, large);
    CHECK(large.use_count() == 3);
    CHECK(memory.memory_bytes() > bytes + 100'000);
    memory.Detach(*dropped.rows());
    CHECK(memory.memory_bytes() == bytes);
    CHECK(memory.clean_rows() == rows);
    CHECK(RowsOf(sealed).size() == 9001);  // a flush that is under way may end
  }
  CHECK_FALSE(memory.has_victims());
  for (uint64_t i = 0; i < 1000; ++i) REQUIRE(tree.ValueOf(i) == std::to_string(i));
  CHECK(pin->row().value_bytes() == "loaded");
  clone = pin->Clone();
  pin.reset();
  CHECK_FALSE(dropped_rows.expired());
  CHECK(clone->row().key() == "20500");
  memory.SetBytesMax(0);
  EvictAll(memory);
  CHECK(memory.clean_rows() == 0);
  CHECK(clone->row().value_bytes() == "loaded");
  CHECK(memory.memory_bytes() == tree.rows()->table.memory_bytes());
  clone.reset();
  CHECK(dropped_rows.expired());
  CHECK(large.use_count() == 1);
}

// ---- Segments

TEST_CASE("RowMemory: spare segments are asked for, used, and given back", "[engine][row_memory]") {
  RowMemory memory(256 << 20);
  TestTree tree(memory);
  const std::string value(100, 'v');
  uint64_t rows = 0;
  for (; rows < 32'000; ++rows) (void)tree.Load(rows, value);
  CHECK_FALSE(memory.wants_spare());  // a small tree does without
  while (!memory.wants_spare() && rows < 100'000) (void)tree.Load(rows++, value);
  REQUIRE(memory.wants_spare());
  int spares = 0;
  for (; memory.wants_spare(); ++spares) {
    const uint64_t bytes = memory.memory_bytes();
    memory.AddSpare(Segment::NewPopulated());
    REQUIRE(memory.memory_bytes() == bytes + Segment::kAlignment);
    REQUIRE(spares < 100);
  }
  CHECK(spares > 1);
  // Loads and writes take them, at no cost.
  uint64_t bytes = memory.memory_bytes();
  const uint64_t table_bytes = tree.rows()->table.memory_bytes();
  Memtable memtable(1);
  while (!memory.wants_spare()) (void)tree.Load(rows++, value);
  CHECK(memory.memory_bytes() - tree.rows()->table.memory_bytes() == bytes - table_bytes);
  bytes = memory.memory_bytes();
  tree.Put(memtable, rows++, value);
  CHECK(memtable.memory_bytes() == Segment::kAlignment);
  CHECK(memory.memory_bytes() == bytes - Segment::kAlignment);
  CHECK_FALSE(memory.has_victims());

  // Evicted segments serve again.
  memory.MakeClean(memtable);
  memory.SetBytesMax(128 << 20);
  for (; memory.evictions() == 0; ++rows) (void)tree.Load(rows, value);
  for (uint64_t end = rows + 300'000; rows < end; ++rows) (void)tree.Load(rows, value);
  CHECK(memory.memory_bytes() < (128 << 20) + 3 * Segment::kAlignment);
  CHECK(memory.clean_rows() > 600'000);

  // Segments are smaller in a small memory: there is no use for the spare ones then.
  memory.SetBytesMax(16 << 20);
  EvictAll(memory);
  CHECK(memory.memory_bytes() <= memory.bytes_max());
  CHECK_FALSE(memory.wants_spare());
  memory.SetBytesMax(0);
  EvictAll(memory);
  CHECK(memory.clean_rows() == 0);
  CHECK(memory.memory_bytes() == tree.rows()->table.memory_bytes());
}

TEST_CASE("RowMemory: keys and values of any size", "[engine][row_memory]") {
  const uint64_t bytes_max = GENERATE(uint64_t{1} << 20, kPlenty);  // segments of 64 KiB, or 2 MiB
  CAPTURE(bytes_max);
  constexpr size_t kMiB = 1 << 20;
  RowMemory memory(bytes_max);
  const auto rows = std::make_shared<TreeRows>();
  Memtable memtable(1);
  Written expected;
  const auto write = [&](Position position, const std::string& key, const std::string& value) {
    Value bytes{value, nullptr};
    if (value.size() >= kSharedValueBytes) {  // as the store does
      bytes.owner = std::make_shared<const std::string>(value);
      bytes.bytes = *bytes.owner;
    }
    memory.Write(*rows, memtable, position, key, bytes, ValueType::kString, false);
    expected[{position, key}] = value;
  };
  const std::vector<size_t> sizes = {0,
                                     1,
                                     7,
                                     8,
                                     9,
                                     4095,
                                     kSharedValueBytes - 1,
                                     kSharedValueBytes,
                                     kSharedValueBytes + 1,
                                     kMiB,
                                     2 * kMiB - 300,
                                     2 * kMiB,
                                     3 * kMiB + 100};
  for (const size_t key_bytes : sizes) {
    for (const size_t value_bytes : {size_t{0}, size_t{9}, kSharedValueBytes - 1, 3 * kMiB}) {
      write(key_bytes * 7, std::string(key_bytes, 'k'), std::string(value_bytes, 'v'));
      // What follows a row that is larger than a segment must not be taken for a part of it.
      write(key_bytes * 7 + value_bytes, "small", "small");
    }
  }
  for (const size_t value_bytes : sizes) {
    write(value_bytes, "key", std::string(value_bytes, 'w'));
  }
  const auto check = [&] {
    for (const auto& [id, value] : expected) {
      const MemoryRow* const row = rows->table.Find(id.first, id.second);
      REQUIRE(row != nullptr);
      REQUIRE(row->key() == id.second);
      REQUIRE(row->value_bytes() == *value);
      REQUIRE((row->value().owner != nullptr) == (value->size() >= kSharedValueBytes));
    }
  };
  check();
  CHECK(RowsOf(memtable) == expected);
  memory.MakeClean(memtable);
  memory.SetBytesMax(kPlenty);
  check();
  CHECK(memory.clean_rows() == expected.size());
  // Eviction spares them all, by moving them.
  for (const auto& [id, value] : expected) {
    const MemoryRow* const row = rows->table.Find(id.first, id.second);
    for (int visit = 0; visit < 3; ++visit) row->MarkVisited();
  }
  memory.SetBytesMax(0);
  memory.EvictSome(expected.size());
  memory.SetBytesMax(kPlenty);
  check();
  CHECK(memory.clean_rows() == expected.size());
  memory.SetBytesMax(0);
  EvictAll(memory);
  CHECK(memory.clean_rows() == 0);
  CHECK(memory.memory_bytes() == rows->table.memory_bytes());
}

TEST_CASE("RowMemory: the cost of a cached row", "[engine][row_memory]") {
  constexpr uint64_t kRows = 1'000'000;
  RowMemory memory(kPlenty);
  const auto rows = std::make_shared<TreeRows>();
  const std::string value(100, 'v');
  std::string key(16, 'k');
  for (uint64_t i = 0; i < kRows; ++i) {
    const Position position = PositionOf(i);
    key.replace(0, sizeof(position), reinterpret_cast<const char*>(&position), sizeof(position));
    (void)memory.AddLoaded(rows, position, key, {value, nullptr}, ValueType::kString, false);
  }
  CHECK(memory.clean_rows() == kRows);
  CHECK(memory.memory_bytes() / kRows - key.size() - value.size() <= 48);
}

// ---- Model

struct Newest {
  std::optional<std::string> value;  // none: deleted, or never written
  uint64_t generation = 0;           // that wrote it; 0: none did
};

// Two trees whose rows go through all that can happen to rows, beside maps of what they should be.
class Model {
 public:
  explicit Model(uint32_t seed) : random_(seed) { StartGeneration(); }

  void Step() {
    const size_t at = random_() % kTrees;
    const uint64_t number = random_() % kKeys;
    switch (random_() % 16) {
      case 0:
      case 1:
      case 2:
      case 3:
        return Write(at, number);
      case 4:
      case 5:
      case 6:
        return Load(at, number);
      case 7:
        memory_.EvictSome(random_() % 100);
        return;
      case 8:
        if (random_() % 50 == 0) SetBytesMax();
        return;
      case 9:
        if (random_() % 50 == 0) StartGeneration();
        return;
      case 10:
        if (generations_.size() > 1 && random_() % 50 == 0) FlushOldest();
        return;
      case 11:
        if (random_() % 300 == 0) DropTree(at);
        return;
      case 12:
        if (!pins_.empty() && random_() % 4 == 0) pins_.erase(pins_.begin() + RandomPin());
        return;
      default:
        return Read(at, number);
    }
  }

  void Check() {
    uint64_t rows = 0;
    uint64_t dirty_rows = 0;
    for (Tree& tree : trees_) {
      const uint64_t evicted_generation = tree.rows->evicted_generation;
      REQUIRE(evicted_generation <= flushed_generation_);
      rows += tree.rows->table.row_count();
      for (const auto& [number, newest] : tree.newest) {
        const bool dirty = newest.generation > flushed_generation_;
        dirty_rows += dirty ? 1 : 0;
        CAPTURE(number);
        if (CheckRow(tree, number, newest)) continue;
        REQUIRE_FALSE(dirty);
        REQUIRE(evicted_generation >= newest.generation);
      }
    }
    REQUIRE(memory_.clean_rows() == rows - dirty_rows);
    for (const Generation& generation : generations_) {
      for (size_t at = 0; at < kTrees; ++at) {
        REQUIRE(generation.memtables[at]->row_count() == generation.written[at].size());
      }
    }
    for (const auto& [pin, value] : pins_) {
      REQUIRE(pin.row().is_absent() == !value.has_value());
      REQUIRE(pin.row().value_bytes() == value.value_or(""));
    }
    ++checks_;
  }

  // All in tables, nothing kept: memory is empty.
  void CheckEnd() {
    while (generations_.size() > 1) FlushOldest();
    StartGeneration();
    FlushOldest();
    pins_.clear();
    memory_.SetBytesMax(0);
    EvictAll(memory_);
    Check();
    CHECK(memory_.clean_rows() == 0);
    uint64_t table_bytes = 0;
    for (const Tree& tree : trees_) table_bytes += tree.rows->table.memory_bytes();
    CHECK(memory_.memory_bytes() == table_bytes);
    CHECK(std::all_of(owners_.begin(), owners_.end(),
                      [](const auto& owner) { return owner.expired(); }));
    CHECK(owners_.size() > 100);
    CHECK(found_clean_ > 100);
    CHECK(loaded_ > 100);
    CHECK(memory_.evictions() > 100);
  }

 private:
  static constexpr size_t kTrees = 2;
  static constexpr uint64_t kKeys = 3000;

  struct Tree {
    std::shared_ptr<TreeRows> rows = std::make_shared<TreeRows>();
    std::map<uint64_t, Newest> newest;
  };
  struct Generation {
    std::array<std::unique_ptr<Memtable>, kTrees> memtables;
    std::array<Written, kTrees> written;
  };

  static std::string KeyOf(uint64_t number) { return std::to_string(number); }
  // Some keys share positions.
  static Position ModelPositionOf(uint64_t number) {
    return number % 10 == 0 ? number % 7 : PositionOf(number);
  }
  ptrdiff_t RandomPin() { return static_cast<ptrdiff_t>(random_() % pins_.size()); }
  std::string RandomValue() {
    const size_t size_max = random_() % 20 == 0 ? 3000 : 150;
    const size_t size = random_() % size_max;
    return std::string(size, static_cast<char>('a' + random_() % 26));
  }
  Value ValueFor(std::string_view value) {
    if (random_() % 10 > 0) return {value, nullptr};
    const auto owner = std::make_shared<const std::string>(value);
    owners_.push_back(owner);
    return {*owner, owner};
  }

  // Whether it is in memory; it must be right then.
  bool CheckRow(const Tree& tree, uint64_t number, const Newest& newest) {
    const MemoryRow* const row = tree.rows->table.Find(ModelPositionOf(number), KeyOf(number));
    if (row == nullptr) return false;
    REQUIRE(row->is_absent() == !newest.value.has_value());
    REQUIRE(row->value_bytes() == newest.value.value_or(""));
    return true;
  }

  void Write(size_t at, uint64_t number) {
    Tree& tree = trees_[at];
    const Position position = ModelPositionOf(number);
    const std::string key = KeyOf(number);
    Newest& newest = tree.newest[number];
    const bool known = tree.rows->table.Find(position, key) != nullptr;
    const Known expected =
        !known ? Known::kNothing : (newest.value.has_value() ? Known::kLive : Known::kAbsent);
    std::optional<std::string> value;
    if (random_() % 4 > 0) value = RandomValue();
    Memtable& memtable = *generations_.back().memtables[at];
    REQUIRE(memory_.Write(*tree.rows, memtable, position, key, value ? ValueFor(*value) : Value{},
                          ValueType::kString, !value) == expected);
    newest = {value, memtable.generation()};
    generations_.back().written[at][{position, key}] = value;
    REQUIRE(CheckRow(tree, number, newest));
  }

  void Read(size_t at, uint64_t number) {
    const auto newest = trees_[at].newest.find(number);
    if (newest == trees_[at].newest.end()) return;
    if (!CheckRow(trees_[at], number, newest->second)) return;
    if (newest->second.generation <= flushed_generation_) ++found_clean_;
    trees_[at].rows->table.Find(ModelPositionOf(number), KeyOf(number))->MarkVisited();
  }

  void Load(size_t at, uint64_t number) {
    Tree& tree = trees_[at];
    if (tree.rows->table.Find(ModelPositionOf(number), KeyOf(number)) != nullptr) return;
    const Newest& newest = tree.newest[number];
    REQUIRE(newest.generation <= flushed_generation_);
    RowMemory::Pin pin = memory_.AddLoaded(tree.rows, ModelPositionOf(number), KeyOf(number),
                                           newest.value ? ValueFor(*newest.value) : Value{},
                                           ValueType::kString, !newest.value);
    ++loaded_;
    REQUIRE(CheckRow(tree, number, newest));
    if (pins_.size() < 30 && random_() % 10 == 0) {
      pins_.emplace_back(pin.Clone(), newest.value);
      if (random_() % 2 == 0) std::swap(pins_.back(), pins_[RandomPin()]);
    }
  }

  void SetBytesMax() {
    const uint64_t choices[] = {0, 50'000, 200'000, 400'000, 600'000, kPlenty};
    memory_.SetBytesMax(choices[random_() % std::size(choices)]);
  }

  void StartGeneration() {
    if (generations_.size() == 4) FlushOldest();
    generations_.emplace_back();
    ++generation_;
    for (auto& memtable : generations_.back().memtables) {
      memtable = std::make_unique<Memtable>(generation_);
    }
  }

  void FlushOldest() {
    Generation& oldest = generations_.front();
    flushed_generation_ = oldest.memtables[0]->generation();
    for (size_t at = 0; at < kTrees; ++at) {
      REQUIRE(RowsOf(*oldest.memtables[at]) == oldest.written[at]);
      memory_.MakeClean(*oldest.memtables[at]);
      REQUIRE(oldest.memtables[at]->empty());
    }
    generations_.pop_front();
  }

  void DropTree(size_t at) {
    memory_.Detach(*trees_[at].rows);
    trees_[at] = Tree{};
    for (Generation& generation : generations_) {
      auto& memtable = generation.memtables[at];
      memtable = std::make_unique<Memtable>(memtable->generation());
      generation.written[at].clear();
    }
  }

  std::mt19937_64 random_;
  RowMemory memory_{300'000};
  std::array<Tree, kTrees> trees_;
  std::deque<Generation> generations_;  // the last one is written to
  uint64_t generation_ = 0;
  uint64_t flushed_generation_ = 0;
  std::vector<std::pair<RowMemory::Pin, std::optional<std::string>>> pins_;
  std::vector<std::weak_ptr<const std::string>> owners_;
  uint64_t found_clean_ = 0;
  uint64_t loaded_ = 0;
  uint64_t checks_ = 0;
};

TEST_CASE("RowMemory: what it finds is the newest version", "[engine][row_memory][model]") {
  const auto seed = GENERATE(range(1u, 9u));
  CAPTURE(seed);
  Model model(seed);
  for (int step = 0; step < 40'000; ++step) {
    model.Step();
    if (step % 500 == 0) model.Check();
  }
  model.CheckEnd();
}

}  // namespace
}  // namespace varve::engine
