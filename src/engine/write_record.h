#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "engine/error.h"
#include "engine/row.h"
#include "engine/tree_id.h"
#include "engine/wal.h"

namespace varve::engine {

// What was known of a key when it was written; the count of live keys rests on it after a restart.
enum class Existence : uint8_t {
  kLive = 0,
  kAbsent = 1,
  kUnknown = 2,  // to be settled by a read
};

// The payload of one WAL record: all changes of one command, EXEC or script.
//
//   head_bytes varint | head | large values, in the order in which the head names them
//   the head is a sequence of operations, each: operation u8, then
//     0 put      tree varint | existence u8 | row (row.h)
//     1 put of a large value: the same, the row without its value bytes
//     2 delete   tree varint | row, a tombstone     (the key was live)
//     3 new tree database u8 | tree varint          (FLUSHDB: the database goes on with a new tree)
//
// Builds one such payload. Threads: one at a time.
class WriteRecordBuilder {
 public:
  void Clear();
  // A value with an owner is taken by reference.
  void Put(TreeId tree, Existence existence, const Row& row, const Value& value);
  void Delete(TreeId tree, const Row& tombstone);
  void NewTree(int db, TreeId tree);
  // The record, for Wal::Append(); valid until the next change of the builder.
  const WalRecord& Finish();

 private:
  std::string head_;  // behind room for its length
  WalRecord record_;
};

// What ParseWriteRecord() calls, in order; views are valid during the call. A row's position is 0.
struct WriteRecordVisitor {
  std::function<Result<void>(TreeId, Existence, const Row&)> put;
  std::function<Result<void>(TreeId, const Row&)> remove;
  std::function<Result<void>(int db, TreeId)> new_tree;
};

// kCorruption if the payload, whose checksum was right, does not have the form above.
Result<void> ParseWriteRecord(std::string_view payload, const WriteRecordVisitor& visitor);

}  // namespace varve::engine
