#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/position.h"
#include "engine/tree_id.h"
#include "engine/value.h"

namespace varve::engine {

// Rows that were read from tables, and keys that are known to be in none, up to a number of bytes.
// Source:  SIEVE (Zhang et al., NSDI 2024): a queue in the order of insertion, and a hand that goes
//          from the oldest to the newest, takes the rows that were not visited since it last came
//          by, and spares the others once. A hit sets one bit; a scan of cold rows passes through
//          without moving the hot ones.
// Owns:    one allocation of its own size for each row; of a value with an owner a share in it.
// Lifetime: a row stays until it is evicted, erased or replaced; if it is pinned then, until the
//          last pin is gone (it is not found any more, but its bytes stay).
// Threads: no lock inside; pins too are made and destroyed under the command lock.
// Limits:  key and value below 4 GiB each, tree ids below 2^48.
class RowCache {
 public:
  class Row;
  class Pin;

  explicit RowCache(uint64_t bytes_max);
  ~RowCache();  // all pins are gone
  RowCache(const RowCache&) = delete;
  RowCache& operator=(const RowCache&) = delete;

  // What is known of `key`, null for nothing. Counts as a hit and as a visit.
  const Row* Find(TreeId tree, Position position, std::string_view key);
  // As Find(), leaving no trace.
  const Row* Peek(TreeId tree, Position position, std::string_view key) const;

  // For batches, as Memtable's: the first for all keys, then the second for all of them.
  void PrefetchBucket(TreeId tree, Position position) const;
  void PrefetchRow(TreeId tree, Position position) const;

  // Replaces what was known of `key`, then evicts as EvictSome() does, but never the new row. A
  // value of kSharedValueBytes or more with an owner is shared, all others are copied.
  const Row* Insert(TreeId tree, Position position, std::string_view key, const Value& value,
                    ValueType type);
  const Row* InsertAbsent(TreeId tree, Position position, std::string_view key);
  // For writes: what was known of `key` holds no more. Says what that was. The row's memory stays
  // for the next Insert() of the key, which usually comes with the flush of that write and has a
  // value of the same size; until then it is the first to be evicted.
  enum class Known { kNothing, kAbsent, kLive };
  Known Erase(TreeId tree, Position position, std::string_view key);

  // Keeps `row` from eviction until the pin is destroyed.
  Pin MakePin(const Row* row);

  // The new budget holds at once for what is inserted; what is too much goes step by step, by this
  // call, by each Insert(), and by EvictSome().
  void SetBytesMax(uint64_t bytes_max);
  // Looks at up to `row_count_max` rows for some to evict. True: it is within the budget now, or
  // empty. The work of one call is bounded: when nearly all rows were visited, the cache may exceed
  // its budget for a while, by a few percent.
  bool EvictSome(size_t row_count_max);

  // Rows with what the allocator really takes for them, owned values, and the hash table.
  uint64_t memory_bytes() const { return row_bytes_ + table_bytes(); }
  uint64_t bytes_max() const { return bytes_max_; }
  bool is_full() const { return memory_bytes() >= bytes_max_; }
  uint64_t row_count() const { return row_count_ - erased_count_; }  // known absences included
  uint64_t hits() const { return hits_; }
  uint64_t evictions() const { return evictions_; }
  void ResetStats();

 private:
  friend class Pin;
  // The table is a linear hash: it grows and shrinks by one bucket at a time, so there is never a
  // pause for rehashing. Its buckets are in segments of this size, which never move.
  static constexpr size_t kSegmentBuckets = 4096;
  struct OwnedValue;
  struct Segment {
    Row* buckets[kSegmentBuckets] = {};
  };

  Row*& BucketAt(size_t index) const;
  Row*& BucketOf(uint64_t hash) const;
  // The link that points to the row, in its bucket; null if there is none.
  Row** FindLink(TreeId tree, Position position, std::string_view key) const;
  void Grow();
  void Shrink();
  void FitTable();
  uint64_t table_bytes() const { return segments_.size() * sizeof(Segment); }

  Row* InsertRow(TreeId tree, Position position, std::string_view key, const Value& value,
                 ValueType type, bool is_absent);
  static bool Overwrite(Row& row, const Value& value);
  Row* NewRow(TreeId tree, Position position, std::string_view key, const Value& value);
  void Remove(Row** link);  // out of table and queue; frees it if it is not pinned
  void Free(Row* row);
  static uint64_t BytesOf(const Row* row);
  void Unpin(Row* row);

  uint64_t bytes_max_;
  std::vector<std::unique_ptr<Segment>> segments_;
  size_t bucket_count_ = kSegmentBuckets;
  Row* newest_ = nullptr;
  Row* oldest_ = nullptr;
  Row* hand_ = nullptr;  // null: at the oldest
  std::unordered_map<const Row*, uint64_t> pins_;
  uint64_t row_bytes_ = 0;     // pinned rows that are not in the table any more included
  uint64_t row_count_ = 0;     // in the table
  uint64_t erased_count_ = 0;  // of those: erased, not found any more
  uint64_t hits_ = 0;
  uint64_t evictions_ = 0;
};

// Bytes behind it: the key, then the value; or, for a value with an owner, an OwnedValue, then the
// key. Its size is the cost of caching a small row, hence the packing; pins are rare, and counted
// in a map outside.
class RowCache::Row {
 public:
  bool is_absent() const { return is_absent_; }
  ValueType type() const { return static_cast<ValueType>(type_); }
  std::string_view key() const;
  std::string_view value_bytes() const;  // empty when absent
  Value value() const;                   // with its owner, if it has one

 private:
  friend class RowCache;
  Row() = default;
  char* payload() const { return reinterpret_cast<char*>(const_cast<Row*>(this) + 1); }
  OwnedValue& owned() const;
  char* key_data() const;
  uint64_t hash() const;

  Row* next_in_bucket_ = nullptr;
  Row* newer_ = nullptr;
  Row* older_ = nullptr;
  Position position_ = 0;
  uint64_t tree_ : 48 = 0;
  uint64_t type_ : 8 = 0;
  uint64_t is_absent_ : 1 = 0;
  uint64_t has_owned_value_ : 1 = 0;
  uint64_t visited_ : 1 = 0;
  uint64_t pinned_ : 1 = 0;
  uint64_t in_table_ : 1 = 0;
  uint64_t is_erased_ : 1 = 0;
  uint32_t key_bytes_ = 0;
  uint32_t value_bytes_ = 0;
};

// Movable; destroyed under the command lock, before the cache.
class RowCache::Pin {
 public:
  Pin(Pin&& other) noexcept : cache_(other.cache_), row_(std::exchange(other.row_, nullptr)) {}
  Pin& operator=(Pin&& other) noexcept {
    std::swap(cache_, other.cache_);
    std::swap(row_, other.row_);
    return *this;
  }
  ~Pin() {
    if (row_ != nullptr) cache_->Unpin(row_);
  }
  const Row& row() const { return *row_; }

 private:
  friend class RowCache;
  Pin(RowCache* cache, Row* row) : cache_(cache), row_(row) {}

  RowCache* cache_;
  Row* row_;
};

}  // namespace varve::engine
