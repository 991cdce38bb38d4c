// Damaged tables, by accident and on purpose: an error that names the file, or the right answer.
#include <catch2/catch.hpp>
#include <random>

#include "engine/block.h"
#include "engine/checksum.h"
#include "engine/coding.h"
#include "engine/support/mem_file_system.h"
#include "engine/support/table_fixture.h"
#include "engine/table.h"
#include "engine/table_format.h"
#include "engine/table_index.h"

namespace varve::engine {
namespace {

using testing::OwnedRow;
using testing::TestSecret;

const std::string kPath = "db/table-6.sst";

// A table's file, to be changed and opened again.
struct Sample {
  explicit Sample(std::vector<OwnedRow> sample_rows, size_t block_bytes = 400,
                  Compression compression = Compression::kSnappy)
      : rows(std::move(sample_rows)) {
    REQUIRE(files.CreateDirectories("db"));
    TableBuilder::Settings settings;
    settings.block_bytes = block_bytes;
    settings.compression = compression;
    const auto built = testing::BuildTable(&files, "db", 6, rows, settings);
    REQUIRE(built);
    info = *built;
    bytes = *files.ReadWhole(kPath);
    const auto decoded = DecodeFooter(std::string_view(bytes).substr(bytes.size() - kFooterBytes),
                                      bytes.size(), kPath);
    REQUIRE(decoded);
    footer = *decoded;
  }

