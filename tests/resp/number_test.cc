#include "resp/number.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

namespace varve::resp {
namespace {

std::string Format(int64_t value) {
  char text[kIntegerBytesMax];
  return {text, FormatInteger(text, value)};
}

TEST_CASE("Numbers: formatted and parsed, at each length", "[resp][number]") {
  for (uint64_t base = 1; base < uint64_t{1} << 63; base *= 2) {
    for (const int64_t value : {static_cast<int64_t>(base - 1), static_cast<int64_t>(base),
                                -static_cast<int64_t>(base)}) {
      REQUIRE(Format(value) == std::to_string(value));
      REQUIRE(ParseInteger(Format(value)) == value);
    }
  }
  for (const int64_t value :
       {std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()}) {
    CHECK(Format(value) == std::to_string(value));
    CHECK(ParseInteger(Format(value)) == value);
  }
  char text[kIntegerBytesMax];
  CHECK(std::string(text, FormatUnsigned(text, UINT64_MAX)) == "18446744073709551615");
}

TEST_CASE("Numbers: only Redis's form of an integer is one", "[resp][number]") {
  for (const std::string text : {"", "-", "+1", " 1", "1 ", "01", "-01", "-0", "00", "1a", "0x1",
                                 "1.0", "--1", "9223372036854775808", "-9223372036854775809",
                                 "99999999999999999999", "18446744073709551617"}) {
    CAPTURE(text);
    CHECK(ParseInteger(text) == std::nullopt);
  }
  CHECK(ParseInteger("0") == 0);
  CHECK(ParseInteger("-1") == -1);
}

}  // namespace
}  // namespace varve::resp
