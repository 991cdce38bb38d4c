#include "engine/value_runs.h"

#include <catch2/catch.hpp>
#include <random>

#include "engine/manifest.h"
#include "engine/manifest_format.h"
#include "engine/value_collection.h"

namespace varve::engine {
namespace {

constexpr uint64_t kNumberEnd = 1000;

// A file with one new run of `count` records of 10 bytes each.
ValueEdit FlushEdit(uint64_t number, uint32_t count) {
  ValueEdit edit;
  edit.files.push_back({number, 10 * count + 100, count, 10 * uint64_t{count}});
  edit.runs.emplace_back(number, ValueRun::AllLive(number, count, 10 * uint64_t{count}));
  return edit;
}

ValueEdit DeadEdit(uint64_t run, const std::vector<uint32_t>& ordinals) {
  std::vector<ValueReference> references;
  for (const uint32_t ordinal : ordinals) references.push_back({run, ordinal, 10});
  ValueEdit edit;
  edit.dead = DeadRecords(references);
  return edit;
}

void ApplyTo(ValueRuns& runs, const ValueEdit& edit) {
  REQUIRE(runs.Check(edit, kNumberEnd));
  runs.Apply(edit);
}

TEST_CASE("value runs: what dies is counted, and goes with its file when all is dead",
          "[engine][values]") {
  ValueRuns runs;
  ApplyTo(runs, FlushEdit(5, 4));
  ApplyTo(runs, FlushEdit(6, 2));
  CHECK(runs.totals().live_bytes == 60);
  CHECK(runs.totals().dead_bytes() == 0);
  ApplyTo(runs, DeadEdit(5, {3, 0}));
  CHECK(runs.totals().live_bytes == 40);
  CHECK(runs.totals().live_count == 4);
  CHECK(runs.totals().dead_bytes() == 20);
  CHECK(runs.runs.at(5).live == std::vector<bool>{false, true, true, false});

  ValueEdit moved;  // both to one file
  moved.files.push_back({9, 200, 4, 40});
  moved.moved = {{5, 9}, {6, 9}};
  ApplyTo(runs, moved);
  CHECK(runs.files.size() == 1);
  CHECK(runs.totals().dead_bytes() == 0);
  ApplyTo(runs, DeadEdit(6, {0, 1}));
  CHECK_FALSE(runs.runs.contains(6));
  CHECK(runs.files.contains(9));
  ApplyTo(runs, DeadEdit(5, {1, 2}));
  CHECK(runs == ValueRuns());
}

TEST_CASE("value runs: an edit that does not fit is refused", "[engine][values]") {
  ValueRuns runs;
  ApplyTo(runs, FlushEdit(5, 4));
  ApplyTo(runs, DeadEdit(5, {2}));
  const auto refused = [&](const ValueEdit& edit) {
    const auto checked = runs.Check(edit, kNumberEnd);
    return !checked && checked.error().code == Errc::kCorruption;
  };
  CHECK(refused(DeadEdit(5, {2})));     // dead already
  CHECK(refused(DeadEdit(5, {4})));     // never was
  CHECK(refused(DeadEdit(5, {1, 1})));  // twice
  CHECK(refused(DeadEdit(7, {0})));
  CHECK(refused(FlushEdit(5, 4)));
  CHECK(refused(FlushEdit(kNumberEnd, 4)));
  CHECK(refused(FlushEdit(0, 4)));
  CHECK(refused(FlushEdit(8, 0)));
  ValueEdit edit = FlushEdit(8, 3);
  edit.runs.clear();
  CHECK(refused(edit));  // a file without a run
  edit = FlushEdit(8, 3);
  edit.files.clear();
  CHECK(refused(edit));  // a run without a file
  edit = FlushEdit(8, 3);
  edit.runs[0].second.live[1] = false;
  CHECK(refused(edit));  // counts that are not those of its records
  edit = DeadEdit(5, {0});
  edit.dead[0].bytes = 30;
  CHECK(refused(edit));  // all bytes of three records
  edit = DeadEdit(5, {0, 1, 3});
  edit.dead[0].bytes = 29;
  CHECK(refused(edit));
  edit = {};
  edit.moved = {{5, 9}};
  CHECK(refused(edit));
  edit.files.push_back({9, 200, 4, 40});
  CHECK_FALSE(refused(edit));
  edit.moved = {{6, 9}};
  CHECK(refused(edit));
}

TEST_CASE("value runs: edits come back from their bytes, cut ones do not",
          "[engine][values][manifest]") {
  std::mt19937_64 random(3);
  for (int run = 0; run < 200; ++run) {
    CAPTURE(run);
    VersionEdit edit;
    VersionEdit::Tree& tree = edit.trees.emplace_back();
    tree.id = 3;
    tree.values = FlushEdit(100, 1 + static_cast<uint32_t>(random() % 600));
    ValueRun& added = tree.values.runs[0].second;
    const uint64_t one_in = std::array<uint64_t, 4>{1, 2, 40, 1000}[random() % 4];
    for (uint32_t i = 1; i < added.record_count && one_in > 1; ++i) {  // some are dead
      if (random() % one_in == 0) continue;
      added.live[i] = false;
      --added.live_count;
      added.live_bytes -= 10;
    }
    tree.values.moved = {{4, 100}, {700, 100}};
    tree.values.dead = DeadEdit(8, {0, 5, 6, 4'000'000}).dead;
    const std::string bytes = EncodeEdit(edit);
    REQUIRE(DecodeEdit(bytes) == edit);
    for (size_t cut = bytes.size() - 1; cut > 0; cut -= 1 + cut / 20) {
      const auto decoded = DecodeEdit(std::string_view(bytes).substr(0, cut));
      CHECK((!decoded || decoded->trees[0].values.empty()));
    }
  }
}

TEST_CASE("value runs: random bytes are refused, or an edit", "[engine][values][fuzz]") {
  std::mt19937_64 random(11);
  VersionEdit edit;
  edit.trees.push_back({.id = 3});
  edit.trees[0].values = FlushEdit(100, 77);
  edit.trees[0].values.runs[0].second.live[5] = false;
  edit.trees[0].values.dead = DeadEdit(8, {0, 5, 6}).dead;
  const std::string bytes = EncodeEdit(edit);
  for (int run = 0; run < 50'000; ++run) {
    std::string changed = bytes;
    for (int i = 0; i < 2; ++i) {
      changed[random() % changed.size()] =
          static_cast<char>(random() % 2 == 0 ? random() : 0x80 + random() % 128);
    }
    const auto decoded = DecodeEdit(changed);
    if (!decoded) continue;
    ManifestState state;  // nothing of it is trusted before it is checked
    (void)state.Apply(*decoded).has_value();
  }
}

TEST_CASE("value runs: a manifest edit keeps references and live records equal",
          "[engine][values][manifest]") {
  ManifestState state;
  state.databases = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  const auto table = [](uint64_t number, uint64_t values) {
    LevelTable made;
    made.info.number = number;
    made.info.row_count = 20;
    made.info.value_count = values;
    made.info.value_bytes = 10 * values;
    return made;
  };
  VersionEdit flush;
  flush.next_number = 500;
  flush.trees.push_back({.id = 1, .added = {table(20, 3), table(21, 1)}});
  CHECK_FALSE(state.Check(flush));  // references to nothing
  flush.trees[0].values = FlushEdit(22, 5);
  CHECK_FALSE(state.Check(flush));  // a record that nothing refers to
  flush.trees[0].values = FlushEdit(22, 4);
  REQUIRE(state.Apply(flush));

  VersionEdit merge;
  merge.trees.push_back({.id = 1, .added = {table(30, 3)}, .removed = {20, 21}});
  CHECK_FALSE(state.Check(merge));  // a reference is lost
  merge.trees[0].values = DeadEdit(22, {1, 2});
  CHECK_FALSE(state.Check(merge));
  merge.trees[0].values = DeadEdit(22, {1});
  merge.trees[0].values.dead[0].bytes = 11;
  CHECK_FALSE(state.Check(merge));
  merge.trees[0].values = DeadEdit(22, {1});
  REQUIRE(state.Apply(merge));

  VersionEdit snapshot = SnapshotEdit(state);
  const auto decoded = DecodeEdit(EncodeEdit(snapshot));
  REQUIRE(decoded);
  ManifestState again;
  REQUIRE(again.Apply(*decoded));
  CHECK(again == state);
}

// `count` files with 100 records each, of which so many are dead, the oldest first.
ValueRuns FilesWith(const std::vector<uint32_t>& dead_counts) {
  ValueRuns runs;
  uint64_t number = 10;
  for (const uint32_t dead : dead_counts) {
    ApplyTo(runs, FlushEdit(++number, 100));
    std::vector<uint32_t> ordinals(dead);
    for (uint32_t i = 0; i < dead; ++i) ordinals[i] = i;
    if (dead > 0) ApplyTo(runs, DeadEdit(number, ordinals));
  }
  return runs;
}

TEST_CASE("value collection: begins when dead bytes pass the bound", "[engine][values]") {
  const CollectionLimits limits;
  CHECK(PickCollection(ValueRuns(), 0, limits, true).empty());
  CHECK(PickCollection(FilesWith({0, 0}), 0, limits, true).empty());
  const ValueRuns few = FilesWith({8, 8});
  CHECK(PickCollection(few, 0, limits, true).empty());
  CHECK(PickCollection(few, few.totals().live_bytes / 5, limits, false).empty());
  const ValueRuns some = FilesWith({15, 12});
  CHECK(PickCollection(some, 0, limits, false).empty());
  CHECK_FALSE(PickCollection(some, 0, limits, true).empty());
  // What is hidden but not known to be dead counts too.
  CHECK_FALSE(PickCollection(some, some.totals().live_bytes / 10, limits, false).empty());
  CHECK(CollectionPressure(some.totals(), 0, limits) < 1);
  const ValueRuns many = FilesWith({22, 20});
  CHECK_FALSE(PickCollection(many, 0, limits, false).empty());
  CHECK(CollectionPressure(many.totals(), 0, limits) > 1);
  CHECK(CollectionPressure(FilesWith({40, 40}).totals(), 0, limits) >
        2 * CollectionPressure(many.totals(), 0, limits));
}

TEST_CASE("value collection: takes the files that free most, of equals the oldest",
          "[engine][values]") {
  CollectionLimits limits;
  limits.output_bytes_max = 1;  // one file at a time
  CHECK(PickCollection(FilesWith({30, 50, 30}), 0, limits, false) == std::vector<uint64_t>{12});
  CHECK(PickCollection(FilesWith({30, 30, 30}), 0, limits, false) == std::vector<uint64_t>{11});
  // An old one rather than a young one that is a little emptier, which empties further by itself.
  CHECK(PickCollection(FilesWith({40, 0, 0, 0, 45}), 0, limits, true) == std::vector<uint64_t>{11});
  limits.output_bytes_max = 1 << 20;
  limits.output_part = 2;
  CHECK(PickCollection(FilesWith({60, 60, 2, 60}), 0, limits, false).size() == 1 + 1);
  // One with hardly anything dead is never copied.
  limits.output_part = 1;
  const auto picked = PickCollection(FilesWith({60, 2, 60}), 0, limits, false);
  CHECK(picked == std::vector<uint64_t>{11, 13});
}

}  // namespace
}  // namespace varve::engine
