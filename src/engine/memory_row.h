#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "engine/position.h"
#include "engine/row.h"
#include "engine/value.h"

namespace varve::engine {

// A row in memory, in a Segment (row_memory.h). Bytes behind it: the key, then room for the value;
// or, for a value with an owner, an OwnedValue, then the key. Its size is the cost of holding a
// small row. Threads: changes under the command lock. What a sealed memtable's flush reads without
// the lock
//          (all but the marks) is constant from the seal on; marks are atomic.
// Limits:  key and value below 4 GiB each.
class MemoryRow {
 public:
  struct OwnedValue {  // a value that is shared with others, and the bytes of it that count
    const char* data = nullptr;
    std::shared_ptr<const std::string> owner;
  };

  Position position() const { return position_; }
  std::string_view key() const { return {key_data(), key_bytes_}; }
  // The key is known to have no value: it was deleted, or a load has found nothing.
  bool is_absent() const { return (flags_ & kAbsent) != 0; }
  ValueType type() const { return type_; }
  std::string_view value_bytes() const {  // empty when absent
    return {has_owned_value() ? owned().data : payload() + key_bytes_, value_bytes_};
  }
  Value value() const {  // with its owner, if it has one
    if (!has_owned_value()) return {value_bytes(), nullptr};
    return {value_bytes(), owned().owner};
  }
  Row row() const { return {position_, key(), value_bytes(), type_, is_absent()}; }

  // A read that the cache should remember: not the one that the row was loaded for, and not that of
  // a command that runs `again`. Hot rows are at the top already: their lines stay clean.
  void MarkVisited(bool again = false) const {
    const uint8_t marks = marks_.load(std::memory_order_relaxed);
    if ((marks & kUnread) != 0) {
      marks_.store(marks & ~kUnread, std::memory_order_relaxed);
    } else if (!again && (marks & kVisitsMask) != kVisitsMask) {
      marks_.store(marks + 1, std::memory_order_relaxed);
    }
  }

 private:
  friend class RowTable;
  friend class RowMemory;
  friend class Memtable;
  friend class Segment;

  static constexpr uint8_t kAbsent = 1;
  static constexpr uint8_t kOwnedValue = 2;
  static constexpr uint8_t kReplaced = 4;  // by a row of the same memtable: not to be flushed
  static constexpr uint8_t kVisitsMask = 3;
  static constexpr uint8_t kLinked = 4;  // in the table, so it is the newest of its key
  static constexpr uint8_t kUnread = 8;  // loaded for a read that is still to come

  MemoryRow() = default;
  bool has_owned_value() const { return (flags_ & kOwnedValue) != 0; }
  bool is_replaced() const { return (flags_ & kReplaced) != 0; }
  bool is_linked() const { return (marks_.load(std::memory_order_relaxed) & kLinked) != 0; }
  void SetFlag(uint8_t flag, bool on) {
    flags_ = static_cast<uint8_t>(on ? flags_ | flag : flags_ & ~flag);
  }
  void SetLinked(bool linked) {
    const uint8_t others = marks_.load(std::memory_order_relaxed) & ~kLinked;
    marks_.store(linked ? others | kLinked : others, std::memory_order_relaxed);
  }
  void SetUnread() {
    marks_.store(marks_.load(std::memory_order_relaxed) | kUnread, std::memory_order_relaxed);
  }
  uint8_t visits() const { return marks_.load(std::memory_order_relaxed) & kVisitsMask; }
  void set_visits(uint8_t visits) {
    marks_.store((marks_.load(std::memory_order_relaxed) & kLinked) | visits,
                 std::memory_order_relaxed);
  }
  char* payload() const { return reinterpret_cast<char*>(const_cast<MemoryRow*>(this) + 1); }
  char* key_data() const { return payload() + (has_owned_value() ? sizeof(OwnedValue) : 0); }
  OwnedValue& owned() const { return *std::launder(reinterpret_cast<OwnedValue*>(payload())); }

  static size_t SizeFor(size_t key_bytes, size_t capacity, bool owned) {
    const size_t size = sizeof(MemoryRow) + key_bytes + (owned ? sizeof(OwnedValue) : capacity);
    return (size + alignof(MemoryRow) - 1) & ~(alignof(MemoryRow) - 1);
  }
  size_t size() const { return SizeFor(key_bytes_, capacity_, has_owned_value()); }

  Position position_;
  uint32_t key_bytes_;
  uint32_t value_bytes_;
  uint32_t capacity_;  // room for the value behind the key; 0 when it is owned
  ValueType type_;
  uint8_t flags_;
  mutable std::atomic<uint8_t> marks_;
};

static_assert(sizeof(MemoryRow) == 24);

}  // namespace varve::engine
