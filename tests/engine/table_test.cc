#include "engine/table.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <thread>

#include "engine/support/colliding_keys.h"
#include "engine/support/fault_file_system.h"
#include "engine/support/mem_file_system.h"
#include "engine/support/table_fixture.h"
#include "engine/table_builder.h"

namespace varve::engine {
namespace {

using testing::BuildTable;
using testing::InTableOrder;
using testing::OwnedRow;
using testing::RandomRows;
using testing::Rest;
using testing::TestSecret;

// A disk that counts reads.
class Disk {
 public:
  Disk() {
    REQUIRE(memory_.CreateDirectories("db"));
    plan_.SetObserver([this](testing::FileCall call, const std::string&) {
      reads_ += call == testing::FileCall::kReadAt ? 1 : 0;
    });
  }
  FileSystem* files() { return &files_; }
  testing::MemFileSystem& memory() { return memory_; }
  testing::FaultPlan& plan() { return plan_; }
  uint64_t reads() const { return reads_; }

  std::shared_ptr<Table> Build(const std::vector<OwnedRow>& rows, size_t block_bytes = 4096,
                               int filter_bits_per_key = 10, DyadicRange range = {},
                               Compression compression = Compression::kSnappy) {
    TableBuilder::Settings settings;
    settings.block_bytes = block_bytes;
    settings.filter_bits_per_key = filter_bits_per_key;
    settings.compression = compression;
    const auto info = BuildTable(files(), "db", 3, rows, settings, range);
    REQUIRE(info);
    auto table = Table::Open(files(), "db", *info);
    REQUIRE(table);
    return *table;
  }

