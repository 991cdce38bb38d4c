#include "engine/compaction_picker.h"

#include <catch2/catch.hpp>
#include <random>

#include "engine/range_writer.h"
#include "engine/support/simulated_env.h"

namespace varve::engine {
namespace {

class Tables {
 public:
  Tables() { REQUIRE(machine_.env().files->CreateDirectories("db").has_value()); }

  // One table per range of `bits` bits that `positions` touch; equal positions are not meant.
  Version::Tables Write(int bits, std::vector<Position> positions) {
    std::sort(positions.begin(), positions.end());
    RangeWriter writer(machine_.env().files, "db", &next_number_, &secret_, bits, {});
    for (const Position position : positions) {
      // Keys whose position is what the test wants do not exist: the table keeps what it is given,
      // and is not read back by key here.
      const std::string key = KeyAt(position);
      REQUIRE(writer.Add({secret_.Of(key), key, std::string_view("twenty bytes of value", 20)})
                  .has_value());
    }
    REQUIRE(writer.Finish().has_value());
    writer.Release();
    return writer.tables();
  }

  // A key in the 1/64 of the space that `position` is in.
  std::string KeyAt(Position position) {
    for (uint64_t i = 0;; ++i) {
      std::string key = "k" + std::to_string(i);
      if (secret_.Of(key) >> 58 == position >> 58) return key;
    }
  }
  static Position Sixtyfourth(uint64_t index) { return index << 58; }
  const PositionSecret& secret() const { return secret_; }

 private:
  testing::SimulatedEnv machine_;
  std::atomic<uint64_t> next_number_{1};
  PositionSecret secret_{{}};
};

TEST_CASE("version: lookups meet the tables that cover a position, newest first", "[engine]") {
  Tables tables;
  std::array<Version::Tables, kLevelCount> levels;
  const auto whole = tables.Write(0, {Tables::Sixtyfourth(3), Tables::Sixtyfourth(60)});
  const auto parts = tables.Write(3, {Tables::Sixtyfourth(3), Tables::Sixtyfourth(60)});
  REQUIRE(whole.size() == 1);
  REQUIRE(parts.size() == 2);
  levels[0] = {whole[0], parts[0], parts[1]};
  levels[1] = tables.Write(3, {Tables::Sixtyfourth(3)});
  levels[2] = tables.Write(6, {Tables::Sixtyfourth(3), Tables::Sixtyfourth(4)});
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
  CHECK(version.Level0Depth(0) == 2);
  CHECK(version.Level0Depth(3) == 1);
  CHECK(version.Overlapping(2, DyadicRange::Of(Tables::Sixtyfourth(3), 3)).size() == 2);

  const auto edited = version.Edited({2, 5}, {{1, tables.Write(3, {Tables::Sixtyfourth(20)})[0]}});
  CHECK(edited->table_count() == 5);
  CHECK(version.table_count() == 6);
}

TEST_CASE("picker: an L0 step holds every L0 row of its range", "[engine]") {
  Tables tables;
  CompactionLimits limits;
  limits.level0_depth = 4;
  std::array<Version::Tables, kLevelCount> levels;
  for (int i = 0; i < 3; ++i) levels[0].push_back(tables.Write(3, {Tables::Sixtyfourth(9)})[0]);
  CHECK_FALSE(PickCompaction(Version(levels), limits).has_value());
  levels[0].push_back(tables.Write(3, {Tables::Sixtyfourth(8)})[0]);
  levels[1] = tables.Write(3, {Tables::Sixtyfourth(8), Tables::Sixtyfourth(20)});
  const auto narrow = PickCompaction(Version(levels), limits);
  REQUIRE(narrow.has_value());
  CHECK(narrow->level == 0);
  CHECK(narrow->range == DyadicRange::Of(Tables::Sixtyfourth(8), 3));
  CHECK(narrow->upper.size() == 4);
  CHECK(narrow->lower.size() == 1);

  // One flush that was not cut covers everything: the step must then be the whole space.
  levels[0].push_back(tables.Write(0, {Tables::Sixtyfourth(50)})[0]);
  const auto wide = PickCompaction(Version(levels), limits);
  REQUIRE(wide.has_value());
  CHECK(wide->range == DyadicRange{});
  CHECK(wide->upper.size() == 5);
  CHECK(wide->lower.size() == 2);
}

TEST_CASE("picker: a level over its limit sends down the table that costs least", "[engine]") {
  Tables tables;
  std::array<Version::Tables, kLevelCount> levels;
  levels[1] = tables.Write(3, {Tables::Sixtyfourth(1), Tables::Sixtyfourth(30)});
  levels[2] = tables.Write(6, {Tables::Sixtyfourth(1)});
  CompactionLimits limits;
  limits.table_bytes = 1 << 20;
  CHECK_FALSE(PickCompaction(Version(levels), limits).has_value());
  CHECK(CompactionDebt(Version(levels), limits) == 0);
  limits.table_bytes = 1;
  const auto picked = PickCompaction(Version(levels), limits);
  REQUIRE(picked.has_value());
  CHECK(picked->level == 1);
  CHECK(picked->range == DyadicRange::Of(Tables::Sixtyfourth(30), 3));
  CHECK(picked->lower.empty());
  CHECK(CompactionDebt(Version(levels), limits) > 0);
}

TEST_CASE("picker: a tombstone goes only when nothing beneath may have its key", "[engine]") {
  Tables tables;
  std::array<Version::Tables, kLevelCount> levels;
  levels[3] = tables.Write(9, {Tables::Sixtyfourth(7)});
  const Version version(levels);
  const Position position = tables.secret().Of(tables.KeyAt(Tables::Sixtyfourth(7)));
  CHECK_FALSE(*CanDropTombstone(version, 1, position));
  CHECK_FALSE(*CanDropTombstone(version, 2, position));
  CHECK(*CanDropTombstone(version, 3, position));
  CHECK(*CanDropTombstone(version, 1, position ^ (Position{1} << 63)));
}

}  // namespace
}  // namespace varve::engine
