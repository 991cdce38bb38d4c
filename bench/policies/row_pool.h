#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "parts/rows.h"

namespace varve::bench {

// The rows of a policy that keeps them one by one, in linked lists. A key leads to its row by a
// plain array, which no server can have: what a policy costs here is the least that it could cost.
class RowPool {
 public:
  using Index = uint32_t;
  static constexpr Index kNone = std::numeric_limits<Index>::max();

  struct Entry {
    uint32_t key = 0;
    Index newer = kNone;
    Index older = kNone;
    uint8_t visits = 0;
    std::array<char, kKeyBytes + kValueBytes> bytes{};
  };

  // A doubly linked list, newest first.
  class List {
   public:
    explicit List(RowPool& pool) : pool_(pool) {}
    void AddNewest(Index index);
    void Remove(Index index);
    Index oldest() const { return oldest_; }
    size_t size() const { return size_; }

   private:
    RowPool& pool_;
    Index newest_ = kNone;
    Index oldest_ = kNone;
    size_t size_ = 0;
  };

  RowPool(uint32_t key_count, size_t capacity) : index_of_(key_count, kNone), entries_(capacity) {
    for (size_t i = capacity; i > 0; --i) free_.push_back(static_cast<Index>(i - 1));
  }

  Index Find(uint32_t key) const { return index_of_[key]; }
  Entry& operator[](Index index) { return entries_[index]; }
  bool is_full() const { return free_.empty(); }
  Index Add(uint32_t key) {
    const Index index = free_.back();
    free_.pop_back();
    Entry& entry = entries_[index];
    entry.key = key;
    entry.visits = 0;
    std::memcpy(entry.bytes.data() + kKeyBytes, values_.Next().data(), kValueBytes);
    index_of_[key] = index;
    return index;
  }
  void Remove(Index index) {
    index_of_[entries_[index].key] = kNone;
    free_.push_back(index);
  }

 private:
  std::vector<Index> index_of_;
  std::vector<Entry> entries_;
  std::vector<Index> free_;
  Values values_;
};

inline void RowPool::List::AddNewest(Index index) {
  Entry& entry = pool_[index];
  entry.newer = kNone;
  entry.older = newest_;
  (newest_ == kNone ? oldest_ : pool_[newest_].newer) = index;
  newest_ = index;
  ++size_;
}

inline void RowPool::List::Remove(Index index) {
  const Entry& entry = pool_[index];
  (entry.newer == kNone ? newest_ : pool_[entry.newer].older) = entry.older;
  (entry.older == kNone ? oldest_ : pool_[entry.older].newer) = entry.newer;
  --size_;
}

}  // namespace varve::bench
