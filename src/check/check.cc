#include "check/check.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "check/read_only_files.h"
#include "check/tree_check.h"
#include "engine/log_record.h"
#include "engine/manifest.h"
#include "engine/wal.h"
#include "engine/wal_format.h"
#include "engine/write_record.h"

namespace varve::check {

namespace {

using engine::Env;
using engine::Errc;
using engine::Fail;
using engine::ManifestState;
using engine::Result;

constexpr size_t kCopyBytes = 1 << 20;

Env WithFiles(const Env& env, engine::FileSystem& files) {
  Env changed = env;
  changed.files = &files;
  return changed;
}

// Also keeps a directory that holds no database from being taken for an empty one.
Result<std::unique_ptr<engine::DirectoryLock>> LockDatabase(const Env& env,
                                                            const std::string& directory) {
  TRY_ASSIGN(const bool exists, env.files->Exists(directory + "/CURRENT"));
  if (!exists) {
    return Fail(Errc::kInvalidArgument, "{}: there is no database here (no CURRENT)", directory);
  }
  return env.files->Lock(directory + "/LOCK");
}

Result<engine::WalRecovery> CheckLog(const Env& env, const std::string& directory) {
  TRY_ASSIGN(const auto manifest, engine::Manifest::Open(env, directory));
  const engine::WriteRecordVisitor ignore = {
      .put = [](auto&&...) -> Result<void> { return {}; },
      .remove = [](auto&&...) -> Result<void> { return {}; },
      .new_tree = [](auto&&...) -> Result<void> { return {}; },
  };
  return engine::RecoverWal(env, directory, manifest->state().wal_oldest,
                            [&](uint64_t, std::string_view payload) {
                              return engine::ParseWriteRecord(payload, ignore);
                            });
}

// Where a log stops being whole: the segment, and the first offset in it that is no record.
struct LogBreak {
  std::string path;
  uint64_t offset;
};

// Reads one segment. Nothing: it is prepared only, or its records end as those of a whole segment
// do, in a sync point.
Result<std::optional<LogBreak>> FindBreak(engine::FileSystem& files, const std::string& path) {
  TRY_ASSIGN(const auto file, files.OpenForRead(path));
  std::string header(std::min<uint64_t>(file->size(), engine::kWalHeaderBytes), '\0');
  TRY(file->ReadAt(0, header));
  const auto decoded = engine::DecodeWalHeader(header, path);
  if (!decoded) return std::optional(LogBreak{path, 0});
  engine::LogReader reader(*file, decoded->salt, engine::kWalHeaderBytes);
  for (;;) {
    TRY_ASSIGN(const std::optional<engine::LogRecord> record, reader.Next());
    if (!record) return std::optional(LogBreak{path, reader.offset()});
    if (record->type == engine::LogRecordType::kUnused ||
        record->type == engine::LogRecordType::kSyncPoint) {
      return std::optional<LogBreak>();
    }
  }
}

Result<void> Copy(engine::FileSystem& files, const std::string& from, const std::string& to) {
  TRY_ASSIGN(const auto source, files.OpenForRead(from));
  TRY_ASSIGN(const auto target, files.Create(to));
  std::string bytes;
  for (uint64_t offset = 0; offset < source->size(); offset += bytes.size()) {
    bytes.resize(std::min<uint64_t>(kCopyBytes, source->size() - offset));
    TRY(source->ReadAt(offset, bytes));
    const std::string_view piece = bytes;
    TRY(target->WriteAt(offset, {&piece, 1}));
  }
  return target->Sync();
}

// Zeros are no record and no sync point: what recovery then finds is a torn tail.
Result<void> ZeroFrom(engine::FileSystem& files, const std::string& path, uint64_t offset) {
  TRY_ASSIGN(const uint64_t size, files.FileSize(path));
  TRY_ASSIGN(const auto file, files.OpenForWrite(path));
  const std::string zeros(kCopyBytes, '\0');
  while (offset < size) {
    const std::string_view piece =
        std::string_view(zeros).substr(0, std::min<uint64_t>(zeros.size(), size - offset));
    TRY(file->WriteAt(offset, {&piece, 1}));
    offset += piece.size();
  }
  return file->Sync();
}

Result<std::vector<uint64_t>> SegmentsFrom(engine::FileSystem& files, const std::string& directory,
                                           uint64_t oldest) {
  TRY_ASSIGN(const std::vector<std::string> names, files.List(directory));
  std::vector<uint64_t> numbers;
  for (const std::string& name : names) {
    const auto number = engine::ParseWalName(name);
    if (number && *number >= oldest) numbers.push_back(*number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

}  // namespace

Result<Findings> CheckDatabase(const Env& env, const std::string& directory, const Report& report) {
  TRY_ASSIGN(const auto lock, LockDatabase(env, directory));
  ReadOnlyFiles files(*env.files);
  const Env look = WithFiles(env, files);
  Findings findings;
  const auto manifest = engine::Manifest::Open(look, directory);
  if (!manifest) {
    report("damaged: " + manifest.error().context);
    ++findings.damaged;
    return findings;  // it says which files there are and how keys are placed
  }
  const ManifestState& state = (*manifest)->state();
  const engine::PositionSecret secret(state.position_secret);
  for (const auto& [id, tree] : state.trees) {
    TreeCheck(files, directory, secret, report, findings).Check(id, tree);
  }
  const auto log = CheckLog(look, directory);
  if (!log) {
    ++findings.damaged;
    report("damaged: " + log.error().context);
    return findings;
  }
  findings.wal_records = log->records;
  if (!log->cut.empty()) report("as a crash leaves it: " + log->cut);
  return findings;
}

Result<void> CutLog(const Env& env, const std::string& directory, const Report& report) {
  TRY_ASSIGN(const auto lock, LockDatabase(env, directory));
  ReadOnlyFiles files(*env.files);
  const Env look = WithFiles(env, files);
  const auto log = CheckLog(look, directory);
  if (log) {
    report("the log is whole: nothing to cut");
    return {};
  }
  TRY_ASSIGN(const auto manifest, engine::Manifest::Open(look, directory));
  TRY_ASSIGN(const std::vector<uint64_t> numbers,
             SegmentsFrom(*env.files, directory, manifest->state().wal_oldest));
  bool is_cut = false;
  for (const uint64_t number : numbers) {
    const std::string path = engine::WalPath(directory, number);
    if (is_cut) {
      TRY(env.files->Rename(path, path + ".damaged"));
      report(path + ": set aside");
      continue;
    }
    TRY_ASSIGN(const std::optional<LogBreak> found, FindBreak(*env.files, path));
    if (!found) continue;
    is_cut = true;
    TRY(Copy(*env.files, path, path + ".damaged"));
    if (found->offset < engine::kWalHeaderBytes) {
      TRY(env.files->Remove(path));
    } else {
      TRY(ZeroFrom(*env.files, path, found->offset));
    }
    report(fmt::format("{}: cut at offset {}", path, found->offset));
  }
  TRY(env.files->SyncDirectory(directory));
  const auto again = CheckLog(look, directory);
  if (!again) return Fail(again.error());
  report(fmt::format("the log has {} whole records", again->records));
  return {};
}

}  // namespace varve::check
