#include "engine/block.h"

#include <catch2/catch.hpp>
#include <random>
#include <vector>

#include "engine/block_builder.h"
#include "engine/coding.h"
#include "engine/support/table_fixture.h"

namespace varve::engine {
namespace {

using testing::OwnedRow;

const std::string kPath = "/data/table-7.sst";
const BlockPlace kPlace{kPath, 7, 4096};

std::string Build(const std::vector<OwnedRow>& rows, const BlockPlace& place = kPlace) {
  BlockBuilder builder;
  BlockCompressor compressor;
  for (const OwnedRow& row : rows) builder.Add(row.view());
  return std::string(builder.Seal(compressor, place));
}

std::vector<OwnedRow> RowsOf(std::string_view payload) {
  std::vector<OwnedRow> rows;
  while (!payload.empty()) {
    Row row;
    REQUIRE(ParseRow(payload, row));
    row.position = testing::TestSecret().Of(row.key);
    rows.push_back(OwnedRow::Of(row));
  }
  return rows;
}

TEST_CASE("block: rows come back, compressed or not", "[engine][block]") {
  for (const uint64_t seed : {1, 2, 3}) {
    const auto rows = testing::RandomRows(60, seed);
    const std::string stored = Build(rows);
    std::string scratch;
    const auto payload = DecodeBlock(stored, kPlace, scratch);
    REQUIRE(payload);
    CHECK(RowsOf(*payload) == rows);
  }
}

TEST_CASE("block: it is stored plain where compression does not pay", "[engine][block]") {
  std::mt19937_64 random(5);
  std::string noise(3000, '\0');
  for (char& byte : noise) byte = static_cast<char>(random());
  const auto compression_of = [](const std::string& stored) {
    return static_cast<Compression>(stored[stored.size() - kBlockTrailerBytes]);
  };
  const std::string plain = Build({{1, "key", noise, false}});
  CHECK(compression_of(plain) == Compression::kNone);
  CHECK(plain.size() < noise.size() + 8 + kBlockTrailerBytes);
  const std::string dense = Build({{1, "key", std::string(3000, 'a'), false}});
  CHECK(compression_of(dense) == Compression::kSnappy);
  CHECK(dense.size() < 300);
  for (const std::string& stored : {plain, dense}) {
    std::string scratch;
    CHECK(DecodeBlock(stored, kPlace, scratch));
  }
}

TEST_CASE("block: a builder serves many blocks, huge ones in between", "[engine][block]") {
  BlockBuilder builder;
  BlockCompressor compressor;
  for (const size_t size : {10, 100'000, 5, 20'000'000, 1, 4096}) {
    CAPTURE(size);
    const std::string value(size, 'v');
    builder.Add({.position = 3, .key = "key", .value = value});
    builder.Add({.position = 3, .key = "kez", .is_tombstone = true});
    CHECK(builder.first_position() == 3);
    CHECK(builder.last_position() == 3);
    std::string scratch;
    const auto payload = DecodeBlock(builder.Seal(compressor, kPlace), kPlace, scratch);
    REQUIRE(payload);
    const auto rows = RowsOf(*payload);
    REQUIRE(rows.size() == 2);
    CHECK(rows[0].value == value);
    CHECK(rows[1].is_tombstone);
    CHECK(builder.empty());
  }
}

TEST_CASE("block: a flipped bit anywhere is found and the place named", "[engine][block]") {
  const std::string stored = Build(testing::RandomRows(20, 4));
  for (size_t i = 0; i < stored.size() * 8; ++i) {
    CAPTURE(i);
    std::string damaged = stored;
    damaged[i / 8] ^= static_cast<char>(1 << (i % 8));
    std::string scratch;
    const auto payload = DecodeBlock(damaged, kPlace, scratch);
    REQUIRE_FALSE(payload);
    REQUIRE(payload.error().code == Errc::kCorruption);
    REQUIRE(payload.error().context.find(kPath + ": block at 4096") == 0);
  }
}

TEST_CASE("block: in another place, or cut, it does not pass", "[engine][block]") {
  const std::string stored = Build(testing::RandomRows(20, 4));
  std::string scratch;
  CHECK(DecodeBlock(stored, kPlace, scratch));
  CHECK_FALSE(DecodeBlock(stored, {kPath, 8, 4096}, scratch));
  CHECK_FALSE(DecodeBlock(stored, {kPath, 7, 4097}, scratch));
  for (size_t size = 0; size < stored.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(DecodeBlock(std::string_view(stored).substr(0, size), kPlace, scratch));
  }
}

TEST_CASE("block: a false length of compressed bytes sizes no allocation", "[engine][block]") {
  // With a right checksum, as somebody who wants to do harm would write it.
  for (const uint64_t length : {uint64_t{kCompressibleBytesMax} + 1, uint64_t{1} << 32,
                                uint64_t{0xffff'ffff}, uint64_t{100'000}, uint64_t{33}}) {
    CAPTURE(length);
    std::string block;
    PutVarint64(block, length);
    block += std::string("\x00x", 2);  // a literal of one byte
    const size_t size = block.size();
    block.resize(size + kBlockTrailerBytes);
    SealBlock(block.data(), size, Compression::kSnappy, kPlace);
    std::string scratch;
    const auto payload = DecodeBlock(block, kPlace, scratch);
    REQUIRE_FALSE(payload);
    CHECK(payload.error().code == Errc::kCorruption);
    CHECK(scratch.capacity() < 1000);
  }
}

TEST_CASE("block: an unknown compression is refused", "[engine][block]") {
  std::string block = "payload" + std::string(kBlockTrailerBytes, '\0');
  SealBlock(block.data(), 7, static_cast<Compression>(3), kPlace);
  std::string scratch;
  const auto payload = DecodeBlock(block, kPlace, scratch);
  REQUIRE_FALSE(payload);
  CHECK(payload.error().context.find("unknown compression 3") != std::string::npos);
}

TEST_CASE("block: random bytes under a right checksum are harmless", "[engine][block][fuzz]") {
  std::mt19937_64 random(11);
  for (int run = 0; run < 50'000; ++run) {
    const size_t size = random() % 64;
    std::string block(size + kBlockTrailerBytes, '\0');
    for (char& byte : block) byte = static_cast<char>(random() % 3 == 0 ? random() : random() % 9);
    SealBlock(block.data(), size, static_cast<Compression>(random() % 3), kPlace);
    std::string scratch;
    const auto payload = DecodeBlock(block, kPlace, scratch);
    if (!payload) continue;
    std::string_view rows = *payload;
    Row row;
    size_t bytes = 0;
    while (!rows.empty() && ParseRow(rows, row)) bytes += row.key.size() + row.value.size();
    REQUIRE(bytes <= payload->size());
  }
}

}  // namespace
}  // namespace varve::engine
