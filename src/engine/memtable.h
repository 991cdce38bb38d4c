#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/arena.h"
#include "engine/position.h"
#include "engine/row.h"
#include "engine/row_cursor.h"
#include "engine/value.h"

namespace varve::engine {

// The newest rows of a tree, in memory: as fast as a hash table, and in the order of tables.
//
//   buckets   [ top bits of the position = 0 | 1 | 2 | ... ]
//                  |                       |
//                entry -> entry            entry     chains sorted by (position, key), 1-2 long
//
// The buckets are pages that the kernel gives when they are first touched, so that an unused
// memtable costs nothing. Entries are in an arena that goes as a whole.
// Owns:     copies of keys and values; of a value with an owner (value.h) a share in it.
// Lifetime: entries stay where they are until the memtable goes, except that Upsert() of the same
//           key may change or replace one.
// Threads:  no lock inside. Upsert() and the marks are for who holds the command lock; once the
//           memtable is sealed (no Upsert() any more), anyone may read it, marks included.
// Limits:   key and value below 4 GiB each.
class Memtable {
 public:
  class Entry;
  class Cursor;

  enum class Previous : uint8_t { kNone, kLive, kTombstone };
  struct Upserted {
    Previous previous;   // what the key had in this memtable
    const Entry* entry;  // what it has now
  };

  // `expected_bytes`: memory_bytes() when full. More only makes the chains longer.
  explicit Memtable(size_t expected_bytes);
  ~Memtable();
  Memtable(const Memtable&) = delete;
  Memtable& operator=(const Memtable&) = delete;

  // The row of `key`, a tombstone too; null if there is none.
  const Entry* Find(Position position, std::string_view key) const;

  // Inserts the row, or overwrites the one that `key` has: in place if the value fits. `value` may
  // be the present value itself; it is empty for a tombstone. The row is then marked as not read;
  // whether it is marked as unsettled stays as it was, and is false for a new one.
  Upserted Upsert(Position position, std::string_view key, const Value& value, ValueType type,
                  bool is_tombstone);

  // For batches: hides the two cache misses of a coming Find() or Upsert(). Call the first for all
  // keys, then the second for all of them.
  void PrefetchBucket(Position position) const { __builtin_prefetch(&BucketOf(position)); }
  void PrefetchEntry(Position position) const { __builtin_prefetch(BucketOf(position)); }

  // All that it holds: arena, owned values, touched pages of buckets (an estimate from above).
  size_t memory_bytes() const;
  size_t row_count() const { return row_count_; }  // tombstones included
  bool empty() const { return row_count_ == 0; }

  std::unique_ptr<RowCursor> NewCursor() const;  // see Cursor

 private:
  struct OwnedValue;

  Entry*& BucketOf(Position position) const { return buckets_[position >> bucket_shift_]; }
  Entry* NewEntry(Position position, std::string_view key, const Value& value,
                  size_t value_capacity);
  void Overwrite(Entry** link, const Value& value);
  void SetOwner(OwnedValue& owned, const Value& value);

  const size_t bucket_count_;  // a power of two
  const int bucket_shift_;
  Entry** const buckets_;
  Arena arena_;
  std::vector<OwnedValue*> owned_;  // to be destroyed; some of them empty
  size_t owned_bytes_ = 0;
  size_t row_count_ = 0;
};

// A row in a memtable. Bytes behind it: the key, then room for the value; or, for a value with an
// owner, an OwnedValue, then the key.
class Memtable::Entry {
 public:
  Position position() const { return position_; }
  std::string_view key() const;
  std::string_view value_bytes() const;
  Value value() const;  // with its owner, if it has one
  ValueType type() const { return type_; }
  bool is_tombstone() const { return is_tombstone_; }
  Row row() const { return {position_, key(), value_bytes(), type_, is_tombstone_}; }

  // Marks change under the command lock, in sealed memtables too, while others read the row.
  // Read: since it was written last (a flush hands such rows to the row cache).
  bool read() const { return Marked(kRead); }
  void MarkRead() const { SetMark(kRead, true); }
  // Unsettled: it is not known yet whether the key existed below this memtable.
  bool unsettled() const { return Marked(kUnsettled); }
  void SetUnsettled(bool unsettled) const { SetMark(kUnsettled, unsettled); }

 private:
  friend class Memtable;
  friend class Memtable::Cursor;
  static constexpr uint8_t kRead = 1;
  static constexpr uint8_t kUnsettled = 2;

  bool Marked(uint8_t mark) const { return (marks_.load(std::memory_order_relaxed) & mark) != 0; }
  void SetMark(uint8_t mark, bool on) const {
    // No atomic read-modify-write: only the holder of the command lock writes.
    const uint8_t marks = marks_.load(std::memory_order_relaxed);
    const auto changed = static_cast<uint8_t>(on ? marks | mark : marks & ~mark);
    // Most reads find the mark set: the cache line of a hot row then stays clean.
    if (changed != marks) marks_.store(changed, std::memory_order_relaxed);
  }
  char* payload() const { return reinterpret_cast<char*>(const_cast<Entry*>(this) + 1); }
  char* key_data() const;
  OwnedValue& owned() const;

  Entry* next_;
  Position position_;
  uint32_t key_bytes_;
  uint32_t value_bytes_;
  uint32_t value_capacity_;  // 0 when has_owned_value_
  ValueType type_;
  bool is_tombstone_;
  bool has_owned_value_;
  mutable std::atomic<uint8_t> marks_;
};

// Walks the rows in order, for SCAN and flush.
// Lifetime: the memtable outlives it; after an Upsert() it must Seek() again.
class Memtable::Cursor final : public RowCursor {
 public:
  explicit Cursor(const Memtable& memtable) : memtable_(memtable) {}

  void Seek(Position position) override;
  void Next() override;
  bool Valid() const override { return entry_ != nullptr; }
  const Row& row() const override { return row_; }
  const Result<void>& status() const override { return status_; }  // never an error
  const Entry& entry() const { return *entry_; }                   // needs Valid()

 private:
  void LoadRow();  // of entry_, or of the first one of the buckets behind it

  const Memtable& memtable_;
  size_t bucket_ = 0;
  const Entry* entry_ = nullptr;
  Row row_;
  Result<void> status_;
};

}  // namespace varve::engine
