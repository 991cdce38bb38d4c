#include "engine/support/table_fixture.h"

#include <algorithm>
#include <array>
#include <random>

namespace varve::engine::testing {

const PositionSecret& TestSecret() {
  static const PositionSecret secret = [] {
    std::array<char, PositionSecret::kBytes> bytes{};
    std::mt19937_64 random(192);
    for (char& byte : bytes) byte = static_cast<char>(random());
    return PositionSecret(bytes);
  }();
  return secret;
}

std::vector<OwnedRow> InTableOrder(std::vector<OwnedRow> rows) {
  for (OwnedRow& row : rows) row.position = TestSecret().Of(row.key);
  std::stable_sort(rows.begin(), rows.end(), [](const OwnedRow& a, const OwnedRow& b) {
    return RowLess(a.position, a.key, b.position, b.key);
  });
  const auto end = std::unique(rows.begin(), rows.end(),
                               [](const OwnedRow& a, const OwnedRow& b) { return a.key == b.key; });
  rows.erase(end, rows.end());
  return rows;
}

std::vector<OwnedRow> RandomRows(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto bytes = [&](size_t size) {
    std::string out(size, '\0');
    const bool compressible = random() % 2 == 0;
    for (char& byte : out) byte = static_cast<char>(compressible ? 'a' + random() % 3 : random());
    return out;
  };
  std::vector<OwnedRow> rows;
  for (size_t i = 0; i < count; ++i) {
    OwnedRow row;
    row.key = bytes(random() % 24);
    row.is_tombstone = random() % 10 == 0;
    if (!row.is_tombstone) row.value = bytes(random() % 8 == 0 ? random() % 600 : random() % 60);
    rows.push_back(std::move(row));
  }
  return InTableOrder(std::move(rows));
}

std::vector<OwnedRow> RandomSeparatedRows(size_t count, uint64_t seed) {
  std::vector<OwnedRow> rows = RandomRows(count, seed);
  uint32_t ordinal = 0;
  for (OwnedRow& row : rows) {
    if (row.is_tombstone || ++ordinal % 3 == 0) continue;
    row.reference = {ordinal % 2 == 0 ? uint64_t{70'000} : uint64_t{7}, ordinal,
                     100 + static_cast<uint32_t>(row.value.size())};
    row.value.clear();
  }
  return rows;
}

std::vector<OwnedRow> DocumentRows(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<OwnedRow> rows;
  for (size_t i = 0; i < count; ++i) {
    rows.push_back({0, "document:" + std::to_string(i), "", false});
    std::string& value = rows.back().value;
    for (const char* field : {"identifier", "customer", "description", "quantity", "currency",
                              "delivery address", "telephone number", "date of the order"}) {
      if (random() % 4 == 0) continue;
      value += std::string("{\"") + field + "\": " + std::to_string(random() % 10'000) + "}, ";
    }
  }
  return InTableOrder(std::move(rows));
}

Result<TableInfo> BuildTable(FileSystem* files, const std::string& directory, uint64_t number,
                             const std::vector<OwnedRow>& rows, TableBuilder::Settings settings,
                             DyadicRange range) {
  TRY_ASSIGN(const auto builder, TableBuilder::Create(files, directory, number, range, settings));
  for (const OwnedRow& row : rows) TRY(builder->Add(row.view()));
  return builder->Finish(TestSecret());
}

std::vector<OwnedRow> Rest(RowCursor& cursor) {
  std::vector<OwnedRow> rows;
  for (; cursor.Valid(); cursor.Next()) rows.push_back(OwnedRow::Of(cursor.row()));
  return rows;
}

}  // namespace varve::engine::testing
