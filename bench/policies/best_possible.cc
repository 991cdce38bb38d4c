#include "policies/best_possible.h"

#include <limits>
#include <queue>
#include <utility>

namespace varve::bench {

uint64_t BestPossibleHits(const std::vector<uint32_t>& keys, uint32_t key_count, size_t first,
                          size_t capacity) {
  constexpr uint32_t kNever = std::numeric_limits<uint32_t>::max();
  std::vector<uint32_t> next(keys.size());
  std::vector<uint32_t> seen_at(key_count, kNever);
  for (size_t i = keys.size(); i > 0; --i) {
    next[i - 1] = seen_at[keys[i - 1]];
    seen_at[keys[i - 1]] = static_cast<uint32_t>(i - 1);
  }
  // By next access; what was accessed meanwhile is there twice, and its older entry comes last.
  std::priority_queue<std::pair<uint32_t, uint32_t>> cached;
  std::vector<bool> is_cached(key_count, false);
  size_t cached_count = 0;
  uint64_t hits = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    const uint32_t key = keys[i];
    if (is_cached[key]) {
      if (i >= first) ++hits;
    } else if (cached_count == capacity) {
      is_cached[cached.top().second] = false;
      cached.pop();
    } else {
      ++cached_count;
    }
    is_cached[key] = true;
    cached.emplace(next[i], key);
  }
  return hits;
}

}  // namespace varve::bench
