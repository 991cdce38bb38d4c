#include "engine/row.h"

#include "engine/coding.h"

namespace varve::engine {
namespace {

void AppendSeparatedRow(std::string& out, const Row& row) {
  char header[kRowHeaderBytesMax];
  char* end = header;
  *end++ = static_cast<char>((static_cast<uint8_t>(row.type) << kRowTypeShift) | kRowSeparated);
  end = EncodeVarint64(end, row.key.size());
  end = EncodeVarint64(end, row.reference.run);
  end = EncodeVarint64(end, row.reference.ordinal);
  end = EncodeVarint64(end, row.reference.record_bytes);
  out.append(header, end - header);
  out.append(row.key);
}

bool GetUint32(std::string_view& input, uint32_t& number) {
  uint64_t wide = 0;
  if (!GetVarint64(input, wide) || wide > ~uint32_t{0}) return false;
  number = static_cast<uint32_t>(wide);
  return true;
}

bool ParseSeparatedRow(std::string_view& input, Row& row) {
  // The type is the only other thing that the flags may say, and kString is the only one so far.
  if (static_cast<uint8_t>(input[0]) != kRowSeparated) return false;
  input.remove_prefix(1);
  row = Row{};
  uint64_t key_bytes = 0;
  if (!GetVarint64(input, key_bytes) || !GetVarint64(input, row.reference.run) ||
      !GetUint32(input, row.reference.ordinal) || !GetUint32(input, row.reference.record_bytes)) {
    return false;
  }
  if (row.reference.run == 0 || key_bytes > input.size()) return false;
  row.key = input.substr(0, key_bytes);
  input.remove_prefix(key_bytes);
  return true;
}

}  // namespace

void AppendRowWithoutValue(std::string& out, const Row& row) {
  char header[kRowHeaderBytesMax];
  char* end = header;
  *end++ = static_cast<char>((static_cast<uint8_t>(row.type) << kRowTypeShift) |
                             (row.is_tombstone ? kRowTombstone : 0));
  end = EncodeVarint64(end, row.key.size());
  if (!row.is_tombstone) end = EncodeVarint64(end, row.value.size());
  out.append(header, end - header);
  out.append(row.key);
}

void AppendRow(std::string& out, const Row& row) {
  if (row.reference) return AppendSeparatedRow(out, row);
  AppendRowWithoutValue(out, row);
  if (!row.is_tombstone) out.append(row.value);
}

bool ParseRowWithoutValue(std::string_view& input, Row& row, uint64_t& value_bytes) {
  if (input.empty()) return false;
  const auto flags = static_cast<uint8_t>(input[0]);
  input.remove_prefix(1);
  // No expiry, no subkey, no type but kString: a later release's row is refused, never misread.
  if ((flags & ~kRowTombstone) != 0) return false;
  row.position = 0;
  row.type = ValueType::kString;
  row.is_tombstone = (flags & kRowTombstone) != 0;
  row.value = {};
  row.reference = {};
  uint64_t key_bytes = 0;
  value_bytes = 0;
  if (!GetVarint64(input, key_bytes)) return false;
  if (!row.is_tombstone && !GetVarint64(input, value_bytes)) return false;
  if (key_bytes > input.size()) return false;
  row.key = input.substr(0, key_bytes);
  input.remove_prefix(key_bytes);
  return true;
}

bool ParseRow(std::string_view& input, Row& row) {
  uint64_t value_bytes = 0;
  if (!ParseRowWithoutValue(input, row, value_bytes) || value_bytes > input.size()) return false;
  row.value = input.substr(0, value_bytes);
  input.remove_prefix(value_bytes);
  return true;
}

bool ParseTableRow(std::string_view& input, Row& row) {
  const bool separated = !input.empty() && (static_cast<uint8_t>(input[0]) & kRowSeparated) != 0;
  return separated ? ParseSeparatedRow(input, row) : ParseRow(input, row);
}

}  // namespace varve::engine
