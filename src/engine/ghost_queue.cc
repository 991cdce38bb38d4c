#include "engine/ghost_queue.h"

#include <bit>
#include <cstring>

#include "engine/huge_pages.h"

namespace varve::engine {

void GhostQueue::FitTo(uint64_t row_count) {
  const uint64_t room = bucket_count_ * kBucketTags;
  if (room > 0 && row_count < 2 * room && row_count >= room / 2) return;
  uint64_t fitting = std::bit_floor(row_count / kBucketTags);
  if (fitting < kBucketsMin) fitting = 0;
  if (fitting == bucket_count_) return;
  if (bucket_count_ > 0) UnmapPages(buckets_, bucket_count_ * sizeof(Bucket));
  buckets_ = nullptr;
  bucket_count_ = fitting;
  if (fitting == 0) return;
  // No huge pages: clearing one takes longer than anybody should hold the lock.
  const size_t bytes = fitting * sizeof(Bucket);
  buckets_ = static_cast<Bucket*>(MapPages(bytes, kBucketsMin * sizeof(Bucket), false));
}

void GhostQueue::Add(Position position) {
  if (bucket_count_ == 0) return;
  auto& tags = BucketOf(position).tags;
  std::memmove(&tags[1], &tags[0], sizeof(tags) - sizeof(Tag));
  tags[0] = TagOf(position);
}

bool GhostQueue::Contains(Position position) const {
  if (bucket_count_ == 0) return false;
  const Tag wanted = TagOf(position);
  bool found = false;
  for (const Tag tag : BucketOf(position).tags) found |= tag == wanted;
  return found;
}

}  // namespace varve::engine
