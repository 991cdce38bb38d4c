#include "engine/value_file.h"

#include <catch2/catch.hpp>
#include <random>

#include "engine/checksum.h"
#include "engine/coding.h"
#include "engine/support/mem_file_system.h"
#include "engine/support/table_fixture.h"
#include "engine/value_builder.h"
#include "engine/value_collector.h"
#include "engine/value_index.h"

namespace varve::engine {
namespace {

using testing::MemFileSystem;
using testing::OwnedRow;

// Rows with values, in order: `count` of them, none empty, some of them compressible.
std::vector<OwnedRow> Rows(size_t count, uint64_t seed) {
  std::vector<OwnedRow> rows = testing::RandomRows(count + count / 2 + 20, seed);
  std::erase_if(rows, [](const OwnedRow& row) { return row.is_tombstone; });
  REQUIRE(rows.size() >= count);
  rows.resize(count);
  return rows;
}

Result<void> FinishWhole(ValueFileBuilder& builder) {
  TRY(builder.Finish());
  for (bool verified = false; !verified;) {
    TRY_ASSIGN(verified, builder.VerifySome(300));
  }
  return {};
}

// A value file on a disk of its own, with one run of these rows.
struct Sample {
  explicit Sample(size_t count, uint64_t number = 6, uint64_t seed = 1) : rows(Rows(count, seed)) {
    REQUIRE(files.CreateDirectories("db"));
    Write(number);
  }
  void Write(uint64_t number) {
    auto builder = ValueFileBuilder::Create(&files, "db", number);
    REQUIRE(builder);
    references.clear();
    for (const OwnedRow& row : rows) {
      const auto reference = (*builder)->Add(row.view());
      REQUIRE(reference);
      references.push_back(*reference);
    }
    REQUIRE(FinishWhole(**builder));
    info = (*builder)->info();
    (*builder)->AddTo(edit);
    (*builder)->Release();
  }

