#include "engine/dictionary.h"

#include <catch2/catch.hpp>
#include <random>

#include "engine/block_builder.h"
#include "engine/dictionary_sample.h"
#include "engine/support/mem_file_system.h"
#include "engine/support/table_fixture.h"
#include "engine/table_format.h"
#include "engine/table_index.h"

namespace varve::engine {
namespace {

using testing::OwnedRow;

const std::string kPath = "db/table-3.sst";
const BlockPlace kPlace{kPath, 3, 0};
constexpr int kLevel = 3;

std::string Noise(size_t size, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string noise(size, '\0');
  for (char& byte : noise) byte = static_cast<char>(random());
  return noise;
}

// Blocks of about `block_bytes`, as a table would be made of.
std::vector<DictionarySample::Block> Blocks(const std::vector<OwnedRow>& rows, size_t block_bytes) {
  std::vector<DictionarySample::Block> blocks;
  BlockBuilder builder;
  for (const OwnedRow& row : rows) {
    builder.Add(row.view());
    if (builder.size() < block_bytes) continue;
    const Position first = builder.first_position();
    blocks.push_back({first, builder.Take()});
  }
  return blocks;
}

std::string MadeOf(const std::vector<OwnedRow>& rows, bool is_whole_table) {
  DictionarySample sample(64 << 10);
  for (auto& block : Blocks(rows, 500)) sample.Add(block.first_position, std::move(block.rows));
  return sample.Choose(kLevel, is_whole_table).dictionary;
}

// What a table is that a test has built.
struct Built {
  explicit Built(const std::vector<OwnedRow>& rows, TableBuilder::Settings settings = {}) {
    REQUIRE(files.CreateDirectories("db"));
    settings.compression = Compression::kZstd;
    const auto built = testing::BuildTable(&files, "db", 3, rows, settings);
    REQUIRE(built);
    info = *built;
    table = *Table::Open(&files, "db", info);
    const auto loaded = table->LoadIndex();
    REQUIRE(loaded);
    index = *loaded;
  }

