#include "engine/compaction_picker.h"

#include <catch2/catch.hpp>
#include <deque>
#include <random>

#include "engine/range_writer.h"
#include "engine/support/simulated_env.h"

namespace varve::engine {
namespace {

constexpr uint64_t kMiB = 1 << 20;

// Tables without files.
class Shape {
 public:
  // The `index`-th of the ranges of `bits` bits, at `level`; later ones are newer.
  const TableInfo& Add(int level, int bits, uint64_t index, uint64_t row_bytes, uint64_t rows = 100,
                       uint64_t tombstones = 0) {
    TableInfo& info = infos_.emplace_back();
    info.number = infos_.size();
    info.range = DyadicRange::Of(bits == 0 ? 0 : Position{index} << (64 - bits), bits);
    info.row_bytes = row_bytes;
    info.row_count = rows;
    info.tombstone_count = tombstones;
    auto& tables = shape_.levels[static_cast<size_t>(level)];
    if (level == 0) {
      tables.insert(tables.begin(), &info);
    } else {
      const auto behind = std::find_if(tables.begin(), tables.end(), [&](const TableInfo* other) {
        return other->range.begin > info.range.begin;
      });
      tables.insert(behind, &info);
    }
    return info;
  }
  CompactionPlan Plan(std::optional<uint64_t> live_rows = std::nullopt) const {
    return {shape_, limits_, live_rows};
  }
  std::optional<Compaction> Pick(CompactionGoal goal = CompactionGoal::kKeepPace,
                                 std::optional<uint64_t> live_rows = std::nullopt) const {
    return Plan(live_rows).Pick({}, goal);
  }

