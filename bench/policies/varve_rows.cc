#include "policies/varve_rows.h"

#include <string_view>

namespace varve::bench {

using engine::MemoryRow;
using engine::RowMemory;
using engine::Segment;

bool VarveRows::Access(uint32_t key) {
  constexpr size_t kRowsPerStep = 256;  // as in the store's background
  const std::string_view bytes = key_.Of(key);
  const engine::Position position = secret_.Of(bytes);
  if (const MemoryRow* row = rows_->table.Find(position, bytes)) {
    row->MarkVisited();
    return true;
  }
  const RowMemory::Pin pin = memory_.AddLoaded(rows_, position, bytes, {values_.Next(), nullptr},
                                               engine::ValueType::kString, false);
  pin.row().MarkVisited();  // by the command, which runs again
  while (!memory_.EvictSome(kRowsPerStep)) {
  }
  if (memory_.wants_spare()) memory_.AddSpare(Segment::NewPopulated());
  return false;
}

}  // namespace varve::bench
