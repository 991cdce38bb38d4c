#include "engine/log_record.h"

#include <algorithm>

#include "engine/checksum.h"
#include "engine/coding.h"

namespace varve::engine {

namespace {

constexpr uint64_t kReadBytes = 1 << 20;
constexpr uint64_t kPayloadBytesMask = (uint64_t{1} << kLogRecordTypeShift) - 1;
constexpr size_t kChecksumBytes = sizeof(uint64_t);

uint64_t SizeAndType(LogRecordType type, uint64_t payload_bytes) {
  INVARIANT(payload_bytes <= kPayloadBytesMask);
  return payload_bytes | uint64_t{static_cast<uint8_t>(type)} << kLogRecordTypeShift;
}

// `record` is whole, from its checksum on.
bool ChecksumHolds(std::string_view record, uint64_t salt, uint64_t offset) {
  return Checksum(record.substr(kChecksumBytes), salt + offset) == DecodeFixed64(record.data());
}

}  // namespace

void AppendLogRecord(std::string& out, LogRecordType type, std::string_view payload, uint64_t salt,
                     uint64_t offset) {
  const size_t begin = out.size();
  char header[kLogRecordHeaderBytes] = {};
  EncodeFixed64(header + kChecksumBytes, SizeAndType(type, payload.size()));
  out.append(header, sizeof header).append(payload);
  const std::string_view covered = std::string_view(out).substr(begin + kChecksumBytes);
  EncodeFixed64(out.data() + begin, Checksum(covered, salt + offset));
}

void AppendLogNumberRecord(std::string& out, LogRecordType type, uint64_t number, uint64_t salt,
                           uint64_t offset) {
  char payload[sizeof number];
  EncodeFixed64(payload, number);
  AppendLogRecord(out, type, {payload, sizeof payload}, salt, offset);
}

uint64_t NewLogSalt(const Env& env) {
  char bytes[sizeof(uint64_t)];
  env.random->Fill(bytes);
  return DecodeFixed64(bytes);
}

LogReader::LogReader(const RandomAccessFile& file, uint64_t salt, uint64_t offset)
    : file_(file), salt_(salt), offset_(offset), window_offset_(offset) {}

Result<bool> LogReader::Fill(uint64_t bytes) {
  if (offset_ > file_.size() || bytes > file_.size() - offset_) return false;
  if (offset_ + bytes <= window_offset_ + window_.size()) return true;
  const uint64_t size = std::min(std::max(bytes, kReadBytes), file_.size() - offset_);
  window_.resize(size);
  window_offset_ = offset_;
  TRY(file_.ReadAt(offset_, window_));
  return true;
}

Result<std::optional<LogRecord>> LogReader::Next() {
  TRY_ASSIGN(const bool has_header, Fill(kLogRecordHeaderBytes));
  if (!has_header) return std::optional<LogRecord>();
  const char* header = window_.data() + (offset_ - window_offset_);
  const uint64_t size_and_type = DecodeFixed64(header + kChecksumBytes);
  const uint64_t payload_bytes = size_and_type & kPayloadBytesMask;
  TRY_ASSIGN(const bool is_whole, Fill(kLogRecordHeaderBytes + payload_bytes));
  if (!is_whole) return std::optional<LogRecord>();
  const std::string_view record = std::string_view(window_).substr(
      offset_ - window_offset_, kLogRecordHeaderBytes + payload_bytes);
  if (!ChecksumHolds(record, salt_, offset_)) return std::optional<LogRecord>();
  const LogRecord result{static_cast<LogRecordType>(size_and_type >> kLogRecordTypeShift),
                         record.substr(kLogRecordHeaderBytes), offset_};
  offset_ += record.size();
  return std::optional<LogRecord>(result);
}

Result<std::optional<SyncPoint>> FindSyncPoint(const RandomAccessFile& file, uint64_t salt,
                                               uint64_t from) {
  // A sync point's bytes [8, 16) are always the same: that finds the few places worth a checksum.
  char wanted[sizeof(uint64_t)];
  EncodeFixed64(wanted, SizeAndType(LogRecordType::kSyncPoint, sizeof(uint64_t)));
  std::optional<SyncPoint> best;
  std::string window;
  for (uint64_t begin = from; begin < file.size();) {
    window.resize(std::min(kReadBytes, file.size() - begin));
    TRY(file.ReadAt(begin, window));
    const std::string_view view = window;
    for (size_t at = kChecksumBytes;; ++at) {
      at = view.find({wanted, sizeof wanted}, at);
      if (at == view.npos) break;
      const std::string_view record = view.substr(at - kChecksumBytes, kLogNumberRecordBytes);
      const uint64_t offset = begin + at - kChecksumBytes;
      if (record.size() < kLogNumberRecordBytes || !ChecksumHolds(record, salt, offset)) continue;
      const auto durable =
          static_cast<int64_t>(DecodeFixed64(record.data() + kLogRecordHeaderBytes));
      if (!best || durable > best->durable) best = SyncPoint{durable, offset};
    }
    if (begin + window.size() == file.size()) break;
    begin += window.size() - (kLogNumberRecordBytes - 1);  // one may span two windows
  }
  return best;
}

std::optional<uint64_t> LogRecordNumber(const LogRecord& record) {
  if (record.payload.size() != sizeof(uint64_t)) return std::nullopt;
  return DecodeFixed64(record.payload.data());
}

}  // namespace varve::engine
