#include "engine/row.h"

#include <array>
#include <catch2/catch.hpp>
#include <random>
#include <vector>

#include "engine/coding.h"

namespace varve::engine {
namespace {

const std::string kBinary("\0\r\n\xff", 4);

std::vector<Row> SampleRows() {
  static const std::string long_bytes(100'000, 'v');
  return {
      {.key = "key", .value = "value"},      {.key = "", .value = ""},
      {.key = kBinary, .value = kBinary},    {.key = long_bytes, .value = long_bytes},
      {.key = "gone", .is_tombstone = true}, {.key = "", .is_tombstone = true},
  };
}

void CheckSame(const Row& got, const Row& expected) {
  CHECK(got.key == expected.key);
  CHECK(got.value == expected.value);
  CHECK(got.type == expected.type);
  CHECK(got.is_tombstone == expected.is_tombstone);
}

TEST_CASE("row: rows one behind the other come back", "[engine][row]") {
  std::string bytes;
  for (const Row& row : SampleRows()) {
    const size_t before = bytes.size();
    AppendRow(bytes, row);
    CHECK(bytes.size() - before <= RowBytesMax(row.key, row.value));
  }
  std::string_view input = bytes;
  for (const Row& expected : SampleRows()) {
    Row row;
    REQUIRE(ParseRow(input, row));
    CheckSame(row, expected);
  }
  CHECK(input.empty());
}

TEST_CASE("row: without its value it is the same bytes", "[engine][row]") {
  for (const Row& row : SampleRows()) {
    std::string whole;
    std::string parts;
    AppendRow(whole, row);
    AppendRowWithoutValue(parts, row);
    parts.append(row.value);
    CHECK(parts == whole);
  }
}

TEST_CASE("row: its bytes are the documented ones", "[engine][row][golden]") {
  std::string bytes;
  AppendRow(bytes, {.key = "ab", .value = "xyz"});
  AppendRow(bytes, {.key = "ab", .is_tombstone = true});
  CHECK(bytes == std::string("\x00\x02\x03"
                             "abxyz"
                             "\x01\x02"
                             "ab",
                             12));
}

TEST_CASE("row: cut anywhere it is refused", "[engine][row]") {
  std::string bytes;
  AppendRow(bytes, {.key = "some key", .value = std::string(300, 'v')});
  for (size_t cut = 0; cut < bytes.size(); ++cut) {
    CAPTURE(cut);
    std::string_view input(bytes.data(), cut);
    Row row;
    CHECK_FALSE(ParseRow(input, row));
  }
}

TEST_CASE("row: what only a later version writes is refused", "[engine][row]") {
  std::string bytes;
  AppendRow(bytes, {.key = "key", .value = "value"});
  for (int flags = kRowHasExpiry; flags < 256; ++flags) {
    CAPTURE(flags);
    bytes[0] = static_cast<char>(flags);
    std::string_view input = bytes;
    Row row;
    CHECK_FALSE(ParseRow(input, row));
  }
}

TEST_CASE("row: lengths beyond the input are refused", "[engine][row]") {
  for (const uint64_t length : {uint64_t{9}, uint64_t{1} << 32, ~uint64_t{0}, ~uint64_t{0} - 7}) {
    for (const bool of_key : {true, false}) {
      CAPTURE(length, of_key);
      std::string bytes(1, '\0');
      PutVarint64(bytes, of_key ? length : 8);
      PutVarint64(bytes, of_key ? 8 : length);
      bytes += "12345678";
      std::string_view input = bytes;
      Row row;
      CHECK_FALSE(ParseRow(input, row));
    }
  }
}

TEST_CASE("row: random bytes never yield views outside them", "[engine][row][fuzz]") {
  std::mt19937_64 random(20261);
  for (int run = 0; run < 100'000; ++run) {
    std::string bytes(random() % 24, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random() % 8 == 0 ? random() : random() % 6);
    std::string_view input = bytes;
    Row row;
    if (!ParseRow(input, row)) continue;
    REQUIRE(row.key.data() >= bytes.data());
    REQUIRE(row.value.data() + row.value.size() <= bytes.data() + bytes.size());
    REQUIRE(input.data() + input.size() == bytes.data() + bytes.size());
  }
}

TEST_CASE("row: a reference in the place of a value comes back, its bytes the documented ones",
          "[engine][row][golden]") {
  const Row row{.key = "ab", .reference = {.run = 300, .ordinal = 5, .record_bytes = 129}};
  std::string bytes;
  AppendRow(bytes, row);
  CHECK(bytes == std::string("\x80\x02\xac\x02\x05\x81\x01"
                             "ab",
                             9));
  CHECK(bytes.size() <= RowBytesMax(row.key, row.value));
  std::string_view input = bytes;
  Row read;
  REQUIRE(ParseTableRow(input, read));
  CHECK(input.empty());
  CheckSame(read, row);
  CHECK(read.reference == row.reference);

  input = bytes;
  CHECK_FALSE(ParseRow(input, read));  // only tables have them
  for (size_t cut = 0; cut < bytes.size(); ++cut) {
    CAPTURE(cut);
    input = std::string_view(bytes).substr(0, cut);
    CHECK_FALSE(ParseTableRow(input, read));
  }
  for (int flags = 0x81; flags < 256; ++flags) {  // what only a later version writes
    CAPTURE(flags);
    bytes[0] = static_cast<char>(flags);
    input = bytes;
    CHECK_FALSE(ParseTableRow(input, read));
  }
}

TEST_CASE("position: the key's XXH3-64 with the database's secret", "[engine][position]") {
  std::array<char, PositionSecret::kBytes> bytes{};
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 37 + 11);
  const PositionSecret secret(bytes);
  bytes[2] ^= 1;  // a short key is mixed with the secret's first bytes only
  const PositionSecret other(bytes);
  // Frozen: a database's files are worth nothing under another function.
  CHECK(secret.Of("") == 0x8ac65a048c188fe5ull);
  CHECK(secret.Of("key") == 0x3aea12b90e31fafbull);
  CHECK(secret.Of(std::string(1000, 'k')) == 0xcf5a1110cafc32ffull);
  CHECK(secret.Of("key") != other.Of("key"));
}

TEST_CASE("position: a dyadic range holds exactly its positions", "[engine][position]") {
  const Position position = 0xabcd'ef01'2345'6789;
  for (int bits = 0; bits < 64; ++bits) {
    CAPTURE(bits);
    const DyadicRange range = DyadicRange::Of(position, bits);
    CHECK(range.Contains(position));
    CHECK(range.Contains(range.begin));
    CHECK(range.Contains(range.last()));
    if (bits == 0) continue;
    CHECK_FALSE(range.Contains(range.begin - 1));
    CHECK_FALSE(range.Contains(range.last() + 1));
    CHECK(DyadicRange::Of(position, bits - 1).Contains(range));
    CHECK_FALSE(range.Contains(DyadicRange::Of(position, bits - 1)));
    CHECK(DyadicRange::Of(position, bits - 1).Overlaps(range));
    CHECK_FALSE(range.Overlaps(DyadicRange::Of(range.last() + 1, bits)));
  }
}

}  // namespace
}  // namespace varve::engine