  testing::MemFileSystem files;
  std::vector<OwnedRow> rows;
  TableInfo info;
  std::string bytes;
  TableFooter footer;
};

void CheckError(const Error& error) {
  CHECK(error.code == Errc::kCorruption);
  CHECK(error.context.find(kPath) != std::string::npos);
}

// Every way to read the table gives right rows or a corruption. Returns whether one was reported.
bool ReadAll(Sample& sample, const std::string& changed, const TableInfo& info) {
  sample.files.Write(kPath, changed);
  const auto table = Table::Open(&sample.files, "db", info);
  if (!table) {
    CheckError(table.error());
    return true;
  }
  bool reported = false;
  for (const OwnedRow& row : sample.rows) {
    const auto found = (*table)->Find(row.position, row.key);
    if (!found) {
      CheckError(found.error());
      reported = true;
      continue;
    }
    REQUIRE(found->has_value());
    REQUIRE(OwnedRow::Of((*found)->row) == row);
    if (!row.reference) continue;
    const auto& references = (*(*table)->LoadIndex())->references();
    REQUIRE(references.Contains(row.position, row.reference));
  }
  TableCursor cursor(*table, &TestSecret(), 1000, false);
  cursor.Seek(0);
  const auto walked = testing::Rest(cursor);
  REQUIRE(walked.size() <= sample.rows.size());
  REQUIRE(std::equal(walked.begin(), walked.end(), sample.rows.begin()));
  if (!cursor.status()) {
    CheckError(cursor.status().error());
    reported = true;
  } else {
    REQUIRE(walked.size() == sample.rows.size());
  }
  return reported;
}

TEST_CASE("table damage: a flipped bit in any byte", "[engine][table]") {
  Sample sample(testing::RandomRows(40, 1));
  CHECK_FALSE(ReadAll(sample, sample.bytes, sample.info));
  for (size_t offset = 0; offset < sample.bytes.size(); ++offset) {
    for (const int mask : {1 << (offset % 8), 0xff}) {
      CAPTURE(offset, mask);
      std::string changed = sample.bytes;
      changed[offset] ^= static_cast<char>(mask);
      REQUIRE(ReadAll(sample, changed, sample.info));
    }
  }
}

TEST_CASE("table damage: a flipped bit in any byte of a table with separated values",
          "[engine][table][values]") {
  Sample sample(testing::RandomSeparatedRows(40, 1));
  CHECK(sample.info.value_count > 0);
  CHECK_FALSE(ReadAll(sample, sample.bytes, sample.info));
  for (size_t offset = 0; offset < sample.bytes.size(); ++offset) {
    CAPTURE(offset);
    std::string changed = sample.bytes;
    changed[offset] ^= static_cast<char>(1 << (offset % 8));
    REQUIRE(ReadAll(sample, changed, sample.info));
  }
  TableInfo other = sample.info;
  ++other.value_count;
  REQUIRE(ReadAll(sample, sample.bytes, other));
}

// A table of 300 rows, 50 KB of them, with a dictionary.
Sample ZstdSample(uint64_t seed) {
  Sample sample(testing::DocumentRows(300, seed), 500, Compression::kZstd);
  REQUIRE(sample.footer.has_dictionary());
  return sample;
}

// Whether what a lookup says of a few of the rows is right or a corruption, and whether one was
// reported.
bool FindSome(Sample& sample, const std::string& changed) {
  sample.files.Write(kPath, changed);
  const auto table = Table::Open(&sample.files, "db", sample.info);
  REQUIRE(table);
  bool reported = false;
  for (size_t i = 0; i < sample.rows.size(); i += 20) {
    const OwnedRow& row = sample.rows[i];
    const auto found = (*table)->Find(row.position, row.key);
    if (!found) {
      CheckError(found.error());
      reported = true;
    } else {
      REQUIRE((*found && OwnedRow::Of((*found)->row) == row));
    }
  }
  return reported;
}

TEST_CASE("table damage: a flipped bit in any byte of a table with a dictionary",
          "[engine][table]") {
  Sample sample = ZstdSample(1);
  CHECK_FALSE(ReadAll(sample, sample.bytes, sample.info));
  const BlockHandle dictionary = sample.footer.dictionary;
  for (size_t offset = 0; offset < sample.bytes.size(); ++offset) {
    CAPTURE(offset);
    std::string changed = sample.bytes;
    changed[offset] ^= static_cast<char>(1 << (offset % 8));
    const bool reported = FindSome(sample, changed);
    // Without the dictionary, or what stands around it, no row can be read.
    if (offset >= sample.footer.index.offset) REQUIRE(reported);
    if (offset % 50 == 0) REQUIRE(ReadAll(sample, changed, sample.info));
    if (offset < dictionary.offset || offset >= dictionary.end()) continue;
    const auto table = Table::Open(&sample.files, "db", sample.info);
    const auto index = (*table)->LoadIndex();
    REQUIRE_FALSE(index);
    REQUIRE(index.error().context.find(kPath + ": block at " + std::to_string(dictionary.offset)) ==
            0);
  }
}

TEST_CASE("table damage: cut or grown to any length", "[engine][table]") {
  Sample sample(testing::RandomRows(40, 2));
  for (size_t size = 0; size < sample.bytes.size(); ++size) {
    CAPTURE(size);
    const std::string cut = sample.bytes.substr(0, size);
    REQUIRE(ReadAll(sample, cut, sample.info));
    TableInfo fitting = sample.info;  // as if the manifest knew of that length
    fitting.file_bytes = size;
    REQUIRE(ReadAll(sample, cut, fitting));
    // A hole, as a file system may leave after a crash.
    REQUIRE(ReadAll(sample, cut + std::string(sample.bytes.size() - size, '\0'), sample.info));
  }
  TableInfo longer = sample.info;
  longer.file_bytes += 100;
  REQUIRE(ReadAll(sample, sample.bytes + std::string(100, '\0'), longer));
}

TEST_CASE("table damage: blocks that changed places", "[engine][table]") {
  // Equal sizes, so that each block lies exactly where another was.
  std::vector<OwnedRow> rows;
  for (int i = 10; i < 50; ++i) {
    std::string value(100, '\0');
    std::mt19937_64 random(i);
    for (char& byte : value) byte = static_cast<char>(random());
    rows.push_back({0, "key" + std::to_string(i), value, false});
  }
  Sample sample(testing::InTableOrder(std::move(rows)), 200);
  const size_t block_bytes = sample.footer.data_bytes() / 40;
  REQUIRE(block_bytes * 40 == sample.footer.data_bytes());
  std::string changed = sample.bytes;
  std::swap_ranges(changed.begin(), changed.begin() + static_cast<ptrdiff_t>(block_bytes),
                   changed.begin() + static_cast<ptrdiff_t>(7 * block_bytes));
  CHECK(ReadAll(sample, changed, sample.info));
}

// Writes `payload` over the block at `handle`, with a checksum that holds.
void Reseal(std::string& bytes, const BlockHandle& handle, std::string_view payload,
            Compression compression = Compression::kNone) {
  REQUIRE(payload.size() == handle.size);
  std::copy(payload.begin(), payload.end(), bytes.begin() + static_cast<ptrdiff_t>(handle.offset));
  SealBlock(bytes.data() + handle.offset, handle.size, compression, {kPath, 6, handle.offset});
}

// Reads in every way, for crashes and runaway allocations only: under a right checksum there may be
// anything.
void Exercise(Sample& sample, const std::string& changed) {
  sample.files.Write(kPath, changed);
  const auto table = Table::Open(&sample.files, "db", sample.info);
  REQUIRE(table);
  for (const OwnedRow& row : sample.rows) {
    const auto found = (*table)->Find(row.position, row.key);
    if (found && *found) REQUIRE((*found)->row.key == row.key);
  }
  TableCursor cursor(*table, &TestSecret(), 1000, false);
  cursor.Seek(0);
  const auto walked = testing::Rest(cursor);
  // Whatever it is, it is in order and where it belongs.
  for (size_t i = 0; i < walked.size(); ++i) {
    REQUIRE(walked[i].position == TestSecret().Of(walked[i].key));
    if (i == 0) continue;
    REQUIRE(RowLess(walked[i - 1].position, walked[i - 1].key, walked[i].position, walked[i].key));
  }
}

TEST_CASE("table damage: any number in the index, under a right checksum",
          "[engine][table][fuzz]") {
  Sample sample(testing::RandomRows(200, 4));
  const BlockHandle handle = sample.footer.index;
  const size_t number_count = handle.size / 8;
  for (size_t i = 0; i < number_count; ++i) {
    const std::string intact = sample.bytes.substr(handle.offset, handle.size);
    const uint64_t right = DecodeFixed64(intact.data() + 8 * i);
    for (const uint64_t wrong : {uint64_t{0}, right - 1, right + 1, right + 9, right / 2,
                                 ~uint64_t{0}, uint64_t{1} << 63, sample.footer.data_bytes()}) {
      CAPTURE(i, wrong);
      std::string payload = intact;
      EncodeFixed64(payload.data() + 8 * i, wrong);
      std::string changed = sample.bytes;
      Reseal(changed, handle, payload);
      Exercise(sample, changed);
    }
  }
}

TEST_CASE("table damage: random bytes in any block, under a right checksum",
          "[engine][table][fuzz]") {
  Sample sample(testing::RandomRows(60, 5));
  std::vector<BlockHandle> handles = {sample.footer.index, sample.footer.properties,
                                      sample.footer.filter};
  const std::string_view index(sample.bytes.data() + sample.footer.index.offset,
                               sample.footer.index.size);
  const size_t block_count = index.size() / 16;
  for (size_t i = 0; i < block_count; ++i) {
    const uint64_t begin = DecodeFixed64(index.data() + 8 * (block_count + i));
    const uint64_t end = DecodeFixed64(index.data() + 8 * (block_count + i + 1));
    handles.push_back({begin, end - begin - kBlockTrailerBytes});
  }
  REQUIRE(handles.size() > 5);
  std::mt19937_64 random(12);
  for (int run = 0; run < 20'000; ++run) {
    CAPTURE(run);
    const BlockHandle handle = handles[random() % handles.size()];
    std::string payload = sample.bytes.substr(handle.offset, handle.size);
    const size_t change_count = 1 + random() % 4;
    for (size_t i = 0; i < change_count; ++i) {
      payload[random() % payload.size()] = static_cast<char>(random());
    }
    const auto compression =
        static_cast<Compression>(random() % 8 == 0 ? 2 : sample.bytes[handle.offset + handle.size]);
    std::string changed = sample.bytes;
    Reseal(changed, handle, payload, compression);
    Exercise(sample, changed);
  }
}

TEST_CASE("table damage: a dictionary that is none, under a right checksum", "[engine][table]") {
  Sample sample = ZstdSample(2);
  const BlockHandle handle = sample.footer.dictionary;
  for (const std::string& payload :
       {std::string(handle.size, '\0'), std::string(handle.size, 'd'),
        sample.bytes.substr(handle.offset, 8) + std::string(handle.size - 8, '\xff')}) {
    std::string changed = sample.bytes;
    Reseal(changed, handle, payload);
    REQUIRE(ReadAll(sample, changed, sample.info));
    const auto table = Table::Open(&sample.files, "db", sample.info);
    const auto index = (*table)->LoadIndex();
    REQUIRE_FALSE(index);
    CHECK(index.error().context ==
          kPath + ": dictionary at " + std::to_string(handle.offset) + " is none");
  }
}

TEST_CASE("table damage: a table that lost its dictionary", "[engine][table]") {
  // As if it had been written without one: properties and footer stand where it stood.
  Sample sample = ZstdSample(3);
  const BlockHandle dictionary = sample.footer.dictionary;
  const std::string properties =
      sample.bytes.substr(sample.footer.properties.offset, sample.footer.properties.size);
  std::string changed = sample.bytes.substr(0, dictionary.offset);
  TableFooter footer = sample.footer;
  footer.properties.offset = dictionary.offset;
  changed.resize(footer.properties.end());
  Reseal(changed, footer.properties, properties);
  changed += EncodeFooter(footer);
  TableInfo info = sample.info;
  info.file_bytes = changed.size();
  REQUIRE(ReadAll(sample, changed, info));
}

TEST_CASE("table damage: random bytes in any block of zstd's, under a right checksum",
          "[engine][table][fuzz]") {
  Sample sample = ZstdSample(4);
  std::vector<BlockHandle> handles = {sample.footer.dictionary, {}, {}, {}};
  const std::string_view index(sample.bytes.data() + sample.footer.index.offset,
                               sample.footer.index.size);
  const size_t block_count = index.size() / 16;
  for (size_t i = 1; i < handles.size(); ++i) {  // the last ones: the first are in the dictionary
    const uint64_t begin = DecodeFixed64(index.data() + 8 * (2 * block_count - i));
    const uint64_t end = DecodeFixed64(index.data() + 8 * (2 * block_count - i + 1));
    handles[i] = {begin, end - begin - kBlockTrailerBytes};
  }
  std::mt19937_64 random(14);
  for (int run = 0; run < 3'000; ++run) {
    CAPTURE(run);
    const BlockHandle handle = handles[random() % handles.size()];
    std::string payload = sample.bytes.substr(handle.offset, handle.size);
    // At the beginning, where lengths and tables of codes are, or anywhere.
    const size_t reach = random() % 2 == 0 ? std::min<size_t>(24, payload.size()) : payload.size();
    for (size_t i = 1 + random() % 4; i > 0; --i) {
      payload[random() % reach] = static_cast<char>(random());
    }
    std::string changed = sample.bytes;
    Reseal(changed, handle, payload,
           static_cast<Compression>(sample.bytes[handle.offset + handle.size]));
    Exercise(sample, changed);
  }
}

TEST_CASE("table damage: random bytes as a whole file", "[engine][table][fuzz]") {
  testing::MemFileSystem files;
  REQUIRE(files.CreateDirectories("db"));
  std::mt19937_64 random(13);
  for (int run = 0; run < 5'000; ++run) {
    std::string bytes(random() % 400, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    if (bytes.size() >= 8) EncodeFixed64(bytes.data() + bytes.size() - 8, kTableMagic);
    if (bytes.size() >= 80) {
      char* const footer = bytes.data() + bytes.size() - 80;
      EncodeFixed32(footer + 56, kTableVersion);
      EncodeFixed64(footer + 64, Checksum({footer, 64}));
    }
    files.Write(kPath, bytes);
    TableInfo info;
    info.number = bytes.size() >= 80 ? DecodeFixed64(bytes.data() + bytes.size() - 32) : 6;
    info.file_bytes = bytes.size();
    files.Write(TablePath("db", info.number), bytes);
    const auto table = Table::Open(&files, "db", info);
    REQUIRE(table);
    CHECK_FALSE((*table)->LoadIndex());
    REQUIRE(files.Remove(TablePath("db", info.number)));
  }
}

}  // namespace
}  // namespace varve::engine
