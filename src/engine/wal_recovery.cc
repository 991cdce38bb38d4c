#include <algorithm>
#include <utility>

#include "engine/wal.h"
#include "engine/wal_format.h"

namespace varve::engine {

namespace {

// One segment file as it was found, by ascending number.
struct FoundSegment {
  std::unique_ptr<RandomAccessFile> file;
  WalHeader header;
  enum class State { kUnused, kInUse, kUnreadableStart } state = State::kUnused;
  Lsn base = 0;
  bool has_records = false;

  const std::string& path() const { return file->path(); }
};

// Where the log ends: the place of the first thing that is not a record of it.
struct LogEnd {
  size_t segment_index = 0;
  uint64_t offset = kWalHeaderBytes;
  Lsn lsn = 0;
};

Result<FoundSegment> OpenSegment(FileSystem& files, const std::string& path, uint64_t number) {
  FoundSegment found;
  TRY_ASSIGN(found.file, files.OpenForRead(path));
  std::string bytes(std::min<uint64_t>(found.file->size(), kWalHeaderBytes), '\0');
  TRY(found.file->ReadAt(0, bytes));
  TRY_ASSIGN(found.header, DecodeWalHeader(bytes, path));
  if (found.header.number != number) {
    return Fail(Errc::kCorruption, "{}: offset 16: the header is that of segment {}", path,
                found.header.number);
  }
  LogReader reader(*found.file, found.header.salt, kWalHeaderBytes);
  TRY_ASSIGN(const std::optional<LogRecord> start, reader.Next());
  const std::optional<uint64_t> base = start ? LogRecordNumber(*start) : std::nullopt;
  if (base && start->type == LogRecordType::kUnused) {
    found.state = FoundSegment::State::kUnused;
  } else if (base && start->type == LogRecordType::kStart) {
    found.state = FoundSegment::State::kInUse;
    found.base = *base;
  } else {
    found.state = FoundSegment::State::kUnreadableStart;
  }
  return found;
}

class Recovery {
 public:
  using Apply = std::function<Result<void>(uint64_t segment, std::string_view payload)>;

  Recovery(const Env& env, const std::string& directory, uint64_t oldest, const Apply& apply)
      : files_(*env.files), directory_(directory), oldest_(oldest), apply_(apply) {}

  Result<WalRecovery> Run() {
    TRY(FindSegments());
    TRY_ASSIGN(const LogEnd end, ReadRecords());
    TRY(CheckNothingDurableBehind(end));
    // What was read may be in the kernel only (after a mere kill). The new segment's records will
    // rest on it, so it must not be lost after they are durable.
    TRY(SyncSegments());
    DropEmptyTail();
    TRY(RemoveDropped());
    result_.end = end.lsn;
    return std::move(result_);
  }

 private:
  Result<void> FindSegments();
  Result<LogEnd> ReadRecords();
  Result<void> ReadSegment(size_t index, LogEnd& end);
  Result<void> CheckNothingDurableBehind(const LogEnd& end);
  Result<void> SyncSegments();
  void DropEmptyTail();
  Result<void> RemoveDropped();

