#include "engine/memtable.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <new>

#include "engine/invariant.h"

namespace varve::engine {

// A value that is shared with others, and the bytes of it that count.
struct Memtable::OwnedValue {
  const char* data = nullptr;
  std::shared_ptr<const std::string> owner;
};

namespace {

constexpr size_t kPageBytes = 4096;
// From this size on the buckets ask for huge pages, since nearly every access would miss the TLB:
// 4 M rows are read in three quarters of the time. Small ones do without: a memtable of a few rows
// (one for each database in use) should not take 2 MiB.
constexpr size_t kHugePageBytes = 2 << 20;
constexpr size_t kHugePagesFrom = 16 << 20;
// Rows of about 100 bytes: one to a bucket when the memtable is full. A bucket takes 8 bytes.
constexpr size_t kBytesPerBucket = 128;
constexpr size_t kBucketsMin = 1 << 9;   // one page
constexpr size_t kBucketsMax = 1 << 26;  // 512 MiB of buckets, for 8 GiB of rows
// How far ahead of a cursor entries are fetched into the CPU's cache: the walk of one row takes a
// fraction of a cache miss.
constexpr size_t kCursorPrefetchBuckets = 32;

size_t BucketCountFor(size_t expected_bytes) {
  return std::bit_ceil(std::clamp(expected_bytes / kBytesPerBucket, kBucketsMin, kBucketsMax));
}

void* MapZeroPages(size_t bytes) {
  void* pages = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (pages == MAP_FAILED) throw std::bad_alloc();
  if (bytes >= kHugePagesFrom) ::madvise(pages, bytes, MADV_HUGEPAGE);  // a hint
  return pages;
}

// What holding on to `owner` keeps in memory.
size_t OwnerBytes(const std::shared_ptr<const std::string>& owner) {
  return owner == nullptr ? 0 : owner->capacity() + sizeof(std::string);
}

}  // namespace

static_assert(sizeof(Memtable::Entry) == 32);

Memtable::Memtable(size_t expected_bytes)
    : bucket_count_(BucketCountFor(expected_bytes)),
      bucket_shift_(64 - std::countr_zero(bucket_count_)),
      buckets_(static_cast<Entry**>(MapZeroPages(bucket_count_ * sizeof(Entry*)))) {}

Memtable::~Memtable() {
  for (OwnedValue* owned : owned_) std::destroy_at(owned);
  ::munmap(buckets_, bucket_count_ * sizeof(Entry*));
}

char* Memtable::Entry::key_data() const {
  return payload() + (has_owned_value_ ? sizeof(OwnedValue) : 0);
}

Memtable::OwnedValue& Memtable::Entry::owned() const {
  return *std::launder(reinterpret_cast<OwnedValue*>(payload()));
}

std::string_view Memtable::Entry::key() const { return {key_data(), key_bytes_}; }

std::string_view Memtable::Entry::value_bytes() const {
  return {has_owned_value_ ? owned().data : payload() + key_bytes_, value_bytes_};
}

Value Memtable::Entry::value() const {
  if (!has_owned_value_) return {value_bytes(), nullptr};
  return {value_bytes(), owned().owner};
}

const Memtable::Entry* Memtable::Find(Position position, std::string_view key) const {
  for (const Entry* entry = BucketOf(position); entry != nullptr; entry = entry->next_) {
    if (entry->position_ < position) continue;
    if (entry->position_ > position) break;
    if (entry->key() == key) return entry;
  }
  return nullptr;
}

Memtable::Upserted Memtable::Upsert(Position position, std::string_view key, const Value& value,
                                    ValueType type, bool is_tombstone) {
  INVARIANT(key.size() <= std::numeric_limits<uint32_t>::max());
  INVARIANT(value.bytes.size() <= std::numeric_limits<uint32_t>::max());
  Entry** link = &BucketOf(position);
  bool found = false;
  for (; *link != nullptr; link = &(*link)->next_) {
    const Entry& entry = **link;
    if (entry.position_ < position) continue;
    if (entry.position_ > position) break;
    const int order = entry.key().compare(key);
    found = order == 0;
    if (order >= 0) break;
  }
  Previous previous = Previous::kNone;
  if (found) {
    previous = (*link)->is_tombstone_ ? Previous::kTombstone : Previous::kLive;
    Overwrite(link, value);
  } else {
    Entry* entry = NewEntry(position, key, value, value.bytes.size());
    entry->next_ = *link;
    *link = entry;
    ++row_count_;
  }
  Entry* entry = *link;
  entry->type_ = type;
  entry->is_tombstone_ = is_tombstone;
  return {previous, entry};
}

// `value` may be a view of the value that it overwrites: nothing of the old one is let go of before
// the new one is in its place.
void Memtable::Overwrite(Entry** link, const Value& value) {
  Entry* entry = *link;
  const size_t size = value.bytes.size();
  if (entry->has_owned_value_ && (value.owner != nullptr || size == 0)) {
    SetOwner(entry->owned(), value);
  } else if (!entry->has_owned_value_ && value.owner == nullptr && size <= entry->value_capacity_) {
    if (size > 0) std::memmove(entry->payload() + entry->key_bytes_, value.bytes.data(), size);
  } else {
    // A value that has grown may do so again: a quarter more room, or each step would leave a copy
    // behind in the arena.
    const size_t capacity = entry->has_owned_value_ ? size : size + size / 4;
    Entry* replacement = NewEntry(entry->position_, entry->key(), value, capacity);
    replacement->next_ = entry->next_;
    replacement->SetUnsettled(entry->unsettled());
    *link = replacement;
    if (entry->has_owned_value_) SetOwner(entry->owned(), {});
    return;
  }
  entry->value_bytes_ = static_cast<uint32_t>(size);
  entry->SetMark(Entry::kRead, false);
}

Memtable::Entry* Memtable::NewEntry(Position position, std::string_view key, const Value& value,
                                    size_t value_capacity) {
  value_capacity = std::min<size_t>(value_capacity, std::numeric_limits<uint32_t>::max());
  const bool owned = value.owner != nullptr;
  const size_t bytes = sizeof(Entry) + key.size() + (owned ? sizeof(OwnedValue) : value_capacity);
  Entry* entry = new (arena_.Allocate(bytes)) Entry;
  entry->next_ = nullptr;
  entry->position_ = position;
  entry->key_bytes_ = static_cast<uint32_t>(key.size());
  entry->value_bytes_ = static_cast<uint32_t>(value.bytes.size());
  entry->value_capacity_ = owned ? 0 : static_cast<uint32_t>(value_capacity);
  entry->has_owned_value_ = owned;
  entry->marks_.store(0, std::memory_order_relaxed);
  std::copy(key.begin(), key.end(), entry->key_data());
  if (owned) {
    owned_.push_back(new (entry->payload()) OwnedValue);
    SetOwner(entry->owned(), value);
  } else {
    std::copy(value.bytes.begin(), value.bytes.end(), entry->payload() + key.size());
  }
  return entry;
}

void Memtable::SetOwner(OwnedValue& owned, const Value& value) {
  owned_bytes_ += OwnerBytes(value.owner);
  owned_bytes_ -= OwnerBytes(owned.owner);
  owned.data = value.owner == nullptr ? nullptr : value.bytes.data();
  owned.owner = value.owner;
}

size_t Memtable::memory_bytes() const {
  const size_t bucket_bytes = bucket_count_ * sizeof(Entry*);
  const size_t page_bytes = bucket_bytes >= kHugePagesFrom ? kHugePageBytes : kPageBytes;
  return arena_.used_bytes() + owned_bytes_ + owned_.capacity() * sizeof(owned_[0]) +
         std::min(bucket_bytes, row_count_ * page_bytes);
}

std::unique_ptr<RowCursor> Memtable::NewCursor() const { return std::make_unique<Cursor>(*this); }

void Memtable::Cursor::Seek(Position position) {
  bucket_ = position >> memtable_.bucket_shift_;
  entry_ = memtable_.buckets_[bucket_];
  while (entry_ != nullptr && entry_->position_ < position) entry_ = entry_->next_;
  LoadRow();
}

void Memtable::Cursor::Next() {
  entry_ = entry_->next_;
  LoadRow();
}

void Memtable::Cursor::LoadRow() {
  while (entry_ == nullptr) {
    if (++bucket_ >= memtable_.bucket_count_) return;
    if (bucket_ + kCursorPrefetchBuckets < memtable_.bucket_count_) {
      __builtin_prefetch(memtable_.buckets_[bucket_ + kCursorPrefetchBuckets]);
    }
    entry_ = memtable_.buckets_[bucket_];
  }
  row_ = entry_->row();
}

}  // namespace varve::engine
