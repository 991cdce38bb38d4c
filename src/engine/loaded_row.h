#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/block.h"
#include "engine/error.h"
#include "engine/row.h"

namespace varve::engine {

// A row that was read from a file, in memory of its own.
struct LoadedRow {
  std::shared_ptr<const std::string> bytes;  // holds `row`'s key and value
  Row row;
};

// The bytes of a file that are one block, trailer included.
struct Extent {
  uint64_t offset = 0;
  size_t size = 0;
  static Extent Of(const BlockHandle& handle) {
    return {handle.offset, handle.size + kBlockTrailerBytes};
  }
};

// The row of `key`, which is at `position`, among those of the block `stored` (payload and trailer,
// as they were read from `place`); of a separated row its reference. `dictionary`: of the file's
// blocks. Errors: kCorruption, for anything that is no intact block of rows of this place.
Result<std::optional<LoadedRow>> FindRow(std::string stored, const BlockPlace& place,
                                         Position position, std::string_view key,
                                         const Dictionary* dictionary = nullptr);

}  // namespace varve::engine
