#include "engine/wal_buffer.h"

#include <utility>

#include "engine/checksum.h"
#include "engine/coding.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace varve::engine {

namespace {

// A buffer that one burst made larger than this gives its memory back.
constexpr size_t kKeptBytesMax = 4 << 20;

}  // namespace

void WalBuffer::Reset(std::shared_ptr<WalSegment> segment, uint64_t offset) {
  segment_ = std::move(segment);
  begin_ = end_ = offset;
  bytes_.clear();
  if (bytes_.capacity() > kKeptBytesMax) bytes_ = std::string();
  large_.clear();
  open_.clear();
  pieces_.clear();
}

void WalBuffer::Append(const WalRecord& record) {
  if (!record.large_values.empty()) [[unlikely]] {
    AppendLarge(record);
  } else {
    AppendLogRecord(bytes_, LogRecordType::kData, record.head, segment_->header.salt, end_);
    end_ += kLogRecordHeaderBytes + record.head.size();
  }
}

void WalBuffer::AppendLarge(const WalRecord& record) {
  open_.push_back({bytes_.size(), record.head.size(), large_.size(), 0, end_});
  const uint64_t payload_bytes = record.size();
  PutFixed64(bytes_, 0);
  PutFixed64(bytes_, payload_bytes | uint64_t{static_cast<uint8_t>(LogRecordType::kData)}
                                         << kLogRecordTypeShift);
  bytes_.append(record.head);
  for (const Value& value : record.large_values) {
    Value kept = value;
    if (kept.owner == nullptr) {  // the view's bytes will be gone before they are written
      kept.owner = std::make_shared<const std::string>(value.bytes);
      kept.bytes = *kept.owner;
    }
    large_.push_back({bytes_.size(), std::move(kept)});
  }
  open_.back().large_count = large_.size() - open_.back().first_large;
  end_ += kLogRecordHeaderBytes + payload_bytes;
}

void WalBuffer::CompleteChecksum(const OpenRecord& record) {
  XXH3_state_t state;  // 576 bytes on the stack: it must be 64-byte aligned
  XXH3_INITSTATE(&state);
  XXH3_64bits_reset_withSeed(&state, segment_->header.salt + record.offset);
  XXH3_64bits_update(&state, bytes_.data() + record.at + sizeof(uint64_t),
                     kLogRecordHeaderBytes - sizeof(uint64_t) + record.head_bytes);
  for (size_t i = 0; i < record.large_count; ++i) {
    const std::string_view bytes = large_[record.first_large + i].value.bytes;
    XXH3_64bits_update(&state, bytes.data(), bytes.size());
  }
  EncodeFixed64(bytes_.data() + record.at, XXH3_64bits_digest(&state));
}

const std::vector<std::string_view>& WalBuffer::Finish(Lsn durable) {
  for (const OpenRecord& record : open_) CompleteChecksum(record);
  const uint64_t salt = segment_->header.salt;
  AppendSyncPoint(bytes_, segment_->Relative(durable), salt, end_);
  pieces_.clear();
  start_.clear();
  if (is_first()) {
    AppendLogNumberRecord(start_, LogRecordType::kStart, segment_->base, salt, kWalHeaderBytes);
    pieces_.emplace_back(start_);
  }
  size_t at = 0;
  for (const LargePiece& piece : large_) {
    if (piece.at > at) pieces_.push_back(std::string_view(bytes_).substr(at, piece.at - at));
    pieces_.push_back(piece.value.bytes);
    at = piece.at;
  }
  pieces_.push_back(std::string_view(bytes_).substr(at));
  return pieces_;
}

}  // namespace varve::engine
