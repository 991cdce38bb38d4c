#pragma once

#include <cstdint>
#include <string_view>

namespace varve::engine {

// XXH3-64 of `bytes`: against damage, not against forgers. A seed that says where the bytes belong
// makes a checksum that holds nowhere else.
uint64_t Checksum(std::string_view bytes, uint64_t seed = 0);

}  // namespace varve::engine
