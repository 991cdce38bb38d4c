#include "engine/row_memory.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>

#include "engine/invariant.h"

namespace varve::engine {
namespace {

// The budget is given out in about this many segments, none of them so small that it costs more to
// have than to fill.
constexpr uint64_t kSegmentsMin = 64;
constexpr uint64_t kSegmentBytesMin = 64 << 10;
// A tree of fewer rows does without huge pages, of which it would use little.
constexpr size_t kHugePagesFromRows = 32'768;
// What share of the budget is for rows that nobody has read since they came in.
constexpr uint64_t kSmallShare = 10;
// A segment is rewritten when so little of it is live, so that what is dead takes at most three
// times as much memory as what is live, and a row is copied seldom.
constexpr uint64_t kSparseShare = 4;
// How many rows one load may look at to make room for what it has brought: some microseconds.
constexpr size_t kStepsPerLoad = 64;
// How many rows ahead eviction fetches into the CPU's cache what it will touch.
constexpr size_t kPrefetchRows = 16;
// How many pinned segments are passed over in one search for a victim; the next one goes on behind.
constexpr size_t kPinnedTries = 8;

}  // namespace

RowMemory::RowMemory(uint64_t bytes_max) : bytes_max_(bytes_max) {}

void RowMemory::SetBytesMax(uint64_t bytes_max) {
  bytes_max_ = bytes_max;
  // Smaller segments from now on: spare ones would lie there for nothing.
  if (SegmentBytes() < Segment::kAlignment) uses_spare_ = false;
}

// ---- Segments

size_t RowMemory::SegmentBytes() const {
  return std::clamp(std::bit_floor(bytes_max_ / kSegmentsMin), kSegmentBytesMin,
                    uint64_t{Segment::kAlignment});
}

// At most 16 MiB, and of a small budget a small part.
size_t RowMemory::SpareMin() const {
  return std::clamp<size_t>(bytes_max_ / Segment::kAlignment / kSegmentsMin, 2, 8);
}

Segment* RowMemory::NewSegment(SegmentQueue& queue, TreeRows& rows, size_t bytes, bool huge) {
  Segment::Pointer segment;
  uses_spare_ |= huge;
  if (huge && !spare_.empty()) {
    segment = spare_.Take(*spare_.newest());
  } else {
    segment = Segment::New(bytes, huge);
  }
  segment->rows_ = &rows;
  return &queue.Add(std::move(segment));
}

MemoryRow* RowMemory::Append(SegmentQueue& queue, OpenSegments& opens, TreeRows& rows,
                             const Row& row, const Value& value, size_t capacity) {
  INVARIANT(row.key.size() <= std::numeric_limits<uint32_t>::max());
  INVARIANT(value.bytes.size() <= std::numeric_limits<uint32_t>::max());
  capacity = std::min<size_t>(capacity, std::numeric_limits<uint32_t>::max());
  const bool owned = value.owner != nullptr;
  const size_t size = MemoryRow::SizeFor(row.key.size(), capacity, owned);
  const size_t segment_bytes = SegmentBytes();
  Segment*& open = owned ? opens.owning : opens.plain;
  // What it shares with others counts, too, or a segment of large values would be a lump.
  if (open == nullptr || !open->HasRoomFor(size) || open->owned_bytes_ >= segment_bytes) {
    const size_t whole = Segment::kHeaderBytes + size;
    const bool huge = !owned && whole <= segment_bytes && segment_bytes == Segment::kAlignment &&
                      rows.table.row_count() >= kHugePagesFromRows;
    open = NewSegment(queue, rows, std::max(whole, segment_bytes), huge);
  }
  return open->Append(row.position, row.key, value, capacity, row.type, row.is_tombstone);
}

MemoryRow* RowMemory::AppendTo(Memtable& memtable, TreeRows& rows, const Row& row,
                               const Value& value, size_t capacity) {
  MemoryRow* const appended =
      Append(memtable.segments_, memtable.open_, rows, row, value, capacity);
  Segment& segment = Segment::Of(appended);
  segment.memtable_ = &memtable;
  segment.generation_ = memtable.generation_;
  return appended;
}

void RowMemory::NoteLinked(const MemoryRow& row) {
  Segment& segment = Segment::Of(&row);
  segment.live_bytes_ += row.size();
  ++segment.live_rows_;
  if (segment.memtable_ == nullptr) ++clean_rows_;
}

void RowMemory::NoteUnlinked(const MemoryRow& row) {
  Segment& segment = Segment::Of(&row);
  segment.live_bytes_ -= row.size();
  --segment.live_rows_;
  if (segment.memtable_ == nullptr) --clean_rows_;
}

// Whether there is so little left in a clean segment that it is worth while to gather it.
void RowMemory::NoteDead(Segment& segment) {
  if (segment.memtable_ != nullptr || segment.queue_ == &sparse_) return;
  if (segment.live_bytes_ * kSparseShare >= segment.used_bytes_ - Segment::kHeaderBytes) return;
  TreeRows& rows = *segment.rows_;
  if (rows.detached || rows.loading.contains(&segment) || rows.keeping.contains(&segment)) return;
  segment.walked_ = Segment::kHeaderBytes;
  sparse_.Move(segment);
}

void RowMemory::Free(Segment& segment) {
  INVARIANT(segment.live_rows_ == 0 && segment.pins_ == 0);
  Segment::Pointer freed = segment.queue_->Take(segment);
  if (!freed->huge() || spare_.size() >= kSpareMax) return;
  freed->Reset();
  spare_.Add(std::move(freed));
}

void RowMemory::AddSpare(Segment::Pointer segment) {
  if (spare_.size() < kSpareMax) spare_.Add(std::move(segment));
}

// ---- Writing

// Puts the value into the row's own memory. False: it has no room.
bool RowMemory::Overwrite(MemoryRow& row, const Value& value) {
  const size_t size = value.bytes.size();
  if (row.has_owned_value() && (value.owner != nullptr || size == 0)) {
    Segment::Of(&row).SetOwner(row, value);
    return true;
  }
  if (row.has_owned_value() || value.owner != nullptr || size > row.capacity_) return false;
  // `value` may be the present one.
  if (size > 0) std::memmove(row.payload() + row.key_bytes_, value.bytes.data(), size);
  row.value_bytes_ = static_cast<uint32_t>(size);
  return true;
}

RowMemory::Known RowMemory::Write(TreeRows& rows, Memtable& memtable, Position position,
                                  std::string_view key, const Value& value, ValueType type,
                                  bool is_absent) {
  const Row row{position, key, {}, type, is_absent};
  const RowTable::Place place = rows.table.Locate(position, key);
  if (!place.found()) {
    MemoryRow* const added = AppendTo(memtable, rows, row, value, value.bytes.size());
    ++memtable.row_count_;
    table_bytes_ -= rows.table.memory_bytes();
    rows.table.Insert(place, added);
    table_bytes_ += rows.table.memory_bytes();
    NoteLinked(*added);
    return Known::kNothing;
  }
  MemoryRow& old = place.row();
  Segment& segment = Segment::Of(&old);
  const Known known = old.is_absent() ? Known::kAbsent : Known::kLive;
  const bool same_memtable = segment.memtable_ == &memtable;
  if (same_memtable && Overwrite(old, value)) {
    old.type_ = type;
    old.SetFlag(MemoryRow::kAbsent, is_absent);
    return known;
  }
  // A value that has grown may do so again: a quarter more room, or each step would leave a copy
  // behind.
  size_t capacity = value.bytes.size();
  if (same_memtable && !old.has_owned_value()) capacity += capacity / 4;
  MemoryRow* const added = AppendTo(memtable, rows, row, value, capacity);
  added->set_visits(old.visits());
  rows.table.Replace(place, added);
  NoteUnlinked(old);
  NoteLinked(*added);
  if (same_memtable) {
    old.SetFlag(MemoryRow::kReplaced, true);
  } else {
    ++memtable.row_count_;
  }
  // A sealed memtable's flush still needs it.
  if (old.has_owned_value() && (same_memtable || segment.memtable_ == nullptr)) {
    if (segment.pins_ == 0) {
      segment.SetOwner(old, {});
    } else {
      segment.has_dead_values_ = true;  // until they have gone
    }
  }
  NoteDead(segment);
  return known;
}

// ---- The cache

RowMemory::Pin RowMemory::AddLoaded(const std::shared_ptr<TreeRows>& rows, Position position,
                                    std::string_view key, const Value& value, ValueType type,
                                    bool is_absent) {
  INVARIANT(!rows->detached);
  const RowTable::Place place = rows->table.Locate(position, key);
  INVARIANT(!place.found());
  const Row row{position, key, {}, type, is_absent};
  // What comes back soon after it was evicted should have stayed.
  const bool comes_back = ghosts_.Contains(position);
  MemoryRow* const added =
      comes_back ? Append(main_, rows->keeping, *rows, row, value, value.bytes.size())
                 : Append(small_, rows->loading, *rows, row, value, value.bytes.size());
  added->SetUnread();
  table_bytes_ -= rows->table.memory_bytes();
  rows->table.Insert(place, added);
  table_bytes_ += rows->table.memory_bytes();
  NoteLinked(*added);
  Pin pin(rows, added);
  EvictSome(kStepsPerLoad);
  return pin;
}

void RowMemory::MakeClean(Memtable& memtable) {
  while (Segment* segment = memtable.segments_.oldest()) {
    segment->memtable_ = nullptr;
    clean_rows_ += segment->live_rows_;
    small_.Move(*segment);
    segment->DropDeadValues();
    NoteDead(*segment);
  }
  memtable.row_count_ = 0;
  memtable.open_ = {};
}

void RowMemory::Detach(TreeRows& rows) {
  rows.detached = true;
  rows.loading = {};
  rows.keeping = {};
  table_bytes_ -= rows.table.memory_bytes();
  for (SegmentQueue* queue : {&small_, &main_, &sparse_}) {
    for (auto next = queue->segments().begin(); next != queue->segments().end();) {
      Segment& segment = **next++;
      if (segment.rows_ != &rows) continue;
      clean_rows_ -= segment.live_rows_;
      rows.detached_segments.Move(segment);
    }
  }
}

bool RowMemory::EvictSome(size_t row_count) {
  while (row_count > 0 && has_victims()) {
    Segment* const segment = NextVictim();
    if (segment == nullptr) return true;
    row_count -= std::min(row_count, Walk(*segment, row_count));
  }
  return !has_victims();
}

Segment* RowMemory::NextVictim() {
  const auto first_unpinned = [](SegmentQueue& queue) -> Segment* {
    for (size_t i = std::min(queue.size(), kPinnedTries); i > 0; --i) {
      Segment* const segment = queue.oldest();
      if (segment->pins_ == 0) return segment;
      segment->walked_ = Segment::kHeaderBytes;
      queue.Move(*segment);
    }
    return nullptr;
  };
  if (Segment* const sparse = first_unpinned(sparse_)) return sparse;
  const size_t spare_min = uses_spare_ ? SpareMin() : 0;
  while (spare_.size() > spare_min && memory_bytes() > bytes_max_) spare_.Take(*spare_.oldest());
  if (memory_bytes() <= bytes_max_) return nullptr;
  const bool small_first = main_.empty() || small_.bytes() > bytes_max_ / kSmallShare;
  Segment* const victim = first_unpinned(small_first ? small_ : main_);
  return victim != nullptr ? victim : first_unpinned(small_first ? main_ : small_);
}

// Goes on in the segment where the last walk has ended, and frees it at the end. Returns how many
// live rows it has looked at, at least one.
size_t RowMemory::Walk(Segment& segment, size_t row_count) {
  TreeRows& rows = *segment.rows_;
  rows.loading.Close(&segment);
  rows.keeping.Close(&segment);
  const bool sparse = segment.queue_ == &sparse_;
  const bool small = segment.queue_ == &small_;
  size_t looked_at = 0;
  MemoryRow* next = segment.At(segment.walked_);
  while (next != nullptr && segment.live_rows_ > 0 && looked_at < row_count) {
    std::array<MemoryRow*, kPrefetchRows> batch;
    size_t count = 0;
    for (; next != nullptr && count < batch.size(); next = segment.After(next)) {
      if (!next->is_linked()) continue;  // passed at the speed of memory: not counted
      rows.table.PrefetchBucket(next->position());
      if (small) ghosts_.Prefetch(next->position());
      batch[count++] = next;
    }
    looked_at += count;
    for (size_t i = 0; i < count; ++i) rows.table.PrefetchRow(batch[i]->position());
    for (size_t i = 0; i < count; ++i) {
      MemoryRow& row = *batch[i];
      if (sparse) {
        Keep(row, row.visits());
      } else if (row.visits() > 0) {
        Keep(row, row.visits() - 1);
      } else {
        Evict(row);
      }
    }
  }
  if (next != nullptr && segment.live_rows_ > 0) {
    segment.walked_ = segment.OffsetOf(next);
  } else {
    Free(segment);
  }
  return std::max<size_t>(looked_at, 1);
}

void RowMemory::Keep(MemoryRow& row, uint8_t visits) {
  Segment& segment = Segment::Of(&row);
  TreeRows& rows = *segment.rows_;
  MemoryRow* const kept =
      Append(main_, rows.keeping, rows, row.row(), row.value(), row.value_bytes_);
  kept->set_visits(visits);
  uint64_t& generation = Segment::Of(kept).generation_;
  generation = std::max(generation, segment.generation_);
  rows.table.Replace(rows.table.PlaceOf(&row), kept);
  NoteUnlinked(row);
  NoteLinked(*kept);
}

void RowMemory::Evict(MemoryRow& row) {
  const Segment& segment = Segment::Of(&row);
  TreeRows& rows = *segment.rows_;
  if (segment.queue_ == &small_) {
    ghosts_.FitTo(clean_rows_);
    ghosts_.Add(row.position());
  }
  table_bytes_ -= rows.table.memory_bytes();
  rows.table.Remove(rows.table.PlaceOf(&row));
  table_bytes_ += rows.table.memory_bytes();
  NoteUnlinked(row);
  rows.evicted_generation = std::max(rows.evicted_generation, segment.generation_);
  ++evictions_;
}

// ---- Pins

RowMemory::Pin::Pin(std::shared_ptr<TreeRows> rows, MemoryRow* row)
    : rows_(std::move(rows)), row_(row) {
  ++Segment::Of(row_).pins_;
}

RowMemory::Pin::~Pin() {
  if (row_ == nullptr) return;
  Segment& segment = Segment::Of(row_);
  if (--segment.pins_ == 0 && segment.has_dead_values_) segment.DropDeadValues();
}

}  // namespace varve::engine
