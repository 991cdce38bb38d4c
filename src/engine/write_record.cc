#include "engine/write_record.h"

#include "engine/coding.h"
#include "engine/options.h"

namespace varve::engine {
namespace {

enum Operation : uint8_t { kPut = 0, kPutLarge = 1, kDelete = 2, kNewTree = 3 };

tl::unexpected<Error> Malformed(const char* what) {
  return Fail(Errc::kCorruption, "write record: {}", what);
}

Result<void> ParsePut(uint8_t operation, std::string_view& head, std::string_view& large_values,
                      const WriteRecordVisitor& visitor) {
  uint64_t tree = 0;
  if (!GetVarint64(head, tree) || head.empty()) return Malformed("put without a tree");
  const auto existence = static_cast<uint8_t>(head[0]);
  head.remove_prefix(1);
  if (existence > static_cast<uint8_t>(Existence::kUnknown)) return Malformed("unknown existence");
  Row row;
  if (operation == kPut) {
    if (!ParseRow(head, row)) return Malformed("no whole row");
  } else {
    uint64_t value_bytes = 0;
    if (!ParseRowWithoutValue(head, row, value_bytes)) return Malformed("no whole row");
    if (value_bytes > large_values.size()) return Malformed("large value is cut short");
    row.value = large_values.substr(0, value_bytes);
    large_values.remove_prefix(value_bytes);
  }
  if (row.is_tombstone) return Malformed("put of a tombstone");
  return visitor.put(tree, Existence{existence}, row);
}

Result<void> ParseDelete(std::string_view& head, const WriteRecordVisitor& visitor) {
  uint64_t tree = 0;
  Row row;
  if (!GetVarint64(head, tree) || !ParseRow(head, row)) return Malformed("no whole tombstone");
  if (!row.is_tombstone) return Malformed("delete without a tombstone");
  return visitor.remove(tree, row);
}

Result<void> ParseNewTree(std::string_view& head, const WriteRecordVisitor& visitor) {
  if (head.empty()) return Malformed("new tree without a database");
  const int db = static_cast<uint8_t>(head[0]);
  head.remove_prefix(1);
  uint64_t tree = 0;
  if (db >= kDatabaseCount || !GetVarint64(head, tree)) return Malformed("new tree");
  return visitor.new_tree(db, tree);
}

}  // namespace

void WriteRecordBuilder::Clear() {
  head_.resize(kVarint64BytesMax);
  record_.large_values.clear();
}

void WriteRecordBuilder::Put(TreeId tree, Existence existence, const Row& row, const Value& value) {
  const bool large = value.owner != nullptr;
  head_.push_back(static_cast<char>(large ? kPutLarge : kPut));
  PutVarint64(head_, tree);
  head_.push_back(static_cast<char>(existence));
  if (large) {
    AppendRowWithoutValue(head_, row);
    record_.large_values.push_back(value);
  } else {
    AppendRow(head_, row);
  }
}

void WriteRecordBuilder::Delete(TreeId tree, const Row& tombstone) {
  head_.push_back(static_cast<char>(kDelete));
  PutVarint64(head_, tree);
  AppendRow(head_, tombstone);
}

void WriteRecordBuilder::NewTree(int db, TreeId tree) {
  head_.push_back(static_cast<char>(kNewTree));
  head_.push_back(static_cast<char>(db));
  PutVarint64(head_, tree);
}

const WalRecord& WriteRecordBuilder::Finish() {
  std::string size;  // so short that it takes no memory of its own
  PutVarint64(size, head_.size() - kVarint64BytesMax);
  const size_t begin = kVarint64BytesMax - size.size();
  size.copy(head_.data() + begin, size.size());
  record_.head = std::string_view(head_).substr(begin);
  return record_;
}

Result<void> ParseWriteRecord(std::string_view payload, const WriteRecordVisitor& visitor) {
  uint64_t head_bytes = 0;
  if (!GetVarint64(payload, head_bytes) || head_bytes > payload.size()) {
    return Malformed("head is cut short");
  }
  std::string_view head = payload.substr(0, head_bytes);
  std::string_view large_values = payload.substr(head_bytes);
  while (!head.empty()) {
    const auto operation = static_cast<uint8_t>(head[0]);
    head.remove_prefix(1);
    switch (operation) {
      case kPut:
      case kPutLarge:
        TRY(ParsePut(operation, head, large_values, visitor));
        break;
      case kDelete:
        TRY(ParseDelete(head, visitor));
        break;
      case kNewTree:
        TRY(ParseNewTree(head, visitor));
        break;
      default:
        return Fail(Errc::kCorruption, "write record: unknown operation {}", operation);
    }
  }
  if (!large_values.empty()) return Malformed("bytes behind the last large value");
  return {};
}

}  // namespace varve::engine
