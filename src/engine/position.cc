#include "engine/position.h"

#define XXH_INLINE_ALL  // a call into the library costs as much as hashing a short key
#include <xxhash.h>

namespace varve::engine {

static_assert(PositionSecret::kBytes >= XXH3_SECRET_SIZE_MIN);

Position PositionSecret::Of(std::string_view key) const {
  return XXH3_64bits_withSecret(key.data(), key.size(), bytes_.data(), bytes_.size());
}

}  // namespace varve::engine
