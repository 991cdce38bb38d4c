#include "policies/row_policies.h"

namespace varve::bench {
namespace {

using Index = RowPool::Index;

}  // namespace

bool Lru::Access(uint32_t key) {
  if (const Index found = rows_.Find(key); found != RowPool::kNone) {
    list_.Remove(found);
    list_.AddNewest(found);
    return true;
  }
  if (rows_.is_full()) {
    const Index oldest = list_.oldest();
    list_.Remove(oldest);
    rows_.Remove(oldest);
  }
  list_.AddNewest(rows_.Add(key));
  return false;
}

bool Sieve::Access(uint32_t key) {
  if (const Index found = rows_.Find(key); found != RowPool::kNone) {
    rows_[found].visits = 1;
    return true;
  }
  if (rows_.is_full()) Evict();
  list_.AddNewest(rows_.Add(key));
  return false;
}

void Sieve::Evict() {
  if (hand_ == RowPool::kNone) hand_ = list_.oldest();
  while (rows_[hand_].visits > 0) {
    rows_[hand_].visits = 0;
    hand_ = rows_[hand_].newer;
    if (hand_ == RowPool::kNone) hand_ = list_.oldest();
  }
  const Index evicted = hand_;
  hand_ = rows_[evicted].newer;
  list_.Remove(evicted);
  rows_.Remove(evicted);
}

S3Fifo::S3Fifo(uint32_t key_count, size_t capacity, const Options& options)
    : options_(options),
      small_max_(static_cast<size_t>(options.small_share * static_cast<double>(capacity))),
      ghost_max_(static_cast<uint64_t>(options.ghost_share * static_cast<double>(capacity))),
      rows_(key_count, capacity),
      small_(rows_),
      main_(rows_),
      forgotten_at_(key_count, 0) {}

bool S3Fifo::Access(uint32_t key) {
  if (const Index found = rows_.Find(key); found != RowPool::kNone) {
    uint8_t& visits = rows_[found].visits;
    if (visits < options_.visits_max) ++visits;
    return true;
  }
  while (rows_.is_full()) {
    if (small_.size() > small_max_ || main_.size() == 0) {
      EvictSmall();
    } else {
      EvictMain();
    }
  }
  const Index added = rows_.Add(key);
  const bool is_remembered = forgotten_at_[key] > remembered_;
  (is_remembered ? main_ : small_).AddNewest(added);
  return false;
}

void S3Fifo::EvictSmall() {
  const Index oldest = small_.oldest();
  RowPool::Entry& row = rows_[oldest];
  small_.Remove(oldest);
  if (row.visits >= options_.visits_to_stay) {
    row.visits = options_.keeps_visits ? row.visits - 1 : 0;
    main_.AddNewest(oldest);
  } else {
    Remember(row.key);
    rows_.Remove(oldest);
  }
}

void S3Fifo::EvictMain() {
  const Index oldest = main_.oldest();
  RowPool::Entry& row = rows_[oldest];
  main_.Remove(oldest);
  if (row.visits > 0) {
    --row.visits;
    main_.AddNewest(oldest);
  } else {
    rows_.Remove(oldest);
  }
}

void S3Fifo::Remember(uint32_t key) { forgotten_at_[key] = ++remembered_ + ghost_max_; }

}  // namespace varve::bench
