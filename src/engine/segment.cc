#include "engine/segment.h"

#include <cstring>
#include <new>
#include <utility>

#include "engine/huge_pages.h"
#include "engine/invariant.h"

namespace varve::engine {
namespace {

constexpr size_t kPageBytes = 4096;

// What holding on to `owner` keeps in memory.
uint64_t OwnerBytes(const std::shared_ptr<const std::string>& owner) {
  return owner == nullptr ? 0 : owner->capacity() + sizeof(std::string);
}

}  // namespace

const size_t Segment::kHeaderBytes =
    (sizeof(Segment) + alignof(MemoryRow) - 1) & ~(alignof(MemoryRow) - 1);

Segment::Segment(size_t mapped_bytes, bool huge)
    : mapped_bytes_(mapped_bytes), huge_(huge), used_bytes_(kHeaderBytes), walked_(kHeaderBytes) {}

Segment::~Segment() {
  for (MemoryRow* row : owned_) std::destroy_at(&row->owned());
}

Segment::Pointer Segment::New(size_t bytes, bool huge) {
  const size_t mapped = (bytes + kPageBytes - 1) & ~(kPageBytes - 1);
  return Pointer(new (MapPages(mapped, kAlignment, huge)) Segment(mapped, huge));
}

Segment::Pointer Segment::NewPopulated() {
  Pointer segment = New(kAlignment, true);
  PopulatePages(segment.get(), kAlignment);
  return segment;
}

void Segment::Deleter::operator()(Segment* segment) const {
  const size_t mapped_bytes = segment->mapped_bytes_;
  segment->~Segment();
  UnmapPages(segment, mapped_bytes);
}

void Segment::Reset() {
  INVARIANT(queue_ == nullptr && pins_ == 0);
  const size_t mapped_bytes = mapped_bytes_;
  const bool huge = huge_;
  this->~Segment();
  new (this) Segment(mapped_bytes, huge);
}

void Segment::Charge(int64_t bytes) {
  if (queue_ != nullptr) queue_->bytes_ += static_cast<uint64_t>(bytes);
}

MemoryRow* Segment::Append(Position position, std::string_view key, const Value& value,
                           size_t capacity, ValueType type, bool is_absent) {
  const bool owned = value.owner != nullptr;
  auto* row = new (reinterpret_cast<char*>(this) + used_bytes_) MemoryRow;
  row->position_ = position;
  row->key_bytes_ = static_cast<uint32_t>(key.size());
  row->value_bytes_ = static_cast<uint32_t>(value.bytes.size());
  row->capacity_ = owned ? 0 : static_cast<uint32_t>(capacity);
  row->type_ = type;
  row->flags_ = static_cast<uint8_t>((is_absent ? MemoryRow::kAbsent : 0) |
                                     (owned ? MemoryRow::kOwnedValue : 0));
  row->marks_.store(0, std::memory_order_relaxed);
  if (!key.empty()) std::memcpy(row->key_data(), key.data(), key.size());
  const size_t size = row->size();
  used_bytes_ += size;
  INVARIANT(used_bytes_ <= mapped_bytes_);
  if (!huge_) Charge(static_cast<int64_t>(size));
  if (owned) {
    owned_.push_back(row);
    new (row->payload()) MemoryRow::OwnedValue;
    SetOwner(*row, value);
  } else if (!value.bytes.empty()) {
    std::memcpy(row->payload() + key.size(), value.bytes.data(), value.bytes.size());
  }
  return row;
}

void Segment::SetOwner(MemoryRow& row, const Value& value) {
  MemoryRow::OwnedValue& owned = row.owned();
  const uint64_t before = OwnerBytes(owned.owner);
  const uint64_t after = OwnerBytes(value.owner);
  owned.data = value.owner == nullptr ? nullptr : value.bytes.data();
  owned.owner = value.owner;
  row.value_bytes_ = value.owner == nullptr ? 0 : static_cast<uint32_t>(value.bytes.size());
  owned_bytes_ += after - before;
  Charge(static_cast<int64_t>(after - before));
}

void Segment::DropDeadValues() {
  for (MemoryRow* row : owned_) {
    if (!row->is_linked()) SetOwner(*row, {});
  }
  has_dead_values_ = false;
}

Segment& SegmentQueue::Add(Segment::Pointer segment) {
  Segment& added = *segment;
  INVARIANT(added.queue_ == nullptr);
  segments_.push_back(std::move(segment));
  added.queue_ = this;
  added.place_ = std::prev(segments_.end());
  bytes_ += added.bytes();
  return added;
}

Segment::Pointer SegmentQueue::Take(Segment& segment) {
  INVARIANT(segment.queue_ == this);
  Segment::Pointer taken = std::move(*segment.place_);
  segments_.erase(segment.place_);
  segment.queue_ = nullptr;
  bytes_ -= segment.bytes();
  return taken;
}

void SegmentQueue::Move(Segment& segment) {
  SegmentQueue& from = *segment.queue_;
  segments_.splice(segments_.end(), from.segments_, segment.place_);
  from.bytes_ -= segment.bytes();
  bytes_ += segment.bytes();
  segment.queue_ = this;
}

}  // namespace varve::engine
