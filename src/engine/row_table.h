#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/memory_row.h"
#include "engine/position.h"
#include "engine/row_cursor.h"

namespace varve::engine {

// The rows of one tree that are in memory, found by key and walked in the order of tables: a hash
// table whose buckets are in the order of positions, as long as its rows need.
//
//   top bits of the position -> page of 64 buckets -> bucket: [ slot | slot | ... 8 ] -> overflow
//
// A bucket is a cache line. A slot has the address of a row, and in the 16 bits that an address
// does not use the low bits of the row's position, so that looking for a key touches one bucket,
// and no row but its own. The last slot of a full bucket leads to an overflow bucket. Source:
// linear hashing (Litwin, VLDB 1980), by the top bits of the hash instead of the low ones:
//           the pages are split one after the other, so there is never a pause for rehashing.
// Owns:     its pages. The rows are in segments and belong to others.
// Threads:  no lock inside: all under the command lock.
class RowTable {
  using Slot = uint64_t;  // 0: empty; those that follow are, too
  static constexpr size_t kBucketSlots = 8;
  struct alignas(64) Bucket {
    Slot slots[kBucketSlots];
  };

 public:
  class Cursor;
  // Where a row is (found) or belongs. Valid until the next change of the table.
  class Place {
   public:
    bool found() const { return found_; }
    MemoryRow& row() const { return *RowOf(*slot_); }  // needs found()

   private:
    friend class RowTable;
    Bucket* bucket_;  // the first one, in its page
    Slot* slot_;      // of the row that was found
    bool found_;
  };

  RowTable();
  ~RowTable();
  RowTable(const RowTable&) = delete;
  RowTable& operator=(const RowTable&) = delete;

  // Null if there is none.
  MemoryRow* Find(Position position, std::string_view key) const;
  Place Locate(Position position, std::string_view key);
  Place PlaceOf(const MemoryRow* row);  // which is in the table

  // For batches: hides the cache misses of a coming Find() or Locate(). The first step for all
  // keys, then the second step for all of them.
  void PrefetchBucket(Position position) const { __builtin_prefetch(&BucketOf(position)); }
  void PrefetchRow(Position position) const;

  void Insert(Place place, MemoryRow* row);   // where nothing was found
  void Replace(Place place, MemoryRow* row);  // what was found
  void Remove(Place place);                   // likewise

  size_t row_count() const { return row_count_; }
  // Beyond what every table has from the start.
  uint64_t memory_bytes() const {
    return (page_count() - 1) * kPageBytes + overflow_pages_ * kPageBytes;
  }

 private:
  static constexpr int kPageBits = 6;
  static constexpr size_t kPageBuckets = size_t{1} << kPageBits;
  static constexpr size_t kPageBytes = kPageBuckets * sizeof(Bucket);
  // On average: one bucket in nine then overflows.
  static constexpr size_t kRowsPerPage = kPageBuckets * 5;
  static constexpr int kTagShift = 48;
  static constexpr Slot kOverflow = 1;  // rows are at even addresses
  static constexpr size_t kCacheLineBytes = 64;

  static MemoryRow* RowOf(Slot slot) {
    const Slot address = slot & ((Slot{1} << kTagShift) - 1);
    return reinterpret_cast<MemoryRow*>(address);  // NOLINT(*-int-to-ptr)
  }
  static Bucket* OverflowOf(Slot slot) {
    return reinterpret_cast<Bucket*>(slot & ~kOverflow);  // NOLINT(*-int-to-ptr)
  }
  static bool IsOverflow(Slot slot) { return (slot & kOverflow) != 0; }
  static Slot SlotFor(MemoryRow* row) {
    return (row->position_ << kTagShift) | reinterpret_cast<Slot>(row);
  }
  static bool HasTag(Slot slot, Position position) {
    return ((slot ^ (position << kTagShift)) >> kTagShift) == 0;
  }

  // Pages below split_ have been split: they have one bit more than those behind.
  int DepthAt(size_t index) const { return depth_ + (index >> 1 < split_ ? 1 : 0); }
  size_t PageIndexOf(Position position) const { return position >> (63 - depth_); }
  static size_t BucketIndexOf(Position position, int depth) {
    return (position << depth) >> (64 - kPageBits);
  }
  Bucket& BucketOf(Position position) const {
    const size_t index = PageIndexOf(position);
    return pages_[index][BucketIndexOf(position, DepthAt(index))];
  }
  size_t page_count() const { return (size_t{1} << depth_) + split_; }
  // Calls visit(slot) for each row of the bucket, until it answers true.
  template <typename Visit>
  static void ForEachSlot(Bucket& first, Visit visit);

  Bucket* NewPage();
  void FreePage(Bucket* page);
  void Append(Bucket& first, Slot slot);
  void TakeAll(Bucket& first, std::vector<Slot>& slots);
  void Grow();
  void Shrink();

  int depth_ = 0;
  size_t split_ = 0;
  std::vector<Bucket*> pages_;  // by depth_ + 1 bits; a page that is not split is there twice
  size_t row_count_ = 0;
  std::vector<void*> slabs_;  // pages come in slabs, which stay
  std::vector<Bucket*> free_pages_;
  std::vector<Bucket*> free_overflows_;
  size_t overflow_pages_ = 0;
  std::vector<Slot> moved_;  // kept for its memory
};

// Walks the rows in order. Valid until the next change of the table.
class RowTable::Cursor final : public RowCursor {
 public:
  explicit Cursor(const RowTable& table) : table_(table) {}

  void Seek(Position position) override;
  void Next() override;
  bool Valid() const override { return next_ < rows_.size(); }
  const Row& row() const override { return row_; }
  const Result<void>& status() const override { return status_; }  // never an error

 private:
  bool LoadBucket();  // false at the end of the table
  void LoadRow();

  const RowTable& table_;
  size_t page_ = 0;
  size_t bucket_ = 0;                   // of the page
  std::vector<const MemoryRow*> rows_;  // of the bucket, in order
  size_t next_ = 0;
  Row row_;
  Result<void> status_;
};

}  // namespace varve::engine
