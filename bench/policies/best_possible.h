#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace varve::bench {

// How many accesses from `first` on can be hits at all in a cache of so many rows. Source: Belady's
// MIN (1966), which evicts the row whose next access is farthest away.
uint64_t BestPossibleHits(const std::vector<uint32_t>& keys, uint32_t key_count, size_t first,
                          size_t capacity);

}  // namespace varve::bench
