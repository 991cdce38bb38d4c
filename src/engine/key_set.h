#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/position.h"

namespace varve::engine {

// Which keys a table has, in memory: 6.5 bytes for each, where a filter has 1.25 and says "maybe".
// Whether a key exists is then known without a read, which is what blind writes and deletes ask
// for. Of a key that the table has it always says so. One that it has not is taken for one of its
// keys with a probability of 2^-44 (47 bits of two hashes are compared with some 8 neighbours'),
// and only those that have passed the filter are asked for: a table is asked about 10^15 new keys
// until then. Threads: any; it never changes.
class KeySet {
 public:
  enum class Answer { kNothing, kLive, kTombstone };

  // `position`: of the table's range.
  Answer Find(Position position, std::string_view key) const;
  uint64_t memory_bytes() const;
  // What the set of a table with so many rows takes.
  static uint64_t MemoryBytesFor(uint64_t row_count);

 private:
  friend class KeySetBuilder;
  static constexpr size_t kEntryBytes = 6;
  static constexpr int kRowsPerBucketBits = 3;

  KeySet() = default;
  static int BucketBits(uint64_t row_count);
  size_t BucketOf(Position position) const;
  // What of the two hashes is not told by the bucket, with room for the tombstone's bit: the
  // lowest.
  uint64_t EntryOf(Position position, std::string_view key) const;
  uint64_t EntryAt(size_t index) const;

  int range_bits_ = 0;
  int bucket_bits_ = 0;
  std::vector<uint32_t> ends_;  // of each bucket, an index of entries
  std::string entries_;         // kEntryBytes each, little-endian, and two bytes more to read over
};

class KeySetBuilder {
 public:
  // Of a table with so many rows in `range`.
  KeySetBuilder(const DyadicRange& range, uint64_t row_count);
  // In order of position.
  void Add(Position position, std::string_view key, bool is_tombstone);
  std::shared_ptr<const KeySet> Finish();

 private:
  std::shared_ptr<KeySet> set_;
  uint32_t count_ = 0;
};

}  // namespace varve::engine
