#include "engine/ghost_queue.h"

#include <catch2/catch.hpp>
#include <cstdint>

namespace varve::engine {
namespace {

// Spreads small numbers as a hash would.
Position PositionOf(uint64_t number) {
  Position position = (number + 1) * 0x9E3779B97F4A7C15;
  position = (position ^ (position >> 32)) * 0xD6E8FEB86659FD93;
  return position ^ (position >> 32);
}

uint64_t CountOf(const GhostQueue& ghosts, uint64_t begin, uint64_t end) {
  uint64_t count = 0;
  for (uint64_t number = begin; number < end; ++number) {
    count += ghosts.Contains(PositionOf(number)) ? 1 : 0;
  }
  return count;
}

TEST_CASE("GhostQueue: remembers what was added last", "[engine][ghost_queue]") {
  constexpr uint64_t kRows = 1 << 16;
  GhostQueue ghosts;
  ghosts.FitTo(kRows);
  CHECK(ghosts.memory_bytes() == 2 * kRows);
  CHECK(CountOf(ghosts, 0, kRows) == 0);
  for (uint64_t i = 0; i < 4 * kRows; ++i) ghosts.Add(PositionOf(i));
  CHECK(CountOf(ghosts, 4 * kRows - kRows / 2, 4 * kRows) == kRows / 2);
  CHECK(CountOf(ghosts, 4 * kRows - kRows, 4 * kRows) > kRows * 9 / 10);
  // Wrong answers: one in 2,000 of what was never there, or is forgotten.
  CHECK(CountOf(ghosts, 0, 2 * kRows) < 2 * kRows / 1000);
  CHECK(CountOf(ghosts, 5 * kRows, 9 * kRows) < 4 * kRows / 1000);
}

TEST_CASE("GhostQueue: its size follows the number of rows", "[engine][ghost_queue]") {
  GhostQueue ghosts;
  ghosts.Add(PositionOf(1));  // no room at all yet
  CHECK(!ghosts.Contains(PositionOf(1)));
  ghosts.FitTo(100);  // a small cache does without
  CHECK(ghosts.memory_bytes() == 0);
  ghosts.FitTo(5000);
  CHECK(ghosts.memory_bytes() == 8192);
  ghosts.Add(PositionOf(1));
  for (const uint64_t count : {2100, 4096, 8191, 2048}) ghosts.FitTo(count);  // not worth a change
  CHECK(ghosts.memory_bytes() == 8192);
  CHECK(ghosts.Contains(PositionOf(1)));
  ghosts.FitTo(1'000'000);
  CHECK(ghosts.memory_bytes() == 1 << 20);
  CHECK(!ghosts.Contains(PositionOf(1)));
  ghosts.Add(PositionOf(2));
  CHECK(ghosts.Contains(PositionOf(2)));
  ghosts.FitTo(0);
  CHECK(ghosts.memory_bytes() == 0);
  CHECK(!ghosts.Contains(PositionOf(2)));
}

}  // namespace
}  // namespace varve::engine
