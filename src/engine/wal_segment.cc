#include "engine/wal_segment.h"

#include <algorithm>
#include <string>
#include <utility>

namespace varve::engine {

namespace {

// The first write to a block that is merely allocated changes the file's metadata, and a sync has
// to wait for the file system's journal then: twice as long as for a block that was written before.
Result<void> ZeroFill(WritableFile& file, uint64_t file_bytes) {
  const std::string zeros(1 << 20, '\0');
  for (uint64_t offset = 0; offset < file_bytes; offset += zeros.size()) {
    const auto size = static_cast<size_t>(std::min<uint64_t>(zeros.size(), file_bytes - offset));
    const std::string_view piece = std::string_view(zeros).substr(0, size);
    TRY(file.WriteAt(offset, {&piece, 1}));
    file.StartWriteback(offset, size);
  }
  return {};
}

Result<void> WriteAndName(const Env& env, const WalSegmentPlan& plan, const WalHeader& header,
                          const std::string& from, const std::string& to) {
  FileSystem& files = *env.files;
  TRY_ASSIGN(const std::unique_ptr<WritableFile> file,
             plan.recycled_path.empty() ? files.Create(from) : files.OpenForWrite(from));
  TRY(file->Allocate(plan.file_bytes));
  if (plan.zero_fill && plan.recycled_path.empty()) TRY(ZeroFill(*file, plan.file_bytes));
  const std::string bytes = EncodeWalHeader(header, plan.base);
  const std::string_view piece = bytes;
  TRY(file->WriteAt(0, {&piece, 1}));
  // Before the rename: under its name a segment always has a valid header, so that recovery can
  // tell damage from a crash.
  TRY(file->Sync());
  TRY(files.Rename(from, to));
  return files.SyncDirectory(plan.directory);
}

}  // namespace

Result<std::shared_ptr<WalSegment>> CreateWalSegment(const Env& env, const WalSegmentPlan& plan) {
  INVARIANT(plan.file_bytes >= kWalOverheadBytes);
  const std::string from = plan.recycled_path.empty()
                               ? WalTemporaryPath(plan.directory, plan.number)
                               : plan.recycled_path;
  const std::string to = WalPath(plan.directory, plan.number);
  auto segment = std::make_shared<WalSegment>();
  segment->header = {plan.number, NewLogSalt(env)};
  segment->data_end_max = plan.file_bytes - kLogNumberRecordBytes;
  if (Result<void> made = WriteAndName(env, plan, segment->header, from, to); !made) {
    // A full disk gets its space back; the error that counts is the first one.
    [[maybe_unused]] const Result<void> removed = env.files->Remove(from);
    return Fail(made.error());
  }
  // Opened again for the sake of its name in messages.
  TRY_ASSIGN(segment->file, env.files->OpenForWrite(to));
  if (plan.base) {
    segment->base = *plan.base;
    segment->written_end = kWalDataOffset;
  }
  return segment;
}

}  // namespace varve::engine
