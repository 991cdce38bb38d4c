#include "engine/merge_cursor.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>

#include "engine/support/colliding_keys.h"
#include "engine/support/table_fixture.h"

namespace varve::engine {
namespace {

using testing::OwnedRow;
using testing::TestSecret;

// Walks rows in memory; its views die with each step, as a table's do. Fails after `fail_after`.
class VectorCursor final : public RowCursor {
 public:
  explicit VectorCursor(std::vector<OwnedRow> rows, size_t fail_after = ~size_t{0})
      : rows_(std::move(rows)), fail_after_(fail_after) {}

  void Seek(Position position) override {
    const auto at = std::lower_bound(
        rows_.begin(), rows_.end(), position,
        [](const OwnedRow& row, Position target) { return row.position < target; });
    index_ = static_cast<size_t>(at - rows_.begin());
    Load();
  }
  void Next() override {
    REQUIRE(Valid());
    ++index_;
    Load();
  }
  bool Valid() const override { return current_ != nullptr; }
  const Row& row() const override { return row_; }
  const Result<void>& status() const override { return status_; }

 private:
  void Load() {
    current_ = nullptr;
    status_ = {};
    if (steps_++ >= fail_after_) {
      status_ = Fail(Errc::kIo, "step {}", steps_);
    } else if (index_ < rows_.size()) {
      current_ = std::make_unique<OwnedRow>(rows_[index_]);
      row_ = current_->view();
    }
  }

  std::vector<OwnedRow> rows_;
  const size_t fail_after_;
  size_t steps_ = 0;
  size_t index_ = 0;
  std::unique_ptr<OwnedRow> current_;
  Row row_;
  Result<void> status_;
};

using Sources = std::vector<std::vector<OwnedRow>>;

// Sources that share many keys, some of which share a position.
Sources RandomSources(size_t source_count, size_t row_count, uint64_t seed) {
  std::mt19937_64 random(seed);
  Sources sources(source_count);
  for (size_t source = 0; source < source_count; ++source) {
    const size_t count = random() % 4 == 0 ? 0 : random() % row_count;
    for (size_t i = 0; i < count; ++i) {
      std::string key = "key" + std::to_string(random() % row_count);
      if (random() % 4 == 0) {
        key = testing::CollidingKeys(TestSecret(), random() % 20)[random() % 3];
      }
      const bool is_tombstone = random() % 3 == 0;
      sources[source].push_back(
          {0, key, is_tombstone ? "" : "from " + std::to_string(source), is_tombstone});
    }
    sources[source] = testing::InTableOrder(std::move(sources[source]));
  }
  return sources;
}

std::vector<OwnedRow> Expected(const Sources& sources) {
  std::vector<OwnedRow> all;
  for (const auto& source : sources) all.insert(all.end(), source.begin(), source.end());
  return testing::InTableOrder(std::move(all));  // of equal keys the first stays
}

MergeCursor Merge(const Sources& sources, size_t failing = ~size_t{0}, size_t fail_after = 0) {
  std::vector<std::unique_ptr<RowCursor>> cursors;
  for (size_t i = 0; i < sources.size(); ++i) {
    cursors.push_back(
        std::make_unique<VectorCursor>(sources[i], i == failing ? fail_after : ~size_t{0}));
  }
  return MergeCursor(std::move(cursors));
}

TEST_CASE("merge cursor: the newest row of each key, in order", "[engine][merge]") {
  for (uint64_t seed = 0; seed < 400; ++seed) {
    CAPTURE(seed);
    const auto sources = RandomSources(seed % 14, 1 + seed % 90, seed);
    auto merged = Merge(sources);
    CHECK_FALSE(merged.Valid());
    merged.Seek(0);
    REQUIRE(testing::Rest(merged) == Expected(sources));
    CHECK(merged.status());
  }
}

TEST_CASE("merge cursor: each row of a source is shown or counted as hidden", "[engine][merge]") {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    CAPTURE(seed);
    const auto sources = RandomSources(6, 100, seed);
    size_t all = 0;
    for (const auto& source : sources) all += source.size();
    auto merged = Merge(sources);
    for (int walk = 0; walk < 2; ++walk) {
      merged.Seek(0);
      const size_t shown = testing::Rest(merged).size();
      CHECK(shown + merged.hidden_rows() == all);
    }
  }
}

TEST_CASE("merge cursor: each reference is shown or handed out as hidden, once",
          "[engine][merge][values]") {
  size_t hidden = 0;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    CAPTURE(seed);
    Sources sources = RandomSources(6, 100, seed);
    std::set<uint32_t> all;
    for (auto& source : sources) {
      for (OwnedRow& row : source) {
        if (row.is_tombstone) continue;
        row.reference = {1, static_cast<uint32_t>(all.size()), 10};
        all.insert(row.reference.ordinal);
      }
    }
    auto merged = Merge(sources);
    merged.Seek(0);
    std::set<uint32_t> met;
    for (; merged.Valid(); merged.Next()) {
      if (merged.row().reference) REQUIRE(met.insert(merged.row().reference.ordinal).second);
    }
    const size_t shown = met.size();
    for (const ValueReference& reference : merged.TakeHiddenReferences()) {
      REQUIRE(met.insert(reference.ordinal).second);
    }
    CHECK(met == all);
    hidden += all.size() - shown;
    CHECK(merged.TakeHiddenReferences().empty());
  }
  CHECK(hidden > 0);
}

TEST_CASE("merge cursor: seek, again and again", "[engine][merge]") {
  const auto sources = RandomSources(7, 60, 5);
  const auto expected = Expected(sources);
  auto merged = Merge(sources);
  std::mt19937_64 random(9);
  for (int run = 0; run < 500; ++run) {
    Position target = expected[random() % expected.size()].position + random() % 3 - 1;
    if (run % 50 == 0) target = ~Position{0};
    merged.Seek(target);
    const auto from = std::find_if(expected.begin(), expected.end(),
                                   [&](const OwnedRow& row) { return row.position >= target; });
    for (auto at = from; at != expected.end() && at - from < 5; ++at) {
      REQUIRE(merged.Valid());
      REQUIRE(OwnedRow::Of(merged.row()) == *at);
      merged.Next();
    }
    if (from == expected.end()) CHECK_FALSE(merged.Valid());
  }
}

TEST_CASE("merge cursor: an error of any source, at any step, ends it", "[engine][merge][fault]") {
  const auto sources = RandomSources(5, 40, 3);
  const auto expected = Expected(sources);
  for (size_t failing = 0; failing < sources.size(); ++failing) {
    for (size_t fail_after = 0; fail_after <= sources[failing].size(); ++fail_after) {
      CAPTURE(failing, fail_after);
      auto merged = Merge(sources, failing, fail_after);
      merged.Seek(0);
      const auto shown = testing::Rest(merged);
      CHECK_FALSE(merged.Valid());
      REQUIRE_FALSE(merged.status());
      CHECK(merged.status().error().code == Errc::kIo);
      // What was shown before is right: no older row in place of one that could not be read.
      REQUIRE(shown.size() <= expected.size());
      REQUIRE(std::equal(shown.begin(), shown.end(), expected.begin()));
    }
  }
}

}  // namespace
}  // namespace varve::engine
