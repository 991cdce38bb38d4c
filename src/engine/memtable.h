#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "engine/row_cursor.h"
#include "engine/segment.h"

namespace varve::engine {

// The rows of one tree that are in one segment of the WAL, and not in tables yet: which of the rows
// in memory a flush has to write. They are found through the tree's RowTable (row_memory.h), until
// newer ones take their place there.
// Owns:    the segments with its rows, until RowMemory::MakeClean() takes them.
// Threads: under the command lock while it is written to. Once it is sealed its rows are constant,
//          and anyone may walk them.
class Memtable {
 public:
  explicit Memtable(uint64_t generation) : generation_(generation) {}
  Memtable(const Memtable&) = delete;
  Memtable& operator=(const Memtable&) = delete;

  uint64_t generation() const { return generation_; }  // the number of the WAL segment
  uint64_t memory_bytes() const { return segments_.bytes(); }
  size_t row_count() const { return row_count_; }  // tombstones included
  bool empty() const { return row_count_ == 0; }

  // Walks the rows in order of (position, key). Sealed only: takes a while, without the lock.
  std::unique_ptr<RowCursor> NewCursor() const;

 private:
  friend class RowMemory;

  const uint64_t generation_;
  SegmentQueue segments_;
  OpenSegments open_;
  size_t row_count_ = 0;
};

}  // namespace varve::engine
