#include "engine/manifest_format.h"

#include <charconv>

#include "engine/checksum.h"
#include "engine/coding.h"

namespace varve::engine {

namespace {

constexpr uint64_t kChecksumOffset = kManifestHeaderBytes - sizeof(uint64_t);
constexpr std::string_view kNamePrefix = "manifest-";

enum class Field : uint8_t {
  kTree = 1,
  kDroppedTree = 2,
  kDatabases = 3,
  kWalOldest = 4,
  kNextNumber = 5,
  kValues = 6,
};

constexpr int kTableHasValues = 0x80;  // in a table's level

void PutByte(std::string& out, int value) { out.push_back(static_cast<char>(value)); }

void PutField(std::string& out, Field field, uint64_t value) {
  PutByte(out, static_cast<int>(field));
  PutVarint64(out, value);
}

bool GetByte(std::string_view& input, int& value) {
  if (input.empty()) return false;
  value = static_cast<uint8_t>(input.front());
  input.remove_prefix(1);
  return true;
}

void PutTable(std::string& out, const LevelTable& table) {
  const bool has_values = table.info.value_count > 0;
  PutByte(out, table.level | (has_values ? kTableHasValues : 0));
  for (const uint64_t value : {table.info.number, table.info.file_bytes, table.info.row_count,
                               table.info.tombstone_count, table.info.row_bytes}) {
    PutVarint64(out, value);
  }
  PutFixed64(out, table.info.smallest);
  PutFixed64(out, table.info.largest);
  PutFixed64(out, table.info.range.begin);
  PutByte(out, table.info.range.bits);
  if (!has_values) return;
  PutVarint64(out, table.info.value_count);
  PutVarint64(out, table.info.value_bytes);
}

bool GetTable(std::string_view& input, LevelTable& table) {
  if (!GetByte(input, table.level)) return false;
  const bool has_values = (table.level & kTableHasValues) != 0;
  table.level &= ~kTableHasValues;
  for (uint64_t* value : {&table.info.number, &table.info.file_bytes, &table.info.row_count,
                          &table.info.tombstone_count, &table.info.row_bytes}) {
    if (!GetVarint64(input, *value)) return false;
  }
  if (!GetFixed64(input, table.info.smallest) || !GetFixed64(input, table.info.largest) ||
      !GetFixed64(input, table.info.range.begin) || !GetByte(input, table.info.range.bits) ||
      table.info.range.bits > 63 ||
      table.info.range != DyadicRange::Of(table.info.range.begin, table.info.range.bits)) {
    return false;
  }
  if (!has_values) return true;
  return GetVarint64(input, table.info.value_count) && GetVarint64(input, table.info.value_bytes) &&
         table.info.value_count > 0;
}

void PutTree(std::string& out, const VersionEdit::Tree& tree) {
  PutField(out, Field::kTree, tree.id);
  PutVarint64(out, tree.added.size());
  for (const LevelTable& table : tree.added) PutTable(out, table);
  PutVarint64(out, tree.removed.size());
  for (const uint64_t number : tree.removed) PutVarint64(out, number);
  PutByte(out, tree.live_key_count.has_value());
  if (tree.live_key_count) PutVarint64(out, *tree.live_key_count);
  if (tree.values.empty()) return;
  PutByte(out, static_cast<int>(Field::kValues));
  PutValueEdit(out, tree.values);
}

// Nothing is reserved from a count: it may be damage, and each item takes bytes from the input.
bool GetTree(std::string_view& input, VersionEdit::Tree& tree) {
  uint64_t count = 0;
  if (!GetVarint64(input, tree.id) || !GetVarint64(input, count)) return false;
  for (; count > 0; --count) {
    if (!GetTable(input, tree.added.emplace_back())) return false;
  }
  if (!GetVarint64(input, count)) return false;
  for (; count > 0; --count) {
    if (!GetVarint64(input, tree.removed.emplace_back())) return false;
  }
  int has_count = 0;
  if (!GetByte(input, has_count) || has_count > 1) return false;
  return has_count == 0 || GetVarint64(input, tree.live_key_count.emplace());
}

bool GetDatabases(std::string_view& input, std::array<TreeId, kDatabaseCount>& databases) {
  for (TreeId& id : databases) {
    if (!GetVarint64(input, id)) return false;
  }
  return true;
}

bool GetField(std::string_view& input, VersionEdit& edit) {
  int tag = 0;
  if (!GetByte(input, tag)) return false;
  switch (static_cast<Field>(tag)) {
    case Field::kTree:
      return GetTree(input, edit.trees.emplace_back());
    case Field::kDroppedTree:
      return GetVarint64(input, edit.dropped_trees.emplace_back());
    case Field::kDatabases:
      return GetDatabases(input, edit.databases.emplace());
    case Field::kWalOldest:
      return GetVarint64(input, edit.wal_oldest.emplace());
    case Field::kNextNumber:
      return GetVarint64(input, edit.next_number.emplace());
    case Field::kValues:
      return !edit.trees.empty() && edit.trees.back().values.empty() &&
             GetValueEdit(input, edit.trees.back().values);
  }
  return false;
}

}  // namespace

std::string EncodeManifestHeader(const ManifestHeader& header) {
  std::string out;
  PutFixed64(out, kManifestMagic);
  PutFixed32(out, kManifestVersion);
  PutFixed32(out, 0);
  out.append(kPositionFunction).append(kPositionFunctionBytes - kPositionFunction.size(), '\0');
  PutFixed64(out, header.salt);
  out.append(header.position_secret.data(), header.position_secret.size());
  PutFixed64(out, Checksum(out));
  INVARIANT(out.size() == kManifestHeaderBytes);
  return out;
}

Result<ManifestHeader> DecodeManifestHeader(std::string_view bytes, const std::string& path) {
  if (bytes.size() < kManifestHeaderBytes) {
    return Fail(Errc::kCorruption, "{}: {} bytes are too few for a manifest", path, bytes.size());
  }
  if (const uint64_t magic = DecodeFixed64(bytes.data()); magic != kManifestMagic) {
    return Fail(Errc::kCorruption, "{}: offset 0: {:016x} is not the magic of a manifest", path,
                magic);
  }
  const uint64_t computed = Checksum(bytes.substr(0, kChecksumOffset));
  if (const uint64_t stored = DecodeFixed64(bytes.data() + kChecksumOffset); computed != stored) {
    return Fail(Errc::kCorruption, "{}: offset 0: header checksum {:016x}, stored {:016x}", path,
                computed, stored);
  }
  if (const uint32_t version = DecodeFixed32(bytes.data() + 8); version != kManifestVersion) {
    return Fail(Errc::kInvalidArgument, "{}: manifest format {} is not known here, only {} is",
                path, version, kManifestVersion);
  }
  std::string_view function = bytes.substr(16, kPositionFunctionBytes);
  function = function.substr(0, function.find('\0'));
  if (function != kPositionFunction) {
    return Fail(Errc::kInvalidArgument, "{}: position function '{}' is not known here, only {} is",
                path, function, kPositionFunction);
  }
  ManifestHeader header;
  header.salt = DecodeFixed64(bytes.data() + 32);
  bytes.copy(header.position_secret.data(), header.position_secret.size(), 40);
  return header;
}

std::string EncodeEdit(const VersionEdit& edit) {
  std::string out;
  for (const VersionEdit::Tree& tree : edit.trees) PutTree(out, tree);
  for (const TreeId id : edit.dropped_trees) PutField(out, Field::kDroppedTree, id);
  if (edit.databases) {
    PutByte(out, static_cast<int>(Field::kDatabases));
    for (const TreeId id : *edit.databases) PutVarint64(out, id);
  }
  if (edit.wal_oldest) PutField(out, Field::kWalOldest, *edit.wal_oldest);
  if (edit.next_number) PutField(out, Field::kNextNumber, *edit.next_number);
  return out;
}

std::optional<VersionEdit> DecodeEdit(std::string_view bytes) {
  VersionEdit edit;
  while (!bytes.empty()) {
    if (!GetField(bytes, edit)) return std::nullopt;
  }
  return edit;
}

VersionEdit SnapshotEdit(const ManifestState& state) {
  VersionEdit edit;
  for (const auto& [id, tree] : state.trees) {
    VersionEdit::Tree& out = edit.trees.emplace_back();
    out.id = id;
    for (const auto& [number, table] : tree.tables) out.added.push_back(table);
    out.live_key_count = tree.live_key_count;
    for (const auto& [number, file] : tree.values.files) out.values.files.push_back(file);
    out.values.runs.assign(tree.values.runs.begin(), tree.values.runs.end());
  }
  edit.databases = state.databases;
  edit.wal_oldest = state.wal_oldest;
  edit.next_number = state.next_number;
  return edit;
}

std::string ManifestName(uint64_t number) { return fmt::format("{}{:06}", kNamePrefix, number); }

std::optional<uint64_t> ParseManifestName(std::string_view name) {
  if (!name.starts_with(kNamePrefix)) return std::nullopt;
  const std::string_view digits = name.substr(kNamePrefix.size());
  uint64_t number = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (ManifestName(number) != name) return std::nullopt;
  return number;
}

}  // namespace varve::engine