  MemFileSystem files;
  std::vector<OwnedRow> rows;
  std::vector<ValueReference> references;
  ValueFileInfo info;
  ValueEdit edit;
};

void CheckFound(const ValueFile& file, const ValueReference& reference, const OwnedRow& row) {
  const auto found = file.Find(reference, row.position, row.key);
  REQUIRE(found);
  REQUIRE(found->has_value());
  CHECK(OwnedRow::Of((*found)->row) == row);
}

TEST_CASE("value file: every record comes back by run and ordinal", "[engine][values]") {
  Sample sample(500);
  CHECK(sample.files.IsSynced("db/values-6.val"));
  const auto file = ValueFile::Open(&sample.files, "db", sample.info);
  REQUIRE(file);
  uint64_t bytes = 0;
  for (size_t i = 0; i < sample.rows.size(); ++i) {
    CAPTURE(i);
    CHECK(sample.references[i].run == 6);
    CHECK(sample.references[i].ordinal == i);
    CheckFound(**file, sample.references[i], sample.rows[i]);
    bytes += sample.references[i].record_bytes;
  }
  CHECK(bytes == sample.info.record_bytes);
  REQUIRE(sample.edit.runs.size() == 1);
  CHECK(sample.edit.runs[0].second.live_bytes == bytes);
  CHECK(sample.edit.runs[0].second.live_count == 500);

  // Another key's record is none of this key; a record that is not there is damage.
  const auto other = (*file)->Find(sample.references[1], 0, "no such key");
  REQUIRE(other);
  CHECK_FALSE(other->has_value());
  CHECK((*file)->Find({7, 0, 1}, 0, "k").error().code == Errc::kCorruption);
  CHECK((*file)->Find({6, 500, 1}, 0, "k").error().code == Errc::kCorruption);
}

TEST_CASE("value file: its bytes are the documented ones", "[engine][values][golden]") {
  MemFileSystem files;
  REQUIRE(files.CreateDirectories("db"));
  const auto builder = ValueFileBuilder::Create(&files, "db", 300);
  REQUIRE(builder);
  REQUIRE((*builder)->Add({.key = "k", .value = "first"}));
  REQUIRE((*builder)->Add({.key = "l", .value = "second"}));
  REQUIRE(FinishWhole(**builder));
  (*builder)->Release();

  std::string expected;
  const auto seal = [&expected](std::string payload) {
    const uint64_t offset = expected.size();
    payload.push_back(0);  // stored plain
    expected.append(payload);
    PutFixed64(expected, Checksum(payload, 300 * 0x9e3779b97f4a7c15ull + offset));
  };
  seal(std::string("\x00\x01\x05kfirst", 9));
  seal(std::string("\x00\x01\x06lsecond", 10));
  const uint64_t index_offset = expected.size();
  seal(std::string("\x01\xac\x02\x02\x00\x12\x00\x13", 8));
  std::string footer;
  for (const uint64_t number : {index_offset, uint64_t{8}, uint64_t{300}, uint64_t{2}}) {
    PutFixed64(footer, number);
  }
  PutFixed32(footer, 1);
  PutFixed32(footer, 0);
  PutFixed64(footer, Checksum(footer));
  footer += "VRVE-VAL";
  expected += footer;
  CHECK(*files.ReadWhole("db/values-300.val") == expected);
}

// Every way to read the file gives right rows or a corruption that names it.
void CheckDamaged(Sample& sample, const std::string& changed) {
  const auto check = [](const Error& error) {
    CHECK(error.code == Errc::kCorruption);
    CHECK(error.context.find("db/values-6.val") != std::string::npos);
  };
  sample.files.Write("db/values-6.val", changed);
  const auto file = ValueFile::Open(&sample.files, "db", sample.info);
  if (!file) return check(file.error());
  bool reported = false;
  for (size_t i = 0; i < sample.rows.size(); ++i) {
    const OwnedRow& row = sample.rows[i];
    const auto found = (*file)->Find(sample.references[i], row.position, row.key);
    if (!found) {
      check(found.error());
      reported = true;
      continue;
    }
    REQUIRE(found->has_value());
    REQUIRE(OwnedRow::Of((*found)->row) == row);
  }
  CHECK(reported);
}

TEST_CASE("value file: any flipped bit is reported, never a wrong row", "[engine][values]") {
  Sample sample(12);
  const std::string whole = *sample.files.ReadWhole("db/values-6.val");
  for (size_t offset = 0; offset < whole.size(); ++offset) {
    CAPTURE(offset);
    std::string changed = whole;
    changed[offset] = static_cast<char>(changed[offset] ^ 1 << offset % 8);
    CheckDamaged(sample, changed);
  }
}

TEST_CASE("value file: cut anywhere, or another file in its place, it is reported",
          "[engine][values]") {
  Sample sample(12);
  const std::string whole = *sample.files.ReadWhole("db/values-6.val");
  for (size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CheckDamaged(sample, whole.substr(0, size));
  }
  CheckDamaged(sample, whole + "x");
  Sample other(12, 8);
  CheckDamaged(sample, *other.files.ReadWhole("db/values-8.val"));
}

TEST_CASE("value file: an index that contradicts the file is refused, whatever it says",
          "[engine][values][fuzz]") {
  Sample sample(5);
  const std::string whole = *sample.files.ReadWhole("db/values-6.val");
  const auto footer = DecodeValueFooter(
      std::string_view(whole).substr(whole.size() - kValueFooterBytes), whole.size(), "f");
  REQUIRE(footer);
  const BlockHandle handle = footer->index;
  std::mt19937_64 random(5);
  for (int run = 0; run < 3000; ++run) {
    CAPTURE(run);
    std::string changed = whole;
    for (int i = 0; i < 3; ++i) {
      changed[handle.offset + random() % handle.size] = static_cast<char>(random() % 300);
    }
    const std::string path = "db/values-6.val";
    SealBlock(changed.data() + handle.offset, handle.size, Compression::kNone,
              {path, 6, handle.offset});
    sample.files.Write(path, changed);
    const auto file = ValueFile::Open(&sample.files, "db", sample.info);
    REQUIRE(file);
    const auto index = (*file)->LoadIndex();
    if (!index) {
      CHECK(index.error().code == Errc::kCorruption);
      continue;
    }
    REQUIRE((*index)->record_count() == 5);
    CHECK((*index)->handle(4).end() == handle.offset);
  }
}

TEST_CASE("value builder: what it wrote is gone unless it was released", "[engine][values]") {
  MemFileSystem files;
  REQUIRE(files.CreateDirectories("db"));
  for (const int until : {0, 1, 2, 3}) {
    CAPTURE(until);
    {
      auto builder = ValueFileBuilder::Create(&files, "db", 9);
      REQUIRE(builder);
      REQUIRE((*builder)->Add({.key = "k", .value = "v"}));
      if (until >= 1) REQUIRE((*builder)->Finish());
      if (until >= 2) REQUIRE((*builder)->VerifySome(~uint64_t{0}));
      if (until >= 3) (*builder)->Release();
    }
    CHECK(*files.Exists("db/values-9.val") == (until == 3));
  }
}

TEST_CASE("value builder: what the disk lost or changed is found when it is read back",
          "[engine][values]") {
  for (const uint64_t offset : {1, 40, 100}) {
    CAPTURE(offset);
    MemFileSystem files;
    REQUIRE(files.CreateDirectories("db"));
    auto builder = ValueFileBuilder::Create(&files, "db", 9);
    REQUIRE(builder);
    for (const OwnedRow& row : Rows(20, 3)) REQUIRE((*builder)->Add(row.view()));
    REQUIRE((*builder)->Finish());
    files.Corrupt("db/values-9.val", offset);
    const auto verified = (*builder)->VerifySome(~uint64_t{0});
    REQUIRE_FALSE(verified);
    CHECK(verified.error().code == Errc::kCorruption);
  }
}

TEST_CASE("value collector: what lives goes along under its run and ordinal", "[engine][values]") {
  for (const uint64_t seed : {1, 2, 3}) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    Sample first(300, 6, seed);
    MemFileSystem& files = first.files;
    const std::vector<OwnedRow> first_rows = first.rows;
    const std::vector<ValueReference> first_references = first.references;
    first.rows = Rows(200, seed + 10);
    first.Write(8);

    ValueRuns runs;
    runs.Apply(first.edit);
    std::vector<ValueReference> dead;
    std::vector<std::pair<ValueReference, OwnedRow>> live;
    const auto sort = [&](const auto& references, const auto& rows, uint64_t one_in) {
      for (size_t i = 0; i < rows.size(); ++i) {
        if (random() % one_in == 0) {
          live.emplace_back(references[i], rows[i]);
        } else {
          dead.push_back(references[i]);
        }
      }
    };
    sort(first_references, first_rows, 2);
    sort(first.references, first.rows, 30);
    ValueEdit edit;
    edit.dead = DeadRecords(dead);
    REQUIRE(runs.Check(edit, 100));
    runs.Apply(edit);

    std::vector<std::shared_ptr<ValueFile>> inputs;
    for (const auto& [number, info] : runs.files) {
      inputs.push_back(*ValueFile::Open(&files, "db", info));
    }
    ValueCollector collector(inputs, runs, *ValueFileBuilder::Create(&files, "db", 9));
    size_t steps = 0;
    for (bool done = false; !done; ++steps) {
      const auto step = collector.Step(1000);
      REQUIRE(step);
      done = *step;
    }
    CHECK(steps > 3);
    const ValueEdit move = collector.Edit(runs);
    REQUIRE(runs.Check(move, 100));
    runs.Apply(move);
    CHECK(runs.files.size() == 1);
    CHECK(runs.totals().live_bytes == runs.totals().record_bytes);
    CHECK(runs.totals().live_count == live.size());
    const auto file = collector.Open();
    REQUIRE(file);
    CHECK((*file)->info() == runs.files.at(9));
    for (const auto& [reference, row] : live) CheckFound(**file, reference, row);
  }
}

TEST_CASE("value collector: damage of a live record ends it, of a dead one does not",
          "[engine][values]") {
  for (const bool is_live : {false, true}) {
    CAPTURE(is_live);
    Sample sample(50);
    sample.files.Corrupt("db/values-6.val", 2);  // record 0
    ValueRuns runs;
    runs.Apply(sample.edit);
    ValueEdit edit;
    edit.dead = DeadRecords({sample.references[is_live ? 1 : 0]});
    runs.Apply(edit);
    ValueCollector collector({*ValueFile::Open(&sample.files, "db", sample.info)}, runs,
                             *ValueFileBuilder::Create(&sample.files, "db", 9));
    Result<bool> step = false;
    while (step && !*step) step = collector.Step(1000);
    CHECK(step.has_value() != is_live);
    if (!step) CHECK(step.error().context.find("db/values-6.val: block at 0") == 0);
  }
}

TEST_CASE("value collector: runs that died meanwhile stay away", "[engine][values]") {
  Sample sample(3);
  ValueRuns runs;
  runs.Apply(sample.edit);
  ValueCollector collector({*ValueFile::Open(&sample.files, "db", sample.info)}, runs,
                           *ValueFileBuilder::Create(&sample.files, "db", 9));
  for (bool done = false; !done;) {
    const auto step = collector.Step(1000);
    REQUIRE(step);
    done = *step;
  }
  CHECK(collector.Edit(runs).moved.size() == 1);
  CHECK(collector.Edit(ValueRuns()).empty());
}

}  // namespace
}  // namespace varve::engine