 private:
  std::deque<TableInfo> infos_;
  LevelShape shape_;
  CompactionLimits limits_{.write_buffer_bytes = kMiB, .level0_flushes = 8, .level0_depth_max = 24};
};

DyadicRange Eighth(uint64_t index) { return DyadicRange::Of(Position{index} << 61, 3); }

TEST_CASE("picker: a range of L0 is merged when full flushes or too many small ones lie over it",
          "[engine]") {
  Shape full;
  for (int i = 0; i < 7; ++i) full.Add(0, 3, 1, kMiB / 8);
  CHECK_FALSE(full.Pick().has_value());
  full.Add(0, 3, 1, kMiB / 8);
  REQUIRE(full.Pick().has_value());
  CHECK(*full.Pick() == Compaction{0, kLastLevel, Eighth(1)});

  Shape small;
  for (int i = 0; i < 23; ++i) small.Add(0, 3, 6, 10);
  CHECK_FALSE(small.Pick().has_value());
  small.Add(0, 3, 6, 10);
  REQUIRE(small.Pick().has_value());
  CHECK(small.Pick()->range == Eighth(6));
}

TEST_CASE("picker: a step holds all rows of its range at both of its levels", "[engine]") {
  Shape shape;
  for (int i = 0; i < 9; ++i) shape.Add(0, 3, 1, kMiB / 8);
  shape.Add(kLastLevel, 6, 8, kMiB);
  CHECK(shape.Pick()->range == Eighth(1));
  shape.Add(0, 2, 0, 1000);  // a flush that was cut less finely covers two eighths
  CHECK(shape.Pick()->range == DyadicRange::Of(0, 2));
  shape.Add(kLastLevel, 1, 1, 1000);
  CHECK(shape.Pick()->range == DyadicRange::Of(0, 2));
  Shape wide;
  for (int i = 0; i < 9; ++i) wide.Add(0, 3, 1, kMiB / 8);
  wide.Add(kLastLevel, 1, 0, kMiB);
  CHECK(wide.Pick()->range == DyadicRange::Of(0, 1));
}

TEST_CASE("picker: targets follow the last level, and L0 goes to the uppermost that is worth it",
          "[engine]") {
  Shape small;
  small.Add(kLastLevel, 0, 0, 63 * kMiB);
  CHECK(small.Plan().base_level() == kLastLevel);
  Shape larger;
  larger.Add(kLastLevel, 0, 0, 64 * kMiB);
  CHECK(larger.Plan().base_level() == kLastLevel - 1);
  CHECK(larger.Plan().target_bytes(kLastLevel - 1) == 8 * kMiB);
  Shape large;
  large.Add(kLastLevel, 0, 0, 600 * kMiB);
  CHECK(large.Plan().base_level() == kLastLevel - 2);
  CHECK(large.Plan().target_bytes(kLastLevel - 2) == 600 * kMiB / 64);

  // It shrinks: a level that has rows stays the base until it is much too small, then it is
  // emptied.
  Shape shrunk;
  shrunk.Add(kLastLevel, 0, 0, 40 * kMiB);
  shrunk.Add(kLastLevel - 1, 3, 2, kMiB);
  CHECK(shrunk.Plan().base_level() == kLastLevel - 1);
  CHECK_FALSE(shrunk.Pick().has_value());
  Shape tiny;
  tiny.Add(kLastLevel, 0, 0, 20 * kMiB);
  tiny.Add(kLastLevel - 1, 3, 2, kMiB);
  CHECK(tiny.Plan().base_level() == kLastLevel);
  CHECK(tiny.Plan().level0_output() == kLastLevel - 1);  // older rows must not come to lie above
  CHECK(*tiny.Pick() == Compaction{kLastLevel - 1, kLastLevel, DyadicRange{}});
}

TEST_CASE("picker: a level over its target sends down the table that costs least", "[engine]") {
  Shape shape;
  for (uint64_t i = 0; i < 8; ++i) shape.Add(kLastLevel, 3, i, (i == 5 ? 7 : 8) * kMiB);
  shape.Add(kLastLevel - 1, 3, 2, 4 * kMiB, 1000);
  CHECK_FALSE(shape.Pick().has_value());
  CHECK(shape.Plan().debt_bytes() == 0);
  shape.Add(kLastLevel - 1, 3, 5, 4 * kMiB, 1000);
  CHECK(*shape.Pick() == Compaction{kLastLevel - 1, kLastLevel, Eighth(5)});
  CHECK(shape.Plan().debt_bytes() == 8 * kMiB - 63 * kMiB / 8);
  CHECK(shape.Plan().pressure() > 1);
}

TEST_CASE("picker: steps that run keep others off their tables, and no more", "[engine]") {
  Shape shape;
  for (uint64_t range : {1, 6}) {
    for (int i = 0; i < 9; ++i) shape.Add(0, 3, range, kMiB / 8);
  }
  const CompactionPlan plan = shape.Plan();
  const auto first = plan.Pick({}, CompactionGoal::kKeepPace);
  REQUIRE(first.has_value());
  const auto second = plan.Pick(std::vector{*first}, CompactionGoal::kKeepPace);
  REQUIRE(second.has_value());
  CHECK(second->IsApartFrom(*first));
  CHECK_FALSE(plan.Pick(std::vector{*first, *second}, CompactionGoal::kKeepPace).has_value());

  const Compaction lower{3, 4, Eighth(1)};
  CHECK(lower.IsApartFrom({0, 2, Eighth(1)}));
  CHECK(lower.IsApartFrom({2, 3, Eighth(2)}));
  CHECK_FALSE(lower.IsApartFrom({2, 3, Eighth(1)}));
  CHECK_FALSE(lower.IsApartFrom({4, 5, DyadicRange{}}));
  CHECK_FALSE(lower.IsApartFrom({0, 6, Eighth(1)}));
}

TEST_CASE("picker: tables that hide much go first, and less is enough when nobody writes",
          "[engine]") {
  Shape shape;
  for (uint64_t i = 0; i < 8; ++i) shape.Add(kLastLevel, 3, i, 8 * kMiB, 10'000);
  shape.Add(kLastLevel - 1, 3, 2, kMiB, 1250);
  shape.Add(kLastLevel - 1, 3, 4, 10'000, 5000, 5000);  // tombstones
  const auto pick = [&](uint64_t live, CompactionGoal goal) { return shape.Pick(goal, live); };
  CHECK_FALSE(pick(80'000, CompactionGoal::kTidyUp).has_value());
  CHECK_FALSE(pick(70'000, CompactionGoal::kKeepPace).has_value());
  REQUIRE(pick(70'000, CompactionGoal::kTidyUp).has_value());
  CHECK(pick(70'000, CompactionGoal::kTidyUp)->range == Eighth(4));
  REQUIRE(pick(60'000, CompactionGoal::kKeepPace).has_value());
  CHECK(pick(60'000, CompactionGoal::kKeepPace)->range == Eighth(4));
  CHECK_FALSE(shape.Pick(CompactionGoal::kKeepPace).has_value());  // the count is not known
}

TEST_CASE("picker: compacting the whole empties all levels but the last", "[engine]") {
  Shape shape;
  shape.Add(0, 3, 1, 10);
  shape.Add(kLastLevel - 1, 3, 2, 10);
  shape.Add(kLastLevel, 0, 0, 63 * kMiB);
  CHECK(shape.Pick(CompactionGoal::kWhole)->level == 0);
  Shape done;
  done.Add(kLastLevel, 0, 0, kMiB);
  CHECK_FALSE(done.Pick(CompactionGoal::kWhole).has_value());
}

// ---- With files

class Tables {
 public:
  Tables() { REQUIRE(machine_.env().files->CreateDirectories("db").has_value()); }

  Version::Tables Write(std::vector<DyadicRange> ranges, std::vector<Row> rows) {
    std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
      return RowLess(a.position, a.key, b.position, b.key);
    });
    RangeWriter writer(machine_.env().files, "db", &next_number_, &secret_, std::move(ranges), {});
    for (const Row& row : rows) REQUIRE(writer.Add(row).has_value());
    REQUIRE(writer.Finish().has_value());
    writer.Release();
    return writer.tables();
  }
  // One table per range of `bits` bits in which a sixty-fourth is named.
  Version::Tables Write(int bits, const std::vector<uint64_t>& sixtyfourths) {
    std::vector<Row> rows;
    for (const uint64_t index : sixtyfourths) rows.push_back(RowIn(index, "twenty bytes of value"));
    return Write(EvenRanges(bits), std::move(rows));
  }
  Row RowIn(uint64_t sixtyfourth, std::string_view value) {
    for (;; ++next_key_) {
      const std::string key = "k" + std::to_string(next_key_);
      if (secret_.Of(key) >> 58 != sixtyfourth) continue;
      ++next_key_;
      keys_.push_back(key);
      return {secret_.Of(key), keys_.back(), value, ValueType::kString, false};
    }
  }
  static Position Sixtyfourth(uint64_t index) { return index << 58; }
  const PositionSecret& secret() const { return secret_; }

 private:
  testing::SimulatedEnv machine_;
  std::atomic<uint64_t> next_number_{1};
  PositionSecret secret_{{}};
  uint64_t next_key_ = 0;
  std::deque<std::string> keys_;
};

TEST_CASE("version: lookups meet the tables that cover a position, newest first", "[engine]") {
  Tables tables;
  std::array<Version::Tables, kLevelCount> levels;
  const auto whole = tables.Write(0, {3, 60});
  const auto parts = tables.Write(3, {3, 60});
  REQUIRE(whole.size() == 1);
  REQUIRE(parts.size() == 2);
  levels[0] = {whole[0], parts[0], parts[1]};
  levels[1] = tables.Write(3, {3});
  levels[2] = tables.Write(6, {3, 4});
  const Version version(levels);
  CHECK(version.table_count() == 6);

  const auto covering = [&](Position position) {
    std::vector<uint64_t> numbers;
    version.ForEachCovering(position, [&](const std::shared_ptr<Table>& table) {
      numbers.push_back(table->info().number);
      return true;
    });
    return numbers;
  };
  CHECK(covering(Tables::Sixtyfourth(3)) == std::vector<uint64_t>{2, 1, 4, 5});
  CHECK(covering(Tables::Sixtyfourth(4) + 5) == std::vector<uint64_t>{2, 1, 4, 6});
  CHECK(covering(Tables::Sixtyfourth(20)) == std::vector<uint64_t>{1});
  CHECK(covering(~Position{0}) == std::vector<uint64_t>{3, 1});
  CHECK(version.Overlapping(2, DyadicRange::Of(Tables::Sixtyfourth(3), 3)).size() == 2);
  CHECK(version.shape().levels[0][0]->number == 3);
  CHECK(version.shape().levels[2].size() == 2);

  const auto edited = version.Edited({2, 5}, {{1, tables.Write(3, {20})[0]}});
  CHECK(edited->table_count() == 5);
  CHECK(version.table_count() == 6);
}

TEST_CASE("compaction: tables are cut by size at dyadic borders, however rows lie", "[engine]") {
  Tables tables;
  const std::string large(50'000, 'x');
  const std::string small(400, 'y');
  std::mt19937_64 random(7);
  std::vector<Row> rows;
  for (int i = 0; i < 500; ++i) rows.push_back(tables.RowIn(random() % 64, small));
  // Nearly all bytes lie in one corner; incompressible ones, since files' bytes are what counts.
  std::vector<std::string> values;
  for (int i = 0; i < 40; ++i) {
    std::string& value = values.emplace_back(large);
    for (char& byte : value) byte = static_cast<char>(random());
  }
  for (const std::string& value : values) rows.push_back(tables.RowIn(37, value));
  const auto inputs = tables.Write(EvenRanges(0), rows);
  REQUIRE(inputs.size() == 1);

  constexpr uint64_t kMax = 300'000;
  const auto ranges = OutputRanges({}, inputs, kMax);
  REQUIRE(ranges.has_value());
  CHECK(ranges->size() > 8);
  Position next = 0;
  for (const DyadicRange& range : *ranges) {
    CHECK(range.begin == next);
    next = range.last() + 1;
  }
  CHECK(next == 0);  // past the end of the space
  uint64_t total = 0;
  for (const auto& table : tables.Write(*ranges, rows)) {
    CHECK(table->info().file_bytes < kMax + 60'000);
    total += table->info().row_count;
  }
  CHECK(total == rows.size());
  CHECK(OutputRanges({}, inputs, 1 << 30)->size() == 1);
}

TEST_CASE("picker: a tombstone goes only when nothing beneath may have its key", "[engine]") {
  Tables tables;
  std::array<Version::Tables, kLevelCount> levels;
  const Row row = tables.RowIn(7, "value");
  levels[3] = tables.Write(EvenRanges(9), {row});
  const Version version(levels);
  CHECK_FALSE(*CanDropTombstone(version, 1, row.position));
  CHECK_FALSE(*CanDropTombstone(version, 2, row.position));
  CHECK(*CanDropTombstone(version, 3, row.position));
  CHECK(*CanDropTombstone(version, 1, row.position ^ (Position{1} << 63)));
}

}  // namespace
}  // namespace varve::engine