  FileSystem& files_;
  const std::string& directory_;
  const uint64_t oldest_;
  const Apply& apply_;
  std::vector<FoundSegment> segments_;  // in use, or it cannot be told; number >= oldest_
  bool has_unused_oldest_ = false;
  size_t counted_ = 0;                // segments_[0, counted_) are part of the log
  bool is_torn_ = false;              // the log does not end in a sync point
  std::vector<std::string> dropped_;  // unused files, to be removed
  WalRecovery result_;
};

Result<void> Recovery::FindSegments() {
  TRY_ASSIGN(const std::vector<std::string> names, files_.List(directory_));
  std::vector<uint64_t> numbers;
  for (const std::string& name : names) {
    if (IsWalTemporaryName(name)) dropped_.push_back(directory_ + "/" + name);
    if (const auto number = ParseWalName(name)) numbers.push_back(*number);
  }
  std::sort(numbers.begin(), numbers.end());
  result_.next_number = std::max<uint64_t>(oldest_, 1);
  for (const uint64_t number : numbers) {
    const std::string path = WalPath(directory_, number);
    result_.next_number = std::max(result_.next_number, number + 1);
    if (number < oldest_) {
      result_.spare.push_back(path);
      continue;
    }
    TRY_ASSIGN(FoundSegment found, OpenSegment(files_, path, number));
    if (found.state == FoundSegment::State::kUnused) {
      dropped_.push_back(path);
      has_unused_oldest_ |= number == oldest_;
    } else {
      segments_.push_back(std::move(found));
    }
  }
  return {};
}

Result<LogEnd> Recovery::ReadRecords() {
  LogEnd end;
  for (size_t i = 0; i < segments_.size(); ++i) {
    const FoundSegment& segment = segments_[i];
    if (segment.state == FoundSegment::State::kUnreadableStart) {
      is_torn_ = true;
      end.segment_index = i;
      end.offset = kWalHeaderBytes;
      break;
    }
    if (i == 0 && segment.header.number > oldest_ && segment.base > 0) {
      if (has_unused_oldest_) {  // its start was lost, so nothing from there on was durable
        is_torn_ = true;
        break;
      }
      return Fail(Errc::kCorruption,
                  "{}: the log begins at LSN {} here, but segment {} is needed and missing",
                  segment.path(), segment.base, oldest_);
    }
    if (i > 0 && segment.base < end.lsn) {
      return Fail(Errc::kCorruption,
                  "{}: offset {}: base LSN {}, but the segment before ends at {}", segment.path(),
                  kWalHeaderBytes, segment.base, end.lsn);
    }
    if (i > 0 && segment.base > end.lsn) {
      is_torn_ = true;
      break;
    }
    TRY(ReadSegment(i, end));
    counted_ = i + 1;
  }
  return end;
}

Result<void> Recovery::ReadSegment(size_t index, LogEnd& end) {
  FoundSegment& segment = segments_[index];
  LogReader reader(*segment.file, segment.header.salt, kWalDataOffset);
  is_torn_ = true;
  end = {index, kWalDataOffset, segment.base};
  for (;;) {
    TRY_ASSIGN(const std::optional<LogRecord> record, reader.Next());
    if (!record) break;
    if (record->type == LogRecordType::kSyncPoint) {
      is_torn_ = false;
      break;
    }
    if (record->type != LogRecordType::kData) {
      return Fail(Errc::kCorruption, "{}: offset {}: a record of type {} has no place here",
                  segment.path(), record->offset, static_cast<int>(record->type));
    }
    TRY(apply_(segment.header.number, record->payload));
    ++result_.records;
    segment.has_records = true;
    end.offset = reader.offset();
    end.lsn = segment.base + (end.offset - kWalDataOffset);
  }
  result_.bytes += end.offset - kWalDataOffset;
  ++result_.segments;
  return {};
}

Result<void> Recovery::CheckNothingDurableBehind(const LogEnd& end) {
  if (!is_torn_) return {};
  for (size_t i = end.segment_index; i < segments_.size(); ++i) {
    const FoundSegment& segment = segments_[i];
    const uint64_t from = i == end.segment_index ? end.offset : kWalDataOffset;
    TRY_ASSIGN(const auto point, FindSyncPoint(*segment.file, segment.header.salt, from));
    if (!point) continue;
    // Without the LSNs to compare, it says for sure only whether its own segment was durable.
    const bool is_known = counted_ > 0 && segment.state == FoundSegment::State::kInUse;
    const Lsn durable = segment.base + static_cast<uint64_t>(point->durable);
    if (is_known ? durable <= end.lsn : point->durable <= 0) continue;
    return Fail(Errc::kCorruption,
                "{}: offset {}: no valid record, but the log was durable beyond it, says the sync "
                "point at offset {} of {}; see varve-check",
                segments_[end.segment_index].path(), end.offset, point->offset, segment.path());
  }
  result_.cut = fmt::format("{}: offset {} (LSN {}): torn tail",
                            segments_[end.segment_index].path(), end.offset, end.lsn);
  if (counted_ < segments_.size()) {
    result_.cut += fmt::format(", {} later segments dropped", segments_.size() - counted_);
  }
  return {};
}

Result<void> Recovery::SyncSegments() {
  for (size_t i = 0; i < counted_; ++i) {
    TRY_ASSIGN(const auto file, files_.OpenForWrite(segments_[i].path()));
    TRY(file->Sync());
  }
  return {};
}

// Each start takes a new segment; if it got no record, it need not stay until the next flush.
// Starts that follow each other on a full disk would use up what is kept for them.
void Recovery::DropEmptyTail() {
  while (counted_ > 1 && !segments_[counted_ - 1].has_records) --counted_;
}

// Durably, before a new segment comes into use: what was cut off must not be there behind it.
Result<void> Recovery::RemoveDropped() {
  // The last ones first, and the unused ones, which those rest on, when they are gone for good: a
  // recovery that is cut short must not leave a segment whose predecessor is missing.
  for (size_t i = segments_.size(); i > counted_; --i) TRY(files_.Remove(segments_[i - 1].path()));
  if (segments_.size() > counted_) TRY(files_.SyncDirectory(directory_));
  for (const std::string& path : dropped_) TRY(files_.Remove(path));
  if (!dropped_.empty()) TRY(files_.SyncDirectory(directory_));
  return {};
}

}  // namespace

Result<WalRecovery> RecoverWal(
    const Env& env, const std::string& directory, uint64_t oldest,
    const std::function<Result<void>(uint64_t segment, std::string_view payload)>& apply) {
  return Recovery(env, directory, oldest, apply).Run();
}

}  // namespace varve::engine
