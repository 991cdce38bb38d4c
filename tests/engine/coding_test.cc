#include "engine/coding.h"

#include <catch2/catch.hpp>
#include <limits>
#include <vector>

namespace varve::engine {
namespace {

const std::vector<uint64_t> kNumbers = {0,
                                        1,
                                        0x7f,
                                        0x80,
                                        0x3fff,
                                        0x4000,
                                        0xffff'ffff,
                                        1ull << 32,
                                        1ull << 62,
                                        1ull << 63,
                                        0x0102030405060708ull,
                                        std::numeric_limits<uint64_t>::max()};

TEST_CASE("coding: a varint comes back, in the fewest bytes", "[engine][coding]") {
  for (const uint64_t number : kNumbers) {
    CAPTURE(number);
    std::string bytes;
    PutVarint64(bytes, number);
    CHECK(bytes.size() == (number == 0 ? 1u : (std::bit_width(number) + 6u) / 7u));
    bytes += "rest";
    std::string_view input = bytes;
    uint64_t got = ~number;
    REQUIRE(GetVarint64(input, got));
    CHECK(got == number);
    CHECK(input == "rest");
  }
}

TEST_CASE("coding: a varint cut anywhere is refused", "[engine][coding]") {
  for (const uint64_t number : kNumbers) {
    std::string bytes;
    PutVarint64(bytes, number);
    for (size_t cut = 0; cut < bytes.size(); ++cut) {
      CAPTURE(number, cut);
      std::string_view input(bytes.data(), cut);
      uint64_t got = 0;
      CHECK_FALSE(GetVarint64(input, got));
    }
  }
}

TEST_CASE("coding: a varint has one spelling and 64 bits", "[engine][coding]") {
  using namespace std::string_literals;
  for (const std::string& bytes : {
           "\x80\x00"s,                                  // 0 in two bytes
           "\xff\x80\x00"s,                              // 127 in three
           "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"s,  // bit 64
           "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"s,
       }) {
    std::string_view input = bytes;
    uint64_t got = 0;
    CHECK_FALSE(GetVarint64(input, got));
  }
}

TEST_CASE("coding: fixed integers are little-endian", "[engine][coding]") {
  std::string bytes;
  PutFixed32(bytes, 0x04030201);
  PutFixed64(bytes, 0x0c0b0a0908070605);
  CHECK(bytes == "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c");
  std::string_view input = bytes;
  uint32_t small = 0;
  uint64_t large = 0;
  REQUIRE(GetFixed32(input, small));
  REQUIRE(GetFixed64(input, large));
  CHECK(small == 0x04030201);
  CHECK(large == 0x0c0b0a0908070605);
  CHECK(input.empty());
  CHECK_FALSE(GetFixed32(input, small));
  CHECK_FALSE(GetFixed64(input, large));
}

}  // namespace
}  // namespace varve::engine
