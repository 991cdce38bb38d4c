#include "engine/row_table.h"

#include <algorithm>
#include <utility>

#include "engine/huge_pages.h"
#include "engine/invariant.h"

namespace varve::engine {
namespace {

// The first pages are allocated one by one, so that a tree of a few rows costs little; a table that
// has grown takes slabs of a huge page each.
constexpr size_t kSinglePagesMax = 64;

}  // namespace

RowTable::RowTable() {
  Bucket* const page = NewPage();
  pages_ = {page, page};
}

RowTable::~RowTable() {
  for (size_t i = 0; i < slabs_.size(); ++i) {
    UnmapPages(slabs_[i], i < kSinglePagesMax ? kPageBytes : kHugePageBytes);
  }
}

// ---- Pages and buckets

RowTable::Bucket* RowTable::NewPage() {
  if (free_pages_.empty()) {
    if (slabs_.size() < kSinglePagesMax) {
      slabs_.push_back(MapPages(kPageBytes, kPageBytes, false));
      return static_cast<Bucket*>(slabs_.back());
    }
    slabs_.push_back(MapPages(kHugePageBytes, kHugePageBytes, true));
    for (size_t offset = kHugePageBytes; offset > 0; offset -= kPageBytes) {
      free_pages_.push_back(
          reinterpret_cast<Bucket*>(static_cast<char*>(slabs_.back()) + offset - kPageBytes));
    }
  }
  Bucket* const page = free_pages_.back();
  free_pages_.pop_back();
  return page;
}

// Gives the memory back to the system; it reads as zeros when it is used again.
void RowTable::FreePage(Bucket* page) {
  DiscardPages(page, kPageBytes);
  free_pages_.push_back(page);
}

template <typename Visit>
void RowTable::ForEachSlot(Bucket& first, Visit visit) {
  for (Bucket* bucket = &first;;) {
    for (Slot& slot : bucket->slots) {
      if (slot == 0) return;
      if (IsOverflow(slot)) break;  // the last one
      if (visit(slot)) return;
    }
    const Slot last = bucket->slots[kBucketSlots - 1];
    if (!IsOverflow(last)) return;
    bucket = OverflowOf(last);
  }
}

void RowTable::Append(Bucket& first, Slot slot) {
  Bucket* bucket = &first;
  while (IsOverflow(bucket->slots[kBucketSlots - 1])) {
    bucket = OverflowOf(bucket->slots[kBucketSlots - 1]);
  }
  for (Slot& there : bucket->slots) {
    if (there != 0) continue;
    there = slot;
    return;
  }
  if (free_overflows_.empty()) {
    Bucket* const page = NewPage();
    ++overflow_pages_;
    for (size_t i = kPageBuckets; i > 0; --i) free_overflows_.push_back(page + i - 1);
  }
  Bucket* const overflow = free_overflows_.back();
  free_overflows_.pop_back();
  Slot& last = bucket->slots[kBucketSlots - 1];
  overflow->slots[0] = last;
  overflow->slots[1] = slot;
  last = reinterpret_cast<Slot>(overflow) | kOverflow;
}

// Moves the bucket's slots to the end of `slots`.
void RowTable::TakeAll(Bucket& first, std::vector<Slot>& slots) {
  ForEachSlot(first, [&](Slot slot) {
    slots.push_back(slot);
    return false;
  });
  for (Bucket* bucket = &first; bucket != nullptr;) {
    const Slot last = bucket->slots[kBucketSlots - 1];
    *bucket = {};
    if (bucket != &first) free_overflows_.push_back(bucket);
    bucket = IsOverflow(last) ? OverflowOf(last) : nullptr;
  }
}

// ---- Looking up

MemoryRow* RowTable::Find(Position position, std::string_view key) const {
  MemoryRow* found = nullptr;
  ForEachSlot(BucketOf(position), [&](Slot slot) {
    if (!HasTag(slot, position)) return false;
    MemoryRow* const row = RowOf(slot);
    if (row->position_ == position && row->key() == key) found = row;
    return found != nullptr;
  });
  return found;
}

RowTable::Place RowTable::Locate(Position position, std::string_view key) {
  Place place;
  place.bucket_ = &BucketOf(position);
  place.slot_ = nullptr;
  place.found_ = false;
  ForEachSlot(*place.bucket_, [&](Slot& slot) {
    if (!HasTag(slot, position)) return false;
    const MemoryRow* const row = RowOf(slot);
    if (row->position_ != position || row->key() != key) return false;
    place.slot_ = &slot;
    place.found_ = true;
    return true;
  });
  return place;
}

RowTable::Place RowTable::PlaceOf(const MemoryRow* row) {
  Place place;
  place.bucket_ = &BucketOf(row->position_);
  place.slot_ = nullptr;
  ForEachSlot(*place.bucket_, [&](Slot& slot) {
    if (RowOf(slot) != row) return false;
    place.slot_ = &slot;
    return true;
  });
  INVARIANT(place.slot_ != nullptr);
  place.found_ = true;
  return place;
}

void RowTable::PrefetchRow(Position position) const {
  ForEachSlot(BucketOf(position), [&](Slot slot) {
    if (!HasTag(slot, position)) return false;
    const char* const row = reinterpret_cast<const char*>(RowOf(slot));
    __builtin_prefetch(row);
    __builtin_prefetch(row + kCacheLineBytes);
    return true;
  });
}

// ---- Changing

void RowTable::Insert(Place place, MemoryRow* row) {
  Append(*place.bucket_, SlotFor(row));
  row->SetLinked(true);
  if (++row_count_ > page_count() * kRowsPerPage) Grow();
}

void RowTable::Replace(Place place, MemoryRow* row) {
  place.row().SetLinked(false);
  *place.slot_ = SlotFor(row);
  row->SetLinked(true);
}

void RowTable::Remove(Place place) {
  place.row().SetLinked(false);
  --row_count_;
  // The last row of the bucket fills the gap.
  Bucket* before = nullptr;
  Bucket* last = place.bucket_;
  while (IsOverflow(last->slots[kBucketSlots - 1])) {
    before = last;
    last = OverflowOf(last->slots[kBucketSlots - 1]);
  }
  size_t count = 0;
  while (count < kBucketSlots && last->slots[count] != 0) ++count;
  *place.slot_ = last->slots[count - 1];
  last->slots[count - 1] = 0;
  if (before != nullptr && count == 1) {
    before->slots[kBucketSlots - 1] = 0;
    free_overflows_.push_back(last);
  }
  // With a gap to Grow(), or the same page would be split and merged for ever; two at a time, so
  // that the table has gone when the rows have.
  for (int i = 0; i < 2 && row_count_ < page_count() * kRowsPerPage / 4; ++i) Shrink();
}

// Splits page split_: its buckets, twice as many, then fill two pages.
void RowTable::Grow() {
  if (pages_.size() == 2 * split_) {
    ++depth_;
    split_ = 0;
    std::vector<Bucket*> pages(2 * pages_.size());
    for (size_t i = 0; i < pages.size(); ++i) pages[i] = pages_[i / 2];
    pages_ = std::move(pages);
  }
  Bucket* const low = pages_[2 * split_];
  Bucket* const high = NewPage();
  const Position next_bit = Position{1} << (63 - depth_ - kPageBits);
  constexpr size_t kHalf = kPageBuckets / 2;
  for (size_t i = 0; i < kPageBuckets; ++i) {
    // From the end, so that no bucket of the page is written before it has been read.
    const size_t from = kPageBuckets - 1 - i;
    if (from > 0) {
      for (const Slot slot : low[from - 1].slots) __builtin_prefetch(RowOf(slot));
    }
    Bucket* const page = from >= kHalf ? high : low;
    const size_t to = 2 * (from % kHalf);
    moved_.clear();
    TakeAll(low[from], moved_);
    for (const Slot slot : moved_) {
      Append(page[to + ((RowOf(slot)->position_ & next_bit) != 0 ? 1 : 0)], slot);
    }
  }
  pages_[2 * split_ + 1] = high;
  ++split_;
}

// Takes the last Grow() back.
void RowTable::Shrink() {
  if (split_ == 0) {
    if (depth_ == 0) return;
    --depth_;
    split_ = size_t{1} << depth_;
    std::vector<Bucket*> pages(pages_.size() / 2);
    for (size_t i = 0; i < pages.size(); ++i) pages[i] = pages_[2 * i];
    pages_ = std::move(pages);
  }
  --split_;
  Bucket* const low = pages_[2 * split_];
  Bucket* const high = pages_[2 * split_ + 1];
  constexpr size_t kHalf = kPageBuckets / 2;
  for (size_t to = 0; to < kPageBuckets; ++to) {
    Bucket* const page = to >= kHalf ? high : low;
    const size_t from = 2 * (to % kHalf);
    moved_.clear();
    TakeAll(page[from], moved_);
    TakeAll(page[from + 1], moved_);
    for (const Slot slot : moved_) Append(low[to], slot);
  }
  pages_[2 * split_ + 1] = low;
  FreePage(high);
}

// ---- Walking

void RowTable::Cursor::Seek(Position position) {
  page_ = table_.PageIndexOf(position);
  const int depth = table_.DepthAt(page_);
  bucket_ = BucketIndexOf(position, depth);
  if (depth == table_.depth_) page_ &= ~size_t{1};  // it is there twice: the first time
  while (LoadBucket()) {
    while (Valid() && rows_[next_]->position_ < position) ++next_;
    if (Valid()) break;
  }
  LoadRow();
}

void RowTable::Cursor::Next() {
  ++next_;
  LoadRow();
}

bool RowTable::Cursor::LoadBucket() {
  rows_.clear();
  next_ = 0;
  if (page_ >= table_.pages_.size()) return false;
  Bucket* const page = table_.pages_[page_];
  if (bucket_ + 1 < kPageBuckets) {
    for (const Slot slot : page[bucket_ + 1].slots) __builtin_prefetch(RowOf(slot));
  }
  ForEachSlot(page[bucket_], [&](Slot slot) {
    rows_.push_back(RowOf(slot));
    return false;
  });
  std::sort(rows_.begin(), rows_.end(), [](const MemoryRow* a, const MemoryRow* b) {
    return RowLess(a->position_, a->key(), b->position_, b->key());
  });
  if (++bucket_ == kPageBuckets) {
    bucket_ = 0;
    page_ += table_.DepthAt(page_) == table_.depth_ ? 2 : 1;
  }
  return true;
}

void RowTable::Cursor::LoadRow() {
  while (!Valid()) {
    if (!LoadBucket()) return;
  }
  row_ = rows_[next_]->row();
}

}  // namespace varve::engine
