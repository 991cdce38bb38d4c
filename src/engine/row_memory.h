#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "engine/ghost_queue.h"
#include "engine/memory_row.h"
#include "engine/memtable.h"
#include "engine/position.h"
#include "engine/row_table.h"
#include "engine/segment.h"
#include "engine/value.h"

namespace varve::engine {

// What memory has of one tree: the newest row of each of its keys that is in memory at all, be it
// newer than the tables (in a memtable) or a copy of what they have (clean).
// Threads: under the command lock; destroyed by anyone once nobody else holds it.
struct TreeRows {
  RowTable table;
  // No row that was written in a later generation has been evicted. So what was read from tables
  // that contain all generations up to this one is made complete by the rows in memory.
  uint64_t evicted_generation = 0;

  // For RowMemory.
  OpenSegments loading;  // take what is loaded next
  OpenSegments keeping;  // take what eviction spares next
  bool detached = false;
  SegmentQueue detached_segments;
};

// All rows in memory, of all trees: those that are not in tables yet, and as many of the others as
// the budget allows. A write becomes a cached row by being flushed: nothing is copied, its
// memtable's segments merely pass from the memtable to the cache.
// Source:  S3-FIFO (Yang et al., SOSP 2023) over segments instead of single rows: what comes in
//          goes through a small queue, from which only rows that were visited get into the main
//          queue; there they stay for as many rounds as they were visited, three at most. What was
//          evicted from the small queue lately is remembered (GhostQueue), and goes to the main
//          queue when it is loaded again. A hit counts a visit in the row and moves nothing.
// Threads: no lock inside, all under the command lock.
// Limits:  as MemoryRow.
class RowMemory {
 public:
  class Pin;
  enum class Known : uint8_t { kNothing, kAbsent, kLive };

  explicit RowMemory(uint64_t bytes_max);
  RowMemory(const RowMemory&) = delete;
  RowMemory& operator=(const RowMemory&) = delete;

  // Puts the row into `memtable`, which is the newest of the tree, in the place of what memory knew
  // of the key, and says what that was. `value` may be the present value itself; it is empty when
  // `is_absent`. Views of other rows stay valid.
  Known Write(TreeRows& rows, Memtable& memtable, Position position, std::string_view key,
              const Value& value, ValueType type, bool is_absent);

  // A row that was read from the tables, or (is_absent) is in none of them; memory has nothing of
  // the key. Makes room by looking at some rows to evict, but never evicts the new one. The first
  // MarkVisited() of the row counts for nothing, being the read that it was loaded for.
  Pin AddLoaded(const std::shared_ptr<TreeRows>& rows, Position position, std::string_view key,
                const Value& value, ValueType type, bool is_absent);

  // The rows of the memtable are in tables now: they may be evicted. It is empty afterwards.
  void MakeClean(Memtable& memtable);
  // The tree is not read any more. What is clean of it goes with `rows`, and counts no more.
  void Detach(TreeRows& rows);

  void SetBytesMax(uint64_t bytes_max);
  // True: EvictSome() is to be called until it answers true.
  bool has_victims() const { return !sparse_.empty() || memory_bytes() > bytes_max_; }
  // True: a segment should be made ready (Segment::NewPopulated(), which may take a millisecond:
  // not under the command lock) and added, so that no write waits for one.
  bool wants_spare() const {
    return uses_spare_ && spare_.size() < SpareMin() && memory_bytes() < bytes_max_;
  }
  void AddSpare(Segment::Pointer segment);
  // Looks at about so many rows, to get within the budget and to gather what is left of segments
  // that are mostly dead. True: there are none left.
  bool EvictSome(size_t row_count);

  // Clean rows, the tables' own memory, and what is remembered of evicted rows.
  uint64_t memory_bytes() const {
    return small_.bytes() + main_.bytes() + sparse_.bytes() + spare_.bytes() + table_bytes_ +
           ghosts_.memory_bytes();
  }
  uint64_t bytes_max() const { return bytes_max_; }
  uint64_t clean_rows() const { return clean_rows_; }  // known absences included
  uint64_t evictions() const { return evictions_; }
  void ResetStats() { evictions_ = 0; }

 private:
  // Free segments are kept to be filled again, instead of being given back and mapped anew.
  static constexpr size_t kSpareMax = 32;
  size_t SpareMin() const;

  size_t SegmentBytes() const;
  Segment* NewSegment(SegmentQueue& queue, TreeRows& rows, size_t bytes, bool huge);
  // Appends the row to one of `opens`, or to a new segment of the queue that is open from then on.
  MemoryRow* Append(SegmentQueue& queue, OpenSegments& opens, TreeRows& rows, const Row& row,
                    const Value& value, size_t capacity);
  MemoryRow* AppendTo(Memtable& memtable, TreeRows& rows, const Row& row, const Value& value,
                      size_t capacity);
  static bool Overwrite(MemoryRow& row, const Value& value);
  void NoteLinked(const MemoryRow& row);
  void NoteUnlinked(const MemoryRow& row);
  void NoteDead(Segment& segment);
  void Free(Segment& segment);
  Segment* NextVictim();
  size_t Walk(Segment& segment, size_t row_count);
  void Keep(MemoryRow& row, uint8_t visits);
  void Evict(MemoryRow& row);

  uint64_t bytes_max_;
  SegmentQueue small_;   // what came in
  SegmentQueue main_;    // what was visited since
  SegmentQueue sparse_;  // of both, mostly dead
  SegmentQueue spare_;   // free, to be used again
  bool uses_spare_ = false;
  GhostQueue ghosts_;  // of small_
  uint64_t table_bytes_ = 0;
  uint64_t clean_rows_ = 0;
  uint64_t evictions_ = 0;
};

// Keeps a clean row from eviction, though not from being superseded by a write. Movable; destroyed
// under the command lock, before the RowMemory.
class RowMemory::Pin {
 public:
  Pin(Pin&& other) noexcept
      : rows_(std::move(other.rows_)), row_(std::exchange(other.row_, nullptr)) {}
  Pin& operator=(Pin&& other) noexcept {
    std::swap(rows_, other.rows_);
    std::swap(row_, other.row_);
    return *this;
  }
  ~Pin();
  // Another one of the same row.
  Pin Clone() const { return Pin(rows_, row_); }
  const MemoryRow& row() const { return *row_; }

 private:
  friend class RowMemory;
  Pin(std::shared_ptr<TreeRows> rows, MemoryRow* row);

  std::shared_ptr<TreeRows> rows_;
  MemoryRow* row_;
};

}  // namespace varve::engine