  void CheckHas(const std::vector<OwnedRow>& rows) const {
    TableCursor cursor(table, &testing::TestSecret(), 10'000, false);
    cursor.Seek(0);
    CHECK(testing::Rest(cursor) == rows);
    for (size_t i = 0; i < rows.size(); i += 1 + rows.size() / 100) {
      const auto found = table->Find(rows[i].position, rows[i].key);
      REQUIRE((found && *found));
      CHECK(OwnedRow::Of((*found)->row) == rows[i]);
    }
  }

  mutable testing::MemFileSystem files;
  TableInfo info;
  std::shared_ptr<Table> table;
  std::shared_ptr<const TableIndex> index;
};

TEST_CASE("dictionary: blocks come back, with one and without", "[engine][dictionary]") {
  const auto rows = testing::DocumentRows(1000, 1);
  const std::string made = MadeOf(rows, true);
  REQUIRE(made.size() > 1000);
  for (const std::string& bytes : {made, std::string()}) {
    const auto dictionary = Dictionary::Decode(bytes);
    CHECK((dictionary == nullptr) == bytes.empty());
    if (dictionary) CHECK(dictionary->memory_bytes() > bytes.size());
    BlockCompressor compressor(kLevel, bytes);
    for (auto& block : Blocks(rows, 500)) {
      const std::string plain = block.rows;
      const std::string stored(compressor.Seal(block.rows, plain.size(), kPlace));
      CHECK(stored.size() < plain.size());
      std::string scratch;
      const auto payload = DecodeBlock(stored, kPlace, scratch, dictionary.get());
      REQUIRE(payload);
      CHECK(*payload == plain);
    }
  }
}

TEST_CASE("dictionary: a block without the dictionary it was made with is corrupt",
          "[engine][dictionary]") {
  const auto rows = testing::DocumentRows(1000, 1);
  BlockCompressor compressor(kLevel, MadeOf(rows, true));
  auto block = Blocks(rows, 500)[0];
  const size_t size = block.rows.size();
  const std::string stored(compressor.Seal(block.rows, size, kPlace));
  std::string scratch;
  const auto payload = DecodeBlock(stored, kPlace, scratch);
  REQUIRE_FALSE(payload);
  CHECK(payload.error().code == Errc::kCorruption);
  CHECK(payload.error().context.find(kPath + ": block at 0") == 0);
}

TEST_CASE("dictionary: bytes that are none are refused", "[engine][dictionary]") {
  const std::string made = MadeOf(testing::DocumentRows(1000, 1), true);
  REQUIRE(Dictionary::Decode(made));
  for (size_t size = 0; size < 100; ++size) {
    CAPTURE(size);
    CHECK_FALSE(Dictionary::Decode(made.substr(0, size)));
  }
  CHECK_FALSE(Dictionary::Decode(std::string(1000, 'x')));
  CHECK_FALSE(Dictionary::Decode(made + std::string(kDictionaryBytesMax, 'x')));
}

TEST_CASE("dictionary: only what pays is kept", "[engine][dictionary]") {
  const auto rows = testing::DocumentRows(1000, 2);
  CHECK_FALSE(MadeOf(rows, true).empty());
  CHECK_FALSE(MadeOf(rows, false).empty());
  // Too few rows, rows that have nothing in common, rows that all are the same few bytes.
  CHECK(MadeOf(testing::DocumentRows(20, 2), true).empty());
  std::vector<OwnedRow> noise;
  std::vector<OwnedRow> same;
  for (int i = 0; i < 1000; ++i) {
    noise.push_back({0, "key" + std::to_string(i), Noise(200, i), false});
    same.push_back({0, "key" + std::to_string(i), std::string(200, 'a'), false});
  }
  CHECK(MadeOf(testing::InTableOrder(noise), false).empty());
  CHECK(MadeOf(testing::InTableOrder(same), true).size() < 1000);
}

TEST_CASE("dictionary: rows that snappy compresses nearly as well are left to it",
          "[engine][dictionary]") {
  const auto choice_for = [](const std::vector<OwnedRow>& rows) {
    DictionarySample sample(64 << 10);
    for (auto& block : Blocks(rows, 4000)) sample.Add(block.first_position, std::move(block.rows));
    return sample.Choose(kLevel, false);
  };
  CHECK(choice_for(testing::DocumentRows(2000, 2)).is_zstd);
  std::vector<OwnedRow> noise;
  std::vector<OwnedRow> half;
  for (int i = 0; i < 1000; ++i) {
    const std::string key = "key" + std::to_string(i);
    noise.push_back({0, key, Noise(400, i), false});
    half.push_back({0, key, Noise(200, i) + std::string(200, 'h'), false});
  }
  CHECK_FALSE(choice_for(testing::InTableOrder(std::move(noise))).is_zstd);
  const auto half_rows = testing::InTableOrder(std::move(half));
  CHECK_FALSE(choice_for(half_rows).is_zstd);

  // The table is then of version 1.
  const Built built(half_rows);
  const std::string bytes = *built.files.ReadWhole(kPath);
  const auto footer = DecodeFooter(std::string_view(bytes).substr(bytes.size() - kFooterBytes),
                                   bytes.size(), kPath);
  REQUIRE(footer);
  CHECK_FALSE(footer->may_have_zstd);
  built.CheckHas(half_rows);
}

TEST_CASE("dictionary: a sample is bounded, huge rows or not", "[engine][dictionary]") {
  DictionarySample sample(1000);
  for (int i = 0; !sample.full(); ++i) {
    REQUIRE(sample.bytes() < 5000);
    sample.Add(i, Noise(700, i));
  }
  DictionarySample huge(64 << 10);
  huge.Add(1, std::string(200'000, 'h'));
  CHECK_FALSE(huge.full());  // nothing to make one of yet
  for (int i = 2; !huge.full(); ++i) {
    REQUIRE(huge.bytes() < 20 * (64 << 10));
    huge.Add(i, std::string(200'000, 'h'));
  }
  CHECK_FALSE(huge.Choose(kLevel, false).is_zstd);
}

TEST_CASE("dictionary: a table carries its own", "[engine][table][dictionary]") {
  const auto rows = testing::DocumentRows(20'000, 3);
  const Built with(rows);
  REQUIRE(with.index->dictionary() != nullptr);
  with.CheckHas(rows);
  const Built without(rows, {.dictionary_bytes = 0});
  CHECK(without.index->dictionary() == nullptr);
  without.CheckHas(rows);
  CHECK(with.info.file_bytes < without.info.file_bytes);
  // It is memory of the index, and goes with it.
  CHECK(with.index->memory_bytes() >
        without.index->memory_bytes() + with.index->dictionary()->memory_bytes() - 10'000);
  std::ignore = with.table->DropUnusedIndex();  // it was in use until now
  CHECK(with.table->DropUnusedIndex() != nullptr);
  CHECK(with.table->index_bytes() == 0);
  with.CheckHas(rows);
}

TEST_CASE("dictionary: tables that make none are whole too", "[engine][table][dictionary]") {
  std::vector<OwnedRow> noise;
  for (int i = 0; i < 3000; ++i) {
    noise.push_back({0, "key" + std::to_string(i), Noise(400, i), false});
  }
  std::vector<OwnedRow> huge = testing::DocumentRows(20'000, 5);
  huge.push_back({0, "a huge one", std::string(20'000'000, 'h'), false});
  huge.push_back({0, "a large one", Noise(500'000, 2), false});
  const std::vector<std::vector<OwnedRow>> samples = {
      testing::RandomRows(1, 1), testing::DocumentRows(20, 1),
      testing::InTableOrder(std::move(noise)),
      testing::InTableOrder({{0, "only", std::string(1'000'000, 'h'), false}})};
  for (const auto& rows : samples) {
    const Built built(rows);
    CHECK(built.index->dictionary() == nullptr);
    built.CheckHas(rows);
  }
  const auto rows = testing::InTableOrder(std::move(huge));
  const Built built(rows);
  CHECK(built.index->dictionary() != nullptr);
  built.CheckHas(rows);
}

TEST_CASE("dictionary: a false length of a zstd block sizes no allocation",
          "[engine][dictionary]") {
  // A frame of one segment with an eight byte length: magic, descriptor, length, an empty block.
  for (const uint64_t length : {uint64_t{kCompressibleBytesMax} + 1, uint64_t{1} << 40,
                                ~uint64_t{0}, ~uint64_t{0} - 1, uint64_t{1}}) {
    CAPTURE(length);
    std::string block("\x28\xb5\x2f\xfd\xe0", 5);
    for (int i = 0; i < 64; i += 8) block += static_cast<char>(length >> i);
    block += std::string("\x01\0\0", 3);
    const size_t size = block.size();
    block.resize(size + kBlockTrailerBytes);
    SealBlock(block.data(), size, Compression::kZstd, kPlace);
    std::string scratch;
    const auto payload = DecodeBlock(block, kPlace, scratch);
    REQUIRE_FALSE(payload);
    CHECK(payload.error().code == Errc::kCorruption);
    CHECK(payload.error().context.find(kPath + ": block at 0") == 0);
    CHECK(scratch.capacity() < 1000);
  }
}

TEST_CASE("dictionary: what is not exactly one frame is refused", "[engine][dictionary]") {
  ZstdCompressor compressor(kLevel, {});
  const std::string plain = std::string(1000, 'a') + "b";
  std::string frame(ZstdCompressor::SizeMax(plain.size()), '\0');
  frame.resize(compressor.Compress(plain, frame.data()));
  CHECK(ZstdSize(frame) == plain.size());
  CHECK_FALSE(ZstdSize(frame + frame));
  CHECK_FALSE(ZstdSize(frame + 'x'));
  for (size_t size = 0; size < frame.size(); ++size) CHECK_FALSE(ZstdSize(frame.substr(0, size)));
  const std::string skippable("\x50\x2a\x4d\x18\0\0\0\0", 8);
  CHECK_FALSE(ZstdSize(skippable));
  CHECK_FALSE(ZstdSize(skippable + frame));
  const std::string old("\x25\xb5\x2f\xfd\0\0\0\0\0\0\0\0", 12);  // zstd 0.5
  CHECK_FALSE(ZstdSize(old));
}

}  // namespace
}  // namespace varve::engine
