#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/memory_row.h"
#include "engine/position.h"
#include "engine/value.h"

namespace varve::engine {

class Segment;
class SegmentQueue;
struct TreeRows;

// The segments of a queue that take what comes next. What is shared with others has one of its own,
// which is full when it shares enough, though it has hardly a row.
struct OpenSegments {
  Segment* plain = nullptr;
  Segment* owning = nullptr;  // rows whose values have an owner
  bool contains(const Segment* segment) const { return segment == plain || segment == owning; }
  void Close(const Segment* segment) {
    if (segment == plain) plain = nullptr;
    if (segment == owning) owning = nullptr;
  }
};

// A piece of memory that rows are appended to, and that is given back as a whole. It starts at a
// multiple of kAlignment and its rows start within as much, so a row's address leads to it.
// Owns:    what its rows share with others (values with an owner).
// Threads: under the command lock; of a sealed memtable anyone may walk the rows.
class Segment {
 public:
  static constexpr size_t kAlignment = size_t{2} << 20;  // a huge page, where there are any

  struct Deleter {
    void operator()(Segment* segment) const;
  };
  using Pointer = std::unique_ptr<Segment, Deleter>;

  // Of so many bytes, header included: kAlignment at most, unless it is for one larger row. `huge`:
  // all of it will be used soon, so it may take a huge page.
  static Pointer New(size_t bytes, bool huge);
  static const size_t kHeaderBytes;
  static Segment& Of(const MemoryRow* row) {
    const uintptr_t address = reinterpret_cast<uintptr_t>(row) & ~(kAlignment - 1);
    return *reinterpret_cast<Segment*>(address);  // NOLINT(*-int-to-ptr)
  }
  // One that can be filled without waiting for the system to clear its memory.
  static Pointer NewPopulated();
  // As it was when it was new.
  void Reset();

  // Never behind one larger row, where a row's address would lead to something else.
  bool HasRoomFor(size_t row_bytes) const {
    return used_bytes_ < kAlignment && row_bytes <= mapped_bytes_ - used_bytes_;
  }
  // Needs room for it. `capacity`: bytes of room for the value, at least what it has.
  MemoryRow* Append(Position position, std::string_view key, const Value& value, size_t capacity,
                    ValueType type, bool is_absent);
  void SetOwner(MemoryRow& row, const Value& value);
  // Lets go of the values with an owner of the rows that are not linked any more.
  void DropDeadValues();

  // The rows as they were appended, those that count no more too: from the first one, null behind
  // the last.
  MemoryRow* first() { return At(kHeaderBytes); }
  MemoryRow* After(const MemoryRow* row) { return At(OffsetOf(row) + row->size()); }

  // What it takes of the machine's memory.
  uint64_t bytes() const { return (huge_ ? mapped_bytes_ : used_bytes_) + owned_bytes_; }
  bool huge() const { return huge_; }

 private:
  friend class SegmentQueue;
  friend class RowMemory;
  friend class Memtable;

  Segment(size_t mapped_bytes, bool huge);
  ~Segment();
  MemoryRow* At(size_t offset) {
    if (offset >= used_bytes_) return nullptr;
    return reinterpret_cast<MemoryRow*>(reinterpret_cast<char*>(this) + offset);
  }
  size_t OffsetOf(const MemoryRow* row) const {
    return static_cast<size_t>(reinterpret_cast<const char*>(row) -
                               reinterpret_cast<const char*>(this));
  }
  void Charge(int64_t bytes);

  const size_t mapped_bytes_;
  const bool huge_;
  size_t used_bytes_;
  uint64_t owned_bytes_ = 0;
  std::vector<MemoryRow*> owned_;  // rows whose OwnedValue is to be destroyed; some of them empty

  SegmentQueue* queue_ = nullptr;
  std::list<Pointer>::iterator place_;  // in it

  // For RowMemory.
  TreeRows* rows_ = nullptr;        // whose table has its linked rows
  const void* memtable_ = nullptr;  // that it belongs to until that is flushed
  uint64_t generation_ = 0;         // the newest that one of its rows was written in; 0: loaded
  uint64_t live_bytes_ = 0;         // of the rows that are linked
  size_t live_rows_ = 0;
  size_t pins_ = 0;
  bool has_dead_values_ = false;  // of rows that were superseded under pins
  size_t walked_ = 0;             // eviction has come to this offset
};

// Segments in an order, oldest first. Threads: as Segment.
class SegmentQueue {
 public:
  SegmentQueue() = default;
  SegmentQueue(const SegmentQueue&) = delete;
  SegmentQueue& operator=(const SegmentQueue&) = delete;

  bool empty() const { return segments_.empty(); }
  size_t size() const { return segments_.size(); }
  uint64_t bytes() const { return bytes_; }
  Segment* oldest() const { return segments_.empty() ? nullptr : segments_.front().get(); }
  Segment* newest() const { return segments_.empty() ? nullptr : segments_.back().get(); }
  const std::list<Segment::Pointer>& segments() const { return segments_; }

  Segment& Add(Segment::Pointer segment);  // as the newest
  Segment::Pointer Take(Segment& segment);
  // Makes it the newest of this queue, wherever it has been.
  void Move(Segment& segment);

 private:
  friend class Segment;
  std::list<Segment::Pointer> segments_;
  uint64_t bytes_ = 0;
};

}  // namespace varve::engine
