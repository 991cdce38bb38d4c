#include "engine/level_shape.h"

namespace varve::engine {

uint64_t LevelShape::row_bytes(int level) const {
  uint64_t bytes = 0;
  for (const TableInfo* table : levels[level]) bytes += table->row_bytes;
  return bytes;
}

}  // namespace varve::engine