 private:
  testing::MemFileSystem memory_;
  testing::FaultPlan plan_;
  testing::FaultFileSystem files_{&memory_, &plan_};
  uint64_t reads_ = 0;
};

void CheckFinds(const Table& table, const OwnedRow& expected) {
  const auto found = table.Find(expected.position, expected.key);
  REQUIRE(found);
  REQUIRE(found->has_value());
  CHECK(OwnedRow::Of((*found)->row) == expected);
  const std::string& owner = *(*found)->bytes;
  const std::string_view value = (*found)->row.value;
  CHECK((value.empty() || (value.data() >= owner.data() &&
                           value.data() + value.size() <= owner.data() + owner.size())));
}

std::vector<OwnedRow> OddRows() {
  std::vector<OwnedRow> rows = {
      {0, "", "value of the empty key", false},
      {0, "empty value", "", false},
      {0, std::string("\0\r\n\xff\x80", 5), std::string("\0", 1), false},
      {0, "gone", "", true},
      {0, std::string(70'000, 'k'), std::string(100'000, 'v'), false},
      {0, "huge", std::string(3'000'000, 'h'), false},
      {0, "just shared", std::string(kSharedValueBytes, 's'), false},
      {0, "just not shared", std::string(kSharedValueBytes - 1, 's'), false},
  };
  return InTableOrder(std::move(rows));
}

// Triples of rows that share a position, small and large, among others.
std::vector<OwnedRow> CollidingRows() {
  std::vector<OwnedRow> rows = RandomRows(300, 17);
  for (uint64_t variant = 0; variant < 40; ++variant) {
    for (const std::string& key : testing::CollidingKeys(TestSecret(), variant)) {
      rows.push_back({0, key, std::string(variant * variant * 3, 'c'), variant % 7 == 3});
      if (rows.back().is_tombstone) rows.back().value.clear();
    }
  }
  return InTableOrder(std::move(rows));
}

TEST_CASE("table: rows come back, by cursor and by key", "[engine][table]") {
  const std::vector<std::vector<OwnedRow>> samples = {
      RandomRows(1, 1), RandomRows(2, 2), RandomRows(2000, 3),
      OddRows(),        CollidingRows(),  testing::DocumentRows(500, 4)};
  for (size_t sample = 0; sample < samples.size(); ++sample) {
    for (const size_t block_bytes : {1, 200, 4096, 1 << 20}) {
      for (const int filter_bits_per_key : {0, 10}) {
        const bool is_zstd = (sample + block_bytes + filter_bits_per_key) % 2 == 0;
        CAPTURE(sample, block_bytes, filter_bits_per_key, is_zstd);
        const auto& rows = samples[sample];
        Disk disk;
        const auto table = disk.Build(rows, block_bytes, filter_bits_per_key, {},
                                      is_zstd ? Compression::kZstd : Compression::kSnappy);
        for (const size_t readahead_bytes : {0, 1000, 1 << 20}) {
          TableCursor cursor(table, &TestSecret(), readahead_bytes, true);
          CHECK_FALSE(cursor.Valid());
          cursor.Seek(0);
          CHECK(Rest(cursor) == rows);
          CHECK(cursor.status());
          CHECK(cursor.bytes_read() <= table->info().file_bytes);
        }
        for (const OwnedRow& row : rows) CheckFinds(*table, row);
      }
    }
  }
}

TEST_CASE("table: a lookup reads one block, an absent key mostly none", "[engine][table]") {
  const auto rows = CollidingRows();
  Disk disk;
  const auto table = disk.Build(rows, 500);
  REQUIRE(table->LoadIndex());
  for (const OwnedRow& row : rows) {
    const uint64_t before = disk.reads();
    CheckFinds(*table, row);
    REQUIRE(disk.reads() == before + 1);
  }
  const uint64_t before = disk.reads();
  for (int i = 0; i < 10'000; ++i) {
    const std::string key = "absent" + std::to_string(i);
    const auto found = table->Find(TestSecret().Of(key), key);
    REQUIRE(found);
    CHECK_FALSE(found->has_value());
  }
  CHECK(disk.reads() - before < 250);
}

TEST_CASE("table: a key that shares its position is not its neighbour", "[engine][table]") {
  auto rows = CollidingRows();
  const std::string other = testing::CollidingKeys(TestSecret(), 1000)[1];
  rows.push_back({0, testing::CollidingKeys(TestSecret(), 1000)[0], "value", false});
  Disk disk;
  const auto table = disk.Build(InTableOrder(rows), 300);
  const auto found = table->Find(TestSecret().Of(other), other);
  REQUIRE(found);
  CHECK_FALSE(found->has_value());
}

TEST_CASE("table: seek finds the first row at or after a position", "[engine][table]") {
  const auto rows = CollidingRows();
  Disk disk;
  const auto table = disk.Build(rows, 300);
  TableCursor cursor(table, &TestSecret(), 2000, false);
  std::vector<Position> targets = {0, ~Position{0}};
  for (const OwnedRow& row : rows) {
    targets.insert(targets.end(), {row.position - 1, row.position, row.position + 1});
  }
  std::shuffle(targets.begin(), targets.end(), std::mt19937_64(4));
  for (const Position target : targets) {
    CAPTURE(target);
    const auto expected = std::lower_bound(
        rows.begin(), rows.end(), target,
        [](const OwnedRow& row, Position position) { return row.position < position; });
    cursor.Seek(target);
    REQUIRE(cursor.status());
    REQUIRE(cursor.Valid() == (expected != rows.end()));
    if (!cursor.Valid()) continue;
    REQUIRE(OwnedRow::Of(cursor.row()) == *expected);
    if (expected + 1 == rows.end()) continue;
    cursor.Next();
    REQUIRE(OwnedRow::Of(cursor.row()) == *(expected + 1));
  }
}

TEST_CASE("table: info says what is in it, and opening reads nothing", "[engine][table]") {
  const DyadicRange range = DyadicRange::Of(0xb000'0000'0000'0000, 2);
  auto rows = RandomRows(4000, 6);
  std::erase_if(rows, [&](const OwnedRow& row) { return !range.Contains(row.position); });
  Disk disk;
  const auto table = disk.Build(rows, 4096, 10, range);
  const TableInfo& info = table->info();
  CHECK(info.number == 3);
  CHECK(info.file_bytes == *disk.files()->FileSize("db/table-3.sst"));
  CHECK(info.row_count == rows.size());
  CHECK(info.smallest == rows.front().position);
  CHECK(info.largest == rows.back().position);
  CHECK(info.range == range);
  uint64_t tombstone_count = 0;
  uint64_t row_bytes = 0;
  for (const OwnedRow& row : rows) {
    tombstone_count += row.is_tombstone ? 1 : 0;
    row_bytes += row.key.size() + row.value.size();
  }
  CHECK(info.tombstone_count == tombstone_count);
  CHECK(info.row_bytes == row_bytes);

  const uint64_t before = disk.reads();
  const auto opened = Table::Open(disk.files(), "db", info);
  REQUIRE(opened);
  CHECK_FALSE((*opened)->index_loaded());
  CHECK((*opened)->index_bytes() == 0);
  CHECK(disk.reads() == before);
  REQUIRE((*opened)->LoadIndex());
  CHECK((*opened)->index_loaded());
  CHECK((*opened)->index_bytes() >= rows.size() * 10 / 8);
  CHECK(disk.reads() <= before + 2);
  REQUIRE((*opened)->LoadIndex());
  CHECK(disk.reads() <= before + 2);
  CHECK_FALSE((*opened)->MayContain(rows.front().position - 1));
  CHECK_FALSE((*opened)->MayContain(rows.back().position + 1));
}

TEST_CASE("table: filter and index are dropped when unused, and come back when needed",
          "[engine][table]") {
  Disk disk;
  const std::vector<OwnedRow> rows = RandomRows(2000, 8);
  const auto table = disk.Build(rows);
  CHECK(table->index() == nullptr);
  CHECK(table->DropUnusedIndex() == nullptr);
  REQUIRE(table->LoadIndex());
  CHECK(table->DropUnusedIndex() == nullptr);  // used: it has just come
  CHECK(table->MayContain(rows.front().position));
  CHECK(table->DropUnusedIndex() == nullptr);  // used again
  TableCursor cursor(table, &TestSecret(), 0, false);
  cursor.Seek(0);
  REQUIRE(table->index_loaded());
  const std::shared_ptr<const TableIndex> dropped = table->DropUnusedIndex();
  CHECK(dropped != nullptr);
  CHECK_FALSE(table->index_loaded());
  CHECK(table->index() == nullptr);
  CHECK(table->index_bytes() == 0);
  // Who was at work goes on; who comes anew loads it again.
  CHECK(Rest(cursor) == rows);
  const uint64_t before = disk.reads();
  CheckFinds(*table, rows.back());
  CHECK(table->index_loaded());
  CHECK(disk.reads() > before + 1);
}

TEST_CASE("table: one that is not the manifest's is refused", "[engine][table]") {
  Disk disk;
  const auto table = disk.Build(RandomRows(100, 7));
  const auto changed = [&](auto change) {
    TableInfo info = table->info();
    change(info);
    const auto opened = Table::Open(disk.files(), "db", info);
    if (!opened) return Result<void>(Fail(opened.error()));
    const auto index = (*opened)->LoadIndex();
    return index ? Result<void>() : Result<void>(Fail(index.error()));
  };
  CHECK(changed([](TableInfo&) {}));
  const std::vector<Result<void>> refused = {
      changed([](TableInfo& info) { ++info.file_bytes; }),
      changed([](TableInfo& info) { --info.row_count; }),
      changed([](TableInfo& info) { ++info.tombstone_count; }),
      changed([](TableInfo& info) { ++info.row_bytes; }),
      changed([](TableInfo& info) { --info.smallest; }),
      changed([](TableInfo& info) { ++info.largest; }),
      changed([](TableInfo& info) { info.range.bits = 1; }),
  };
  for (size_t i = 0; i < refused.size(); ++i) {
    CAPTURE(i);
    REQUIRE_FALSE(refused[i]);
    CHECK(refused[i].error().code == Errc::kCorruption);
    CHECK(refused[i].error().context.find("db/table-3.sst") != std::string::npos);
  }
  // Another table's file under this name.
  const auto info = BuildTable(disk.files(), "db", 4, RandomRows(100, 7));
  REQUIRE(info);
  disk.memory().Write("db/table-3.sst", *disk.files()->ReadWhole("db/table-4.sst"));
  const auto swapped = changed([](TableInfo&) {});
  REQUIRE_FALSE(swapped);
  CHECK(swapped.error().context.find("holds table 4, not 3") != std::string::npos);
}

TEST_CASE("table: the file of an obsolete one goes with its last reader", "[engine][table]") {
  Disk disk;
  const auto rows = RandomRows(100, 8);
  auto table = disk.Build(rows);
  auto cursor = std::make_unique<TableCursor>(table, &TestSecret(), 0, false);
  table->MarkObsolete();
  table.reset();
  CHECK(*disk.files()->Exists("db/table-3.sst"));
  cursor->Seek(0);
  CHECK(Rest(*cursor) == rows);
  cursor.reset();
  CHECK_FALSE(*disk.files()->Exists("db/table-3.sst"));
}

TEST_CASE("table: a large value is not copied, a small row stands alone", "[engine][table]") {
  const auto rows = OddRows();
  Disk disk;
  const auto table = disk.Build(rows);
  for (const OwnedRow& row : rows) {
    const auto found = table->Find(row.position, row.key);
    REQUIRE(found);
    REQUIRE(found->has_value());
    const size_t spare = (*found)->bytes->size() - row.key.size() - row.value.size();
    CAPTURE(row.value.size(), spare);
    if (row.value.size() < kSharedValueBytes) {
      CHECK(spare == 0);
    } else {
      CHECK(spare < 64);  // the row's own header, in a block of its own
    }
  }
}

TEST_CASE("table: threads load the index once and find rows at once", "[engine][table][thread]") {
  const auto rows = RandomRows(500, 9);
  testing::MemFileSystem files;  // counts nothing, so any thread may use it
  REQUIRE(files.CreateDirectories("db"));
  const auto info = BuildTable(&files, "db", 3, rows, {.block_bytes = 300});
  REQUIRE(info);
  const auto table = Table::Open(&files, "db", *info);
  REQUIRE(table);
  std::atomic<size_t> wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (const OwnedRow& row : rows) {
        const auto found = (*table)->Find(row.position, row.key);
        if (!found || !*found || OwnedRow::Of((*found)->row) != row) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace varve::engine
