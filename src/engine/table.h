#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "engine/env.h"
#include "engine/error.h"
#include "engine/loaded_on_use.h"
#include "engine/loaded_row.h"
#include "engine/position.h"
#include "engine/row.h"
#include "engine/row_cursor.h"

namespace varve::engine {

class KeySet;
class TableIndex;

// What the manifest knows of a table: enough to plan with, without opening the file.
struct TableInfo {
  uint64_t number = 0;  // names the file: TablePath()
  uint64_t file_bytes = 0;
  uint64_t row_count = 0;  // tombstones included
  uint64_t tombstone_count = 0;
  uint64_t row_bytes = 0;    // keys and values, before compression; a separated value counts 16
  uint64_t value_count = 0;  // rows that refer to a separated value
  uint64_t value_bytes = 0;  // of the records they refer to
  Position smallest = 0;     // inclusive bounds of the rows in it
  Position largest = 0;
  DyadicRange range;  // the range it was written for; holds all rows of it
  bool operator==(const TableInfo&) const = default;
};

std::string TablePath(const std::string& directory, uint64_t number);  // <dir>/table-<number>.sst

// An SSTable: rows of one sorted run in compressed blocks, found by an index, fenced by a filter.
// Format:  table_format.h, docs/formats.md. Immutable.
// Owns:    the open file. The file is removed from the disk by whoever calls MarkObsolete(), when
//          the last reference goes.
// Threads: all members from any thread.
// Errors:  kCorruption names file and offset; nothing damaged is ever returned as a row.
class Table {
 public:
  // Opens the file without reading it: filter and index come with LoadIndex(). `files` outlives it.
  static Result<std::shared_ptr<Table>> Open(FileSystem* files, const std::string& directory,
                                             const TableInfo& info);
  ~Table();

  const TableInfo& info() const { return info_; }
  const std::string& path() const;

  // Filter and index, which come when they are first needed, and may be dropped again to make room.
  // Null when they are not in memory. Does not block.
  std::shared_ptr<const TableIndex> index() const;
  // Reads footer, filter, index and checks them. Blocks; at once when they are in memory. If it was
  // this call that brought them in, `*loaded_bytes` grows by their memory.
  Result<std::shared_ptr<const TableIndex>> LoadIndex(uint64_t* loaded_bytes = nullptr) const;
  // For who holds the command lock, under which nothing is dropped: whether a row at `position` may
  // be in the table, false is certain. Needs index_loaded(). No I/O.
  bool index_loaded() const { return index_.peek() != nullptr; }
  bool MayContain(Position position) const;
  uint64_t index_bytes() const;  // memory of filter, index and key set, 0 when not loaded
  // Under the command lock: drops filter and index, unless they were used since the last call. What
  // comes back is to be let go of outside the lock.
  std::shared_ptr<const TableIndex> DropUnusedIndex() const;

  // Under the command lock: the exact set of the table's keys, if it is in memory, else null.
  const KeySet* key_set() const { return key_set_.load(std::memory_order_acquire); }
  // Once, unless it was dropped meanwhile.
  void AddKeySet(std::shared_ptr<const KeySet> key_set) const;
  // Under the command lock; what comes back is to be let go of outside.
  std::shared_ptr<const KeySet> DropKeySet() const;

  // The row (or tombstone) of `key`, if the table has one; of a separated one the reference. Blocks
  // for one block read, and first for LoadIndex() if need be.
  Result<std::optional<LoadedRow>> Find(Position position, std::string_view key) const;
  // The same in steps, for who does the read: which bytes of file() they are (nothing: the table
  // does not have the key), and what they say. `index`: this table's.
  static std::optional<Extent> ExtentOf(const TableIndex& index, Position position);
  Result<std::optional<LoadedRow>> FindIn(const TableIndex& index, const Extent& extent,
                                          std::string bytes, Position position,
                                          std::string_view key) const;
  const RandomAccessFile& file() const { return *file_; }

  // From now on the file is removed when the last reference to the table goes.
  void MarkObsolete() { obsolete_.store(true); }

 private:
  friend class TableCursor;
  Table(FileSystem* files, std::unique_ptr<RandomAccessFile> file, const TableInfo& info);

  FileSystem* const files_;
  const std::unique_ptr<RandomAccessFile> file_;
  const TableInfo info_;
  LoadedOnUse<TableIndex> index_;
  mutable std::mutex key_set_mutex_;
  mutable std::shared_ptr<const KeySet> key_set_owner_;  // guarded by key_set_mutex_
  mutable std::atomic<const KeySet*> key_set_{nullptr};  // the same
  std::atomic<bool> obsolete_{false};
};

// Walks the rows of one table in order. Blocks on I/O: never under the command lock.
// Lifetime: keeps the table alive.
class TableCursor final : public RowCursor {
 public:
  // `readahead_bytes`: how much one read fetches at least (0: block by block); `drop_behind`: tell
  // the kernel not to keep what was read (compaction). `secret`: rows' positions are computed.
  TableCursor(std::shared_ptr<const Table> table, const PositionSecret* secret,
              size_t readahead_bytes, bool drop_behind);
  ~TableCursor() override;
  TableCursor(TableCursor&&) noexcept;

  void Seek(Position position) override;
  void Next() override;
  bool Valid() const override;
  const Row& row() const override;
  const Result<void>& status() const override;
  uint64_t bytes_read() const;  // from the file, by this cursor

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace varve::engine
