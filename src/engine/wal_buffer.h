#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/wal.h"
#include "engine/wal_segment.h"

namespace varve::engine {

// Records that were appended to one segment and are not in its file yet.
// Threads: one at a time.
class WalBuffer {
 public:
  // Becomes empty, for records from `offset` of the segment's file on; keeps its memory.
  void Reset(std::shared_ptr<WalSegment> segment, uint64_t offset);
  // A record without large values is copied and checksummed here. Large values are referenced, and
  // their record's checksum is left to Finish(): this runs under the command lock.
  void Append(const WalRecord& record);
  // Completes the checksums, and prepends and appends what the file needs around the records (its
  // start if this is the first write, a sync point). The result is written at write_offset(), and
  // valid until the next Reset().
  const std::vector<std::string_view>& Finish(Lsn durable);

  bool empty() const { return end_ == begin_; }
  uint64_t end() const { return end_; }  // offset in the file behind the last record
  uint64_t write_offset() const { return is_first() ? kWalHeaderBytes : begin_; }
  const std::shared_ptr<WalSegment>& segment() const { return segment_; }

 private:
  struct LargePiece {
    size_t at;  // stands before bytes_[at]
    Value value;
  };
  struct OpenRecord {  // its checksum is still missing
    size_t at;         // of its header in bytes_
    size_t head_bytes;
    size_t first_large, large_count;
    uint64_t offset;
  };

  bool is_first() const { return begin_ == kWalDataOffset && segment_->written_end == 0; }
  void AppendLarge(const WalRecord& record);
  void CompleteChecksum(const OpenRecord& record);

  std::shared_ptr<WalSegment> segment_;
  uint64_t begin_ = 0;
  uint64_t end_ = 0;
  std::string bytes_;  // framed records without the large values
  std::vector<LargePiece> large_;
  std::vector<OpenRecord> open_;
  std::string start_;
  std::vector<std::string_view> pieces_;
};

}  // namespace varve::engine
