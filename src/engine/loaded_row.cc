#include "engine/loaded_row.h"

#include <utility>

#include "engine/value.h"

namespace varve::engine {
namespace {

// `block`: the decoded block, a view into `*owner`. A large value stays where it is; a small row is
// copied out, so that it does not keep its neighbours in memory.
LoadedRow Keep(std::shared_ptr<const std::string> owner, const Row& row) {
  if (row.value.size() >= kSharedValueBytes) return {std::move(owner), row};
  std::string bytes;
  bytes.reserve(row.key.size() + row.value.size());
  bytes.append(row.key).append(row.value);
  LoadedRow loaded{std::make_shared<const std::string>(std::move(bytes)), row};
  loaded.row.key = std::string_view(*loaded.bytes).substr(0, row.key.size());
  loaded.row.value = std::string_view(*loaded.bytes).substr(row.key.size());
  return loaded;
}

}  // namespace

Result<std::optional<LoadedRow>> FindRow(std::string stored, const BlockPlace& place,
                                         Position position, std::string_view key,
                                         const Dictionary* dictionary) {
  std::string scratch;
  TRY_ASSIGN(std::string_view rows, DecodeBlock(stored, place, scratch, dictionary));
  // Before the rows are parsed: views into a short string do not survive its move.
  const bool plain = rows.data() == stored.data();
  const auto owner = std::make_shared<const std::string>(std::move(plain ? stored : scratch));
  rows = std::string_view(*owner).substr(0, rows.size());
  while (!rows.empty()) {
    Row row;
    if (!ParseTableRow(rows, row)) {
      return Fail(Errc::kCorruption, "{}: block at {}: bad row, {} bytes from its end", place.path,
                  place.offset, rows.size());
    }
    if (row.key != key) continue;
    row.position = position;
    return std::optional<LoadedRow>(Keep(owner, row));
  }
  return std::optional<LoadedRow>();
}

}  // namespace varve::engine
