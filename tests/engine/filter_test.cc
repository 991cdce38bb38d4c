#include "engine/filter.h"

#include <catch2/catch.hpp>
#include <random>

#include "engine/checksum.h"

namespace varve::engine {
namespace {

std::vector<Position> RandomPositions(size_t count, const DyadicRange& range, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<Position> positions(count);
  for (Position& position : positions) {
    position = range.begin | (random() & (range.last() - range.begin));
  }
  return positions;
}

// Share of `positions` that a filter of `members` says yes to.
double YesRate(const Filter& filter, const std::vector<Position>& positions) {
  size_t yes = 0;
  for (const Position position : positions) yes += filter.MayContain(position) ? 1 : 0;
  return static_cast<double>(yes) / static_cast<double>(positions.size());
}

TEST_CASE("filter: never no to a member, rarely yes to another", "[engine][filter]") {
  // Positions of a table share their top bits, the more the deeper its level.
  for (const int range_bits : {0, 3, 12, 24}) {
    for (const auto& [bits_per_key, rate_max] :
         std::vector<std::pair<int, double>>{{5, 0.12}, {8, 0.03}, {10, 0.0125}, {16, 0.002}}) {
      for (const size_t count : {50'000, 300'000}) {
        CAPTURE(range_bits, bits_per_key, count);
        const DyadicRange range = DyadicRange::Of(0x5555'5555'5555'5555, range_bits);
        const auto members = RandomPositions(count, range, 1);
        Filter filter;
        REQUIRE(filter.Decode(Filter::Build(members, bits_per_key)));
        CHECK(YesRate(filter, members) == 1.0);
        CHECK(YesRate(filter, RandomPositions(200'000, range, 2)) < rate_max);
        CHECK(filter.memory_bytes() * 8 <= count * bits_per_key + 512);
      }
    }
  }
}

TEST_CASE("filter: few members, and equal ones", "[engine][filter]") {
  for (const std::vector<Position>& members :
       {std::vector<Position>{0}, {~Position{0}}, {7, 7, 7}, {1, 2, 3, 4, 5, 6, 7, 8}}) {
    for (const int bits_per_key : {1, 10, 24}) {
      Filter filter;
      REQUIRE(filter.Decode(Filter::Build(members, bits_per_key)));
      CHECK(YesRate(filter, members) == 1.0);
    }
  }
}

TEST_CASE("filter: what is no filter is refused", "[engine][filter]") {
  const std::string payload = Filter::Build({1, 2, 3}, 10);
  Filter filter;
  REQUIRE(filter.Decode(payload));
  for (size_t size = 0; size < payload.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(filter.Decode(payload.substr(0, size)));
  }
  CHECK_FALSE(filter.Decode(payload + '\6'));
  std::string deep = payload;
  deep[deep.size() - 2] = 64;
  CHECK_FALSE(filter.Decode(deep));
  for (const int probe_count : {0, Filter::kProbesMax + 1, 255}) {
    std::string changed = payload;
    changed.back() = static_cast<char>(probe_count);
    CHECK_FALSE(filter.Decode(changed));
  }
}

TEST_CASE("filter: its lines are the documented ones", "[engine][filter][golden]") {
  std::vector<Position> positions;
  for (uint64_t i = 1; i <= 1000; ++i) positions.push_back(i * 0x0123456789abcdef >> 2);
  CHECK(Checksum(Filter::Build(positions, 10)) == 0xe7705d2d99249f8f);
}

TEST_CASE("filter: its bits are the documented ones", "[engine][filter][golden]") {
  // Filters of released tables are asked for ever: one line, six bits of position 1.
  const std::string payload = Filter::Build({1}, 10);
  REQUIRE(payload.size() == Filter::kLineBytes + Filter::kTrailerBytes);
  CHECK(payload.back() == 6);
  std::vector<int> bits;
  for (int bit = 0; bit < 512; ++bit) {
    if ((payload[bit / 8] >> (bit % 8) & 1) != 0) bits.push_back(bit);
  }
  CHECK(bits == std::vector<int>{133, 231, 362, 382, 411, 499});
}

}  // namespace
}  // namespace varve::engine
