#include "engine/table_format.h"

#include <catch2/catch.hpp>
#include <random>

#include "engine/checksum.h"
#include "engine/coding.h"

namespace varve::engine {
namespace {

const std::string kPath = "/data/table-9.sst";
constexpr uint64_t kFileBytes = 5000 + 109 + 209 + 309 + kFooterBytes;

TableFooter SampleFooter() {
  return {
      .filter = {5000, 100}, .index = {5109, 200}, .properties = {5318, 300}, .table_number = 9};
}

// A footer with a right checksum, whatever it says.
std::string Seal(std::string footer) {
  EncodeFixed64(footer.data() + 64, Checksum(std::string_view(footer).substr(0, 64)));
  return footer;
}

TableProperties SampleProperties() {
  TableProperties properties;
  properties.info = {.number = 9,
                     .row_count = 100,
                     .tombstone_count = 7,
                     .row_bytes = 12345,
                     .smallest = 0x4000'0000'0000'0001,
                     .largest = 0x5fff'0000'0000'0000,
                     .range = {0x4000'0000'0000'0000, 3}};
  properties.block_count = 4;
  return properties;
}

TEST_CASE("footer: comes back", "[engine][table]") {
  const std::string bytes = EncodeFooter(SampleFooter());
  REQUIRE(bytes.size() == kFooterBytes);
  CHECK(bytes.ends_with("VRVE-TBL"));
  const auto footer = DecodeFooter(bytes, kFileBytes, kPath);
  REQUIRE(footer);
  CHECK(footer->filter == SampleFooter().filter);
  CHECK(footer->index == SampleFooter().index);
  CHECK(footer->properties == SampleFooter().properties);
  CHECK(footer->table_number == 9);
}

TEST_CASE("footer: a dictionary may stand between index and properties", "[engine][table]") {
  TableFooter sample = SampleFooter();
  sample.may_have_zstd = true;
  const std::string without = EncodeFooter(sample);
  sample.dictionary = {sample.properties.offset, 400};
  sample.properties.offset = sample.dictionary.end();
  const std::string with = EncodeFooter(sample);
  const uint64_t file_bytes = kFileBytes + 409;

  const auto footer = DecodeFooter(with, file_bytes, kPath);
  REQUIRE(footer);
  CHECK(footer->may_have_zstd);
  CHECK(footer->has_dictionary());
  CHECK(footer->dictionary == sample.dictionary);
  CHECK(footer->properties == sample.properties);
  const auto none = DecodeFooter(without, kFileBytes, kPath);
  REQUIRE(none);
  CHECK(none->may_have_zstd);
  CHECK_FALSE(none->has_dictionary());

  std::string old = with;  // there was no such block in version 1
  EncodeFixed32(old.data() + 56, kTableVersion);
  CHECK_FALSE(DecodeFooter(Seal(old), file_bytes, kPath));
  for (const uint64_t gap : {1, 8, 9}) {  // no room for a block
    CAPTURE(gap);
    std::string changed = without;
    EncodeFixed64(changed.data() + 32, 5318 + gap);
    CHECK_FALSE(DecodeFooter(Seal(changed), kFileBytes + gap, kPath));
  }
}

TEST_CASE("footer: a flipped bit anywhere is found", "[engine][table]") {
  const std::string bytes = EncodeFooter(SampleFooter());
  for (size_t i = 0; i < bytes.size() * 8; ++i) {
    CAPTURE(i);
    std::string damaged = bytes;
    damaged[i / 8] ^= static_cast<char>(1 << (i % 8));
    const auto footer = DecodeFooter(damaged, kFileBytes, kPath);
    REQUIRE_FALSE(footer);
    REQUIRE(footer.error().code == Errc::kCorruption);
    REQUIRE(footer.error().context.find(kPath) == 0);
  }
}

TEST_CASE("footer: another version is refused by name", "[engine][table]") {
  std::string bytes = EncodeFooter(SampleFooter());
  EncodeFixed32(bytes.data() + 56, 3);
  const auto footer = DecodeFooter(Seal(bytes), kFileBytes, kPath);
  REQUIRE_FALSE(footer);
  CHECK(footer.error().code == Errc::kInvalidArgument);
  CHECK(footer.error().context == kPath + ": SSTable version 3, this release knows 1 and 2");
}

TEST_CASE("footer: blocks that do not tile the file are refused", "[engine][table]") {
  const std::string bytes = EncodeFooter(SampleFooter());
  for (size_t field = 0; field < 6; ++field) {
    const uint64_t right = DecodeFixed64(bytes.data() + field * 8);
    for (const uint64_t wrong :
         {right + 1, right - 1, uint64_t{0}, ~uint64_t{0}, ~uint64_t{0} - 8, kFileBytes}) {
      CAPTURE(field, wrong);
      std::string changed = bytes;
      EncodeFixed64(changed.data() + field * 8, wrong);
      CHECK_FALSE(DecodeFooter(Seal(changed), kFileBytes, kPath));
    }
  }
  for (const uint64_t file_bytes : {uint64_t{0}, uint64_t{79}, kFileBytes - 1, kFileBytes + 1}) {
    CHECK_FALSE(DecodeFooter(bytes, file_bytes, kPath));
  }
}

TEST_CASE("footer: random numbers under a right checksum are harmless", "[engine][table][fuzz]") {
  std::mt19937_64 random(3);
  for (int run = 0; run < 100'000; ++run) {
    std::string bytes = EncodeFooter(SampleFooter());
    for (int change = 0; change < 1 + static_cast<int>(random() % 3); ++change) {
      EncodeFixed64(bytes.data() + random() % 7 * 8,
                    random() % 2 == 0 ? random() : random() % (2 * kFileBytes));
    }
    const auto footer = DecodeFooter(Seal(bytes), kFileBytes, kPath);
    if (!footer) continue;
    REQUIRE(footer->properties.end() + kFooterBytes == kFileBytes);
    REQUIRE(footer->data_bytes() <= footer->index.offset);
    REQUIRE(footer->index.offset < footer->properties.offset);
  }
}

TEST_CASE("properties: come back", "[engine][table]") {
  for (const bool has_filter : {true, false}) {
    TableProperties properties = SampleProperties();
    properties.has_filter = has_filter;
    const auto decoded = DecodeProperties(EncodeProperties(properties), kPath);
    REQUIRE(decoded);
    CHECK(decoded->info == properties.info);
    CHECK(decoded->block_count == 4);
    CHECK(decoded->has_filter == has_filter);
  }
}

TEST_CASE("properties: cut or longer they are refused", "[engine][table]") {
  const std::string payload = EncodeProperties(SampleProperties());
  for (size_t size = 0; size < payload.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(DecodeProperties(payload.substr(0, size), kPath));
  }
  CHECK_FALSE(DecodeProperties(payload + 'x', kPath));
}

TEST_CASE("properties: another release's formats are refused by name", "[engine][table]") {
  const std::string payload = EncodeProperties(SampleProperties());
  for (const std::string_view name : {kRowFormatName, kPositionFunctionName, kFilterFormatName}) {
    std::string changed = payload;
    changed[changed.find(name) + name.size() - 1] = '9';
    const auto properties = DecodeProperties(changed, kPath);
    REQUIRE_FALSE(properties);
    CHECK(properties.error().code == Errc::kInvalidArgument);
    CHECK(properties.error().context.find(name) != std::string::npos);
  }
}

TEST_CASE("properties: contradictions are refused", "[engine][table]") {
  const std::string payload = EncodeProperties(SampleProperties());
  const std::vector<std::pair<size_t, uint64_t>> changes = {
      {16, 101},                    // more tombstones than rows
      {48, 0x3fff'ffff'ffff'ffff},  // smallest before the range
      {48, 0x5fff'0000'0000'0001},  // smallest above largest
      {56, 0x6000'0000'0000'0000},  // largest beyond the range
      {64, 0x4000'0000'0000'0001},  // a range that begins nowhere
      {72, 64},                     // bits
      {72, ~uint64_t{0}},
      {80, 0},  // blocks
      {80, 101},
  };
  for (const auto& [offset, number] : changes) {
    CAPTURE(offset, number);
    std::string changed = payload;
    EncodeFixed64(changed.data() + offset, number);
    const auto properties = DecodeProperties(changed, kPath);
    REQUIRE_FALSE(properties);
    CHECK(properties.error().code == Errc::kCorruption);
  }
}

}  // namespace
}  // namespace varve::engine
