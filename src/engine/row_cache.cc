#include "engine/row_cache.h"

#include <malloc.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <new>
#include <string>

#include "engine/invariant.h"

namespace varve::engine {

// A value that is shared with others, and the bytes of it that count.
struct RowCache::OwnedValue {
  const char* data;
  std::shared_ptr<const std::string> owner;
};

namespace {

// How many rows one insertion may look at to make room: some microseconds. When all rows were
// visited, the hand needs one insertion for each so many rows to come around; the cache grows by a
// row meanwhile, so it exceeds its budget by 1/64 at most.
constexpr size_t kStepsPerInsert = 64;
constexpr size_t kStepsPerBudgetChange = 1024;

// Trees are told apart by bits that positions do not have in common: a key has the same position in
// all databases.
uint64_t HashOf(TreeId tree, Position position) { return position ^ tree * 0x9E3779B97F4A7C15; }

}  // namespace

static_assert(sizeof(RowCache::Row) == 48);

RowCache::RowCache(uint64_t bytes_max) : bytes_max_(bytes_max) {
  segments_.push_back(std::make_unique<Segment>());
}

RowCache::~RowCache() {
  INVARIANT(pins_.empty());
  while (oldest_ != nullptr) Free(std::exchange(oldest_, oldest_->newer_));
}

RowCache::OwnedValue& RowCache::Row::owned() const {
  return *std::launder(reinterpret_cast<OwnedValue*>(payload()));
}

char* RowCache::Row::key_data() const {
  return payload() + (has_owned_value_ ? sizeof(OwnedValue) : 0);
}

std::string_view RowCache::Row::key() const { return {key_data(), key_bytes_}; }

std::string_view RowCache::Row::value_bytes() const {
  return {has_owned_value_ ? owned().data : payload() + key_bytes_, value_bytes_};
}

Value RowCache::Row::value() const {
  if (!has_owned_value_) return {value_bytes(), nullptr};
  return {value_bytes(), owned().owner};
}

uint64_t RowCache::Row::hash() const { return HashOf(tree_, position_); }

// ---- The table

RowCache::Row*& RowCache::BucketAt(size_t index) const {
  return segments_[index / kSegmentBuckets]->buckets[index % kSegmentBuckets];
}

RowCache::Row*& RowCache::BucketOf(uint64_t hash) const {
  // Buckets behind the last one are not split off yet: their rows are in the one that they will be
  // split from, which has the same number without its top bit.
  const size_t mask = std::bit_ceil(bucket_count_) - 1;
  const size_t index = hash & mask;
  return BucketAt(index < bucket_count_ ? index : index & (mask >> 1));
}

RowCache::Row** RowCache::FindLink(TreeId tree, Position position, std::string_view key) const {
  Row** link = &BucketOf(HashOf(tree, position));
  for (; *link != nullptr; link = &(*link)->next_in_bucket_) {
    const Row& row = **link;
    if (row.position_ == position && row.tree_ == tree && row.key() == key) return link;
  }
  return nullptr;
}

void RowCache::Grow() {
  const size_t added = bucket_count_++;
  if (added / kSegmentBuckets == segments_.size()) {
    segments_.push_back(std::make_unique<Segment>());
  }
  const size_t mask = std::bit_ceil(bucket_count_) - 1;
  Row** link = &BucketAt(added & (mask >> 1));
  while (*link != nullptr) {
    Row* row = *link;
    if ((row->hash() & mask) != added) {
      link = &row->next_in_bucket_;
      continue;
    }
    *link = row->next_in_bucket_;
    row->next_in_bucket_ = BucketAt(added);
    BucketAt(added) = row;
  }
}

void RowCache::Shrink() {
  const size_t mask = std::bit_ceil(bucket_count_) - 1;
  const size_t removed = --bucket_count_;
  Row** link = &BucketAt(removed & (mask >> 1));
  while (*link != nullptr) link = &(*link)->next_in_bucket_;
  *link = std::exchange(BucketAt(removed), nullptr);
  if (removed % kSegmentBuckets == 0) segments_.pop_back();
}

void RowCache::FitTable() {
  if (row_count_ > bucket_count_) Grow();
  // With a gap between the two, or it would split and merge the same bucket for ever; with several
  // steps at a time, so that the table is gone when the rows are.
  for (int i = 0; i < 8 && row_count_ < bucket_count_ / 4; ++i) {
    if (bucket_count_ > kSegmentBuckets) Shrink();
  }
}

// ---- Rows

const RowCache::Row* RowCache::Find(TreeId tree, Position position, std::string_view key) {
  Row** const link = FindLink(tree, position, key);
  if (link == nullptr || (*link)->is_erased_) return nullptr;
  ++hits_;
  // Most hits find it set: a hot row's cache line then stays clean.
  if (!(*link)->visited_) (*link)->visited_ = 1;
  return *link;
}

void RowCache::PrefetchBucket(TreeId tree, Position position) const {
  if (row_count_ > 0) __builtin_prefetch(&BucketOf(HashOf(tree, position)));
}

void RowCache::PrefetchRow(TreeId tree, Position position) const {
  if (row_count_ > 0) __builtin_prefetch(BucketOf(HashOf(tree, position)));
}

const RowCache::Row* RowCache::Peek(TreeId tree, Position position, std::string_view key) const {
  Row** const link = FindLink(tree, position, key);
  return link == nullptr || (*link)->is_erased_ ? nullptr : *link;
}

const RowCache::Row* RowCache::Insert(TreeId tree, Position position, std::string_view key,
                                      const Value& value, ValueType type) {
  return InsertRow(tree, position, key, value, type, false);
}

const RowCache::Row* RowCache::InsertAbsent(TreeId tree, Position position, std::string_view key) {
  return InsertRow(tree, position, key, {}, ValueType::kString, true);
}

RowCache::Row* RowCache::InsertRow(TreeId tree, Position position, std::string_view key,
                                   const Value& value, ValueType type, bool is_absent) {
  Row** const present = FindLink(tree, position, key);
  if (present != nullptr && Overwrite(**present, value)) {
    Row* const row = *present;
    row->type_ = static_cast<uint8_t>(type);
    row->is_absent_ = is_absent;
    erased_count_ -= row->is_erased_;
    row->is_erased_ = 0;
    return row;
  }
  // Before the old one goes: `key` and `value` may be its bytes.
  Row* row = NewRow(tree, position, key, value);
  row->type_ = static_cast<uint8_t>(type);
  row->is_absent_ = is_absent;
  if (present != nullptr) Remove(present);

  Row*& bucket = BucketOf(row->hash());
  row->next_in_bucket_ = bucket;
  bucket = row;
  row->in_table_ = 1;
  row->older_ = newest_;
  (newest_ == nullptr ? oldest_ : newest_->newer_) = row;
  newest_ = row;
  ++row_count_;
  FitTable();
  row->pinned_ = 1;  // for the moment: no eviction of what the caller gets
  EvictSome(kStepsPerInsert);
  row->pinned_ = 0;
  return row;
}

// Puts the value into the row's own memory. False: it does not fit exactly, or the row is in use.
bool RowCache::Overwrite(Row& row, const Value& value) {
  if (row.pinned_ || row.has_owned_value_ || value.owner != nullptr ||
      row.value_bytes_ != value.bytes.size()) {
    return false;
  }
  // `value` may be the present one.
  if (!value.bytes.empty()) {
    std::memmove(row.payload() + row.key_bytes_, value.bytes.data(), value.bytes.size());
  }
  row.visited_ = 0;
  return true;
}

RowCache::Row* RowCache::NewRow(TreeId tree, Position position, std::string_view key,
                                const Value& value) {
  INVARIANT(tree < uint64_t{1} << 48);
  INVARIANT(key.size() <= std::numeric_limits<uint32_t>::max());
  INVARIANT(value.bytes.size() <= std::numeric_limits<uint32_t>::max());
  const bool owned = value.owner != nullptr && value.bytes.size() >= kSharedValueBytes;
  const size_t value_room = owned ? sizeof(OwnedValue) : value.bytes.size();
  Row* row = new (::operator new(sizeof(Row) + key.size() + value_room)) Row;
  row->tree_ = tree & ((uint64_t{1} << 48) - 1);
  row->position_ = position;
  row->key_bytes_ = static_cast<uint32_t>(key.size());
  row->value_bytes_ = static_cast<uint32_t>(value.bytes.size());
  row->has_owned_value_ = owned;
  std::copy(key.begin(), key.end(), row->key_data());
  if (owned) {
    new (row->payload()) OwnedValue{value.bytes.data(), value.owner};
  } else {
    std::copy(value.bytes.begin(), value.bytes.end(), row->payload() + key.size());
  }
  row_bytes_ += BytesOf(row);
  return row;
}

RowCache::Known RowCache::Erase(TreeId tree, Position position, std::string_view key) {
  Row** const link = FindLink(tree, position, key);
  if (link == nullptr || (*link)->is_erased_) return Known::kNothing;
  Row& row = **link;
  const Known known = row.is_absent_ ? Known::kAbsent : Known::kLive;
  if (row.pinned_ || row.has_owned_value_) {
    Remove(link);
    FitTable();
    return known;
  }
  row.is_erased_ = 1;
  row.visited_ = 0;
  ++erased_count_;
  return known;
}

void RowCache::Remove(Row** link) {
  Row* row = *link;
  *link = row->next_in_bucket_;
  (row->newer_ == nullptr ? newest_ : row->newer_->older_) = row->older_;
  (row->older_ == nullptr ? oldest_ : row->older_->newer_) = row->newer_;
  if (hand_ == row) hand_ = row->newer_;
  row->in_table_ = 0;
  --row_count_;
  erased_count_ -= row->is_erased_;
  if (!row->pinned_) Free(row);
}

void RowCache::Free(Row* row) {
  row_bytes_ -= BytesOf(row);
  if (row->has_owned_value_) std::destroy_at(&row->owned());
  std::destroy_at(row);
  ::operator delete(row);
}

uint64_t RowCache::BytesOf(const Row* row) {
  const uint64_t own = ::malloc_usable_size(const_cast<Row*>(row));
  return row->has_owned_value_ ? own + row->owned().owner->capacity() + sizeof(std::string) : own;
}

// ---- Pins

RowCache::Pin RowCache::MakePin(const Row* row) {
  Row* const pinned = const_cast<Row*>(row);
  ++pins_[row];
  pinned->pinned_ = 1;
  return Pin(this, pinned);
}

void RowCache::Unpin(Row* row) {
  const auto pin = pins_.find(row);
  INVARIANT(pin != pins_.end());
  if (--pin->second > 0) return;
  pins_.erase(pin);
  row->pinned_ = 0;
  if (!row->in_table_) Free(row);
}

// ---- Eviction

void RowCache::SetBytesMax(uint64_t bytes_max) {
  bytes_max_ = bytes_max;
  EvictSome(kStepsPerBudgetChange);
}

bool RowCache::EvictSome(size_t row_count_max) {
  for (size_t i = 0; i < row_count_max && memory_bytes() > bytes_max_; ++i) {
    if (hand_ == nullptr) hand_ = oldest_;
    if (hand_ == nullptr) break;
    Row* const row = hand_;
    hand_ = row->newer_;
    if (row->pinned_) continue;
    if (row->visited_) {
      row->visited_ = 0;
      continue;
    }
    Remove(FindLink(row->tree_, row->position_, row->key()));
    ++evictions_;
    FitTable();
  }
  return memory_bytes() <= bytes_max_ || row_count_ == 0;
}

void RowCache::ResetStats() {
  hits_ = 0;
  evictions_ = 0;
}

}  // namespace varve::engine
