#include "engine/key_set.h"

#include <algorithm>
#include <bit>

#include "engine/checksum.h"
#include "engine/coding.h"
#include "engine/invariant.h"

namespace varve::engine {
namespace {

constexpr uint64_t kEntryMask = (uint64_t{1} << 48) - 1;
constexpr uint64_t kTombstoneBit = 1;
constexpr size_t kReadOverBytes = 2;  // an entry is read as eight bytes

}  // namespace

int KeySet::BucketBits(uint64_t row_count) {
  return std::max(0, static_cast<int>(std::bit_width(row_count)) - 1 - kRowsPerBucketBits);
}

uint64_t KeySet::MemoryBytesFor(uint64_t row_count) {
  return row_count * kEntryBytes + (sizeof(uint32_t) << BucketBits(row_count));
}

uint64_t KeySet::memory_bytes() const {
  return sizeof *this + ends_.capacity() * sizeof(uint32_t) + entries_.capacity();
}

size_t KeySet::BucketOf(Position position) const {
  return bucket_bits_ == 0 ? 0 : position << range_bits_ >> (64 - bucket_bits_);
}

uint64_t KeySet::EntryOf(Position position, std::string_view key) const {
  const int known_bits = range_bits_ + bucket_bits_;
  uint64_t rest = position << known_bits;
  // The second hash begins where the first one ends.
  if (known_bits > 0) rest |= Checksum(key, position) >> (64 - known_bits);
  return rest >> 16 & kEntryMask & ~kTombstoneBit;
}

uint64_t KeySet::EntryAt(size_t index) const {
  return DecodeFixed64(entries_.data() + index * kEntryBytes) & kEntryMask;
}

KeySet::Answer KeySet::Find(Position position, std::string_view key) const {
  const size_t bucket = BucketOf(position);
  const uint64_t wanted = EntryOf(position, key);
  for (size_t i = bucket == 0 ? 0 : ends_[bucket - 1]; i < ends_[bucket]; ++i) {
    const uint64_t entry = EntryAt(i);
    if ((entry & ~kTombstoneBit) != wanted) continue;
    return (entry & kTombstoneBit) != 0 ? Answer::kTombstone : Answer::kLive;
  }
  return Answer::kNothing;
}

KeySetBuilder::KeySetBuilder(const DyadicRange& range, uint64_t row_count) : set_(new KeySet) {
  set_->range_bits_ = range.bits;
  set_->bucket_bits_ = std::min(KeySet::BucketBits(row_count), 63 - range.bits);
  set_->ends_.assign(size_t{1} << set_->bucket_bits_, 0);
  set_->entries_.reserve(row_count * KeySet::kEntryBytes + kReadOverBytes);
}

void KeySetBuilder::Add(Position position, std::string_view key, bool is_tombstone) {
  const uint64_t entry = set_->EntryOf(position, key) | (is_tombstone ? kTombstoneBit : 0);
  char bytes[sizeof entry];
  EncodeFixed64(bytes, entry);
  set_->entries_.append(bytes, KeySet::kEntryBytes);
  set_->ends_[set_->BucketOf(position)] = ++count_;
}

std::shared_ptr<const KeySet> KeySetBuilder::Finish() {
  set_->entries_.append(kReadOverBytes, '\0');
  // A bucket without rows ends where the one before it ends.
  for (size_t i = 1; i < set_->ends_.size(); ++i) {
    set_->ends_[i] = std::max(set_->ends_[i], set_->ends_[i - 1]);
  }
  return std::move(set_);
}

}  // namespace varve::engine
