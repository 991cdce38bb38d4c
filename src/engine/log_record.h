#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/env.h"
#include "engine/error.h"

// The framing that our logs share: WAL segments and manifests are a header, then records back to
// back. Record v1, integers little-endian. Offset, field:
//   0 checksum u64: XXH3-64 of [8, 16 + payload_bytes), seeded with the file's salt plus the
//     record's offset in it, so that a record counts only in the place that it was written for
//   8 payload_bytes u56 | 15 type u8 | 16 payload
// The salt is random, drawn whenever a file is created or recycled, and stands in its header: what
// a recycled file held before cannot pass, nor what a client put into a value.
//
// Each write ends in a sync point, which the next write overwrites; after a sync it is renewed
// alone. It says how far the log is known to be durable. That tells a torn tail, which had not been
// promised, from damage: what is not valid, but lies before a sync point's LSN, had been durable.
namespace varve::engine {

// Stored; the numbers never change. 0 is none, so zeros are no record.
enum class LogRecordType : uint8_t {
  kData = 1,       // WAL: what one command changed (write_record.h)
  kSyncPoint = 2,  // i64: the LSN up to which the log is durable, minus the file's base LSN
  kUnused = 3,     // WAL: the segment is prepared and holds nothing; payload u64 0
  kStart = 4,      // WAL: the segment is in use; payload base LSN u64
  kSnapshot = 5,   // manifest: the edit that makes the whole state
  kEdit = 6,       // manifest: a version edit
};

inline constexpr size_t kLogRecordHeaderBytes = 16;
inline constexpr size_t kLogNumberRecordBytes = kLogRecordHeaderBytes + sizeof(uint64_t);
inline constexpr int kLogRecordTypeShift = 56;

// Appends one record that will stand at `offset` of a file with this salt.
void AppendLogRecord(std::string& out, LogRecordType type, std::string_view payload, uint64_t salt,
                     uint64_t offset);
// The same for a record whose payload is one u64: kLogNumberRecordBytes.
void AppendLogNumberRecord(std::string& out, LogRecordType type, uint64_t number, uint64_t salt,
                           uint64_t offset);

inline void AppendSyncPoint(std::string& out, int64_t durable, uint64_t salt, uint64_t offset) {
  AppendLogNumberRecord(out, LogRecordType::kSyncPoint, static_cast<uint64_t>(durable), salt,
                        offset);
}

// A salt for a new file.
uint64_t NewLogSalt(const Env& env);

struct LogRecord {
  LogRecordType type = LogRecordType::kData;
  std::string_view payload;
  uint64_t offset = 0;  // of the record in its file
};

// Reads a log's records in order, in large steps.
// Lifetime: `file` outlives it; a payload is valid until the next call of Next().
// Limits:  memory for a record is at most what is left of the file, whatever its length field says.
class LogReader {
 public:
  LogReader(const RandomAccessFile& file, uint64_t salt, uint64_t offset);
  // The next record, or nothing where no valid one stands: offset() is then the place. kIo if the
  // file cannot be read. Blocks.
  Result<std::optional<LogRecord>> Next();
  uint64_t offset() const { return offset_; }  // behind the last record

 private:
  // Makes [offset_, offset_ + bytes) part of the window. False: the file ends before that.
  Result<bool> Fill(uint64_t bytes);

  const RandomAccessFile& file_;
  const uint64_t salt_;
  uint64_t offset_;
  std::string window_;
  uint64_t window_offset_;
};

struct SyncPoint {
  int64_t durable = 0;  // relative to the file's base LSN
  uint64_t offset = 0;  // where it stands
};

// Looks at every offset from `from` on, valid records or not, for sync points; returns the one that
// says most. Blocks: reads the rest of the file.
Result<std::optional<SyncPoint>> FindSyncPoint(const RandomAccessFile& file, uint64_t salt,
                                               uint64_t from);

// The u64 of a record with such a payload; nothing if it has another size.
std::optional<uint64_t> LogRecordNumber(const LogRecord& record);

}  // namespace varve::engine
