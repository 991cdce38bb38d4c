#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "engine/position.h"

namespace varve::engine::testing {

// Three keys of 16 bytes that share one position under `secret`; each `variant` gives others. Rows
// of equal position are as good as impossible by chance, and must be right all the same.
//
// XXH3 of 16 bytes is avalanche(16 + swap64(low) + high + fold(low * high)), low and high being the
// key's halves xored with words of the secret. A `low` or `high` of 0 makes the product vanish, and
// a `low` of 1 makes it `high`.
std::array<std::string, 3> CollidingKeys(const PositionSecret& secret, uint64_t variant);

}  // namespace varve::engine::testing
