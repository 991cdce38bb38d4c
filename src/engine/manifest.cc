#include "engine/manifest.h"

#include <algorithm>
#include <utility>

#include "engine/log_record.h"
#include "engine/manifest_format.h"

namespace varve::engine {

namespace {

constexpr std::string_view kCurrent = "CURRENT";
constexpr std::string_view kCurrentTemporary = "CURRENT.tmp";
constexpr uint64_t kAllocateBytes = 64 << 10;
constexpr uint64_t kRewriteBytesMin = 1 << 20;
constexpr uint64_t kRewriteFactor = 4;  // of the snapshot's size

std::string PathOf(const std::string& directory, std::string_view name) {
  return fmt::format("{}/{}", directory, name);
}

// Writes the pieces to a new file and makes the bytes durable, not the name.
Result<std::unique_ptr<WritableFile>> WriteFile(FileSystem& files, const std::string& path,
                                                std::string_view bytes) {
  TRY_ASSIGN(auto file, files.Create(path));
  TRY(file->WriteAt(0, {&bytes, 1}));
  TRY(file->Sync());
  return file;
}

// The name of the manifest that counts; nothing if there is no CURRENT.
Result<std::optional<std::string>> ReadCurrent(FileSystem& files, const std::string& directory) {
  const std::string path = PathOf(directory, kCurrent);
  TRY_ASSIGN(const bool exists, files.Exists(path));
  if (!exists) return std::optional<std::string>();
  TRY_ASSIGN(std::string name, files.ReadWhole(path));
  if (!name.ends_with('\n') || !ParseManifestName({name.data(), name.size() - 1})) {
    return Fail(Errc::kCorruption, "{}: offset 0: not the name of a manifest", path);
  }
  name.pop_back();
  return std::optional<std::string>(std::move(name));
}

Result<void> ApplyRecord(const LogRecord& record, uint64_t first_offset, const std::string& path,
                         ManifestState& state) {
  const auto wanted =
      record.offset == first_offset ? LogRecordType::kSnapshot : LogRecordType::kEdit;
  if (record.type != wanted) {
    return Fail(Errc::kCorruption, "{}: offset {}: a record of type {} has no place here", path,
                record.offset, static_cast<int>(record.type));
  }
  const std::optional<VersionEdit> edit = DecodeEdit(record.payload);
  if (!edit) {
    return Fail(Errc::kCorruption, "{}: offset {}: not an edit, though its checksum holds", path,
                record.offset);
  }
  if (const Result<void> applied = state.Apply(*edit); !applied) {
    return Fail(applied.error().code, "{}: offset {}: {}", path, record.offset,
                applied.error().context);
  }
  return {};
}

Result<ManifestState> ReadManifest(FileSystem& files, const std::string& path) {
  TRY_ASSIGN(const auto file, files.OpenForRead(path));
  std::string bytes(std::min<uint64_t>(file->size(), kManifestHeaderBytes), '\0');
  TRY(file->ReadAt(0, bytes));
  TRY_ASSIGN(const ManifestHeader header, DecodeManifestHeader(bytes, path));
  ManifestState state;
  state.position_secret = header.position_secret;
  state.next_number = 0;
  LogReader reader(*file, header.salt, kManifestHeaderBytes);
  for (;;) {
    TRY_ASSIGN(const std::optional<LogRecord> record, reader.Next());
    if (!record) break;
    if (record->type == LogRecordType::kSyncPoint) return state;
    TRY(ApplyRecord(*record, kManifestHeaderBytes, path, state));
  }
  const uint64_t end = reader.offset();
  TRY_ASSIGN(const auto point, FindSyncPoint(*file, header.salt, end));
  // The snapshot was durable before CURRENT named the file.
  if (end == kManifestHeaderBytes || (point && static_cast<uint64_t>(point->durable) > end)) {
    return Fail(Errc::kCorruption, "{}: offset {}: no valid record, but one had been durable here",
                path, end);
  }
  return state;  // what is behind was on its way when the process or the machine died
}

Result<ManifestState> NewState(const Env& env, const std::string& directory) {
  TRY_ASSIGN(const std::vector<std::string> names, env.files->List(directory));
  for (const std::string& name : names) {
    if (name.ends_with(".sst") || name.ends_with(".val") ||
        (name.starts_with("wal-") && name.ends_with(".log"))) {
      return Fail(Errc::kCorruption, "{}: CURRENT is missing, but {} is there", directory, name);
    }
  }
  ManifestState state;
  env.random->Fill(state.position_secret);
  for (int db = 0; db < kDatabaseCount; ++db) {
    state.databases[static_cast<size_t>(db)] = static_cast<TreeId>(db) + 1;
    state.trees[static_cast<TreeId>(db) + 1] = {};
  }
  return state;
}

}  // namespace

struct Manifest::Data {
  Env env;
  std::string directory;
  ManifestState state;

  // The manifest that CURRENT names.
  std::string name;
  std::unique_ptr<WritableFile> file;
  uint64_t salt = 0;
  uint64_t end = 0;  // behind the last record
  uint64_t allocated = 0;
  uint64_t rewrite_at = 0;  // when `end` is beyond it

  uint64_t next_manifest_number = 1;
  Result<void> error;

  std::string Path(std::string_view file_name) const { return PathOf(directory, file_name); }
  Result<void> Write(const std::string& record);
  Result<void> Rewrite();
  Result<void> InstallCurrent();
  Result<void> RemoveOthers();
};

Manifest::Manifest(std::unique_ptr<Data> data) : data_(std::move(data)) {}
Manifest::~Manifest() = default;

const ManifestState& Manifest::state() const { return data_->state; }

Result<std::unique_ptr<Manifest>> Manifest::Open(const Env& env, const std::string& directory) {
  auto data = std::make_unique<Data>();
  data->env = env;
  data->directory = directory;
  TRY_ASSIGN(const std::vector<std::string> names, env.files->List(directory));
  for (const std::string& name : names) {
    const uint64_t number = ParseManifestName(name).value_or(0);
    data->next_manifest_number = std::max(data->next_manifest_number, number + 1);
  }
  TRY_ASSIGN(const std::optional<std::string> current, ReadCurrent(*env.files, directory));
  if (current) {
    TRY_ASSIGN(data->state, ReadManifest(*env.files, data->Path(*current)));
  } else {
    TRY_ASSIGN(data->state, NewState(env, directory));
  }
  // Always: what was read may be in the kernel only, or have a torn tail.
  TRY(data->Rewrite());
  TRY(data->error);
  TRY(data->RemoveOthers());
  return std::unique_ptr<Manifest>(new Manifest(std::move(data)));
}

// An error that it returns has changed nothing; one that leaves open which manifest counts is put
// into `error`.
Result<void> Manifest::Data::Rewrite() {
  const std::string new_name = ManifestName(next_manifest_number);
  const ManifestHeader header{NewLogSalt(env), state.position_secret};
  std::string bytes = EncodeManifestHeader(header);
  AppendLogRecord(bytes, LogRecordType::kSnapshot, EncodeEdit(SnapshotEdit(state)), header.salt,
                  bytes.size());
  const uint64_t new_end = bytes.size();
  // True as soon as CURRENT names the file.
  AppendSyncPoint(bytes, static_cast<int64_t>(new_end), header.salt, new_end);
  TRY_ASSIGN(auto new_file, WriteFile(*env.files, Path(new_name), bytes));
  TRY(env.files->SyncDirectory(directory));
  TRY(WriteFile(*env.files, Path(kCurrentTemporary), new_name + "\n"));
  error = InstallCurrent();
  if (!error) return {};
  name = new_name;
  file = std::move(new_file);
  salt = header.salt;
  end = new_end;
  allocated = bytes.size();
  rewrite_at = std::max(kRewriteBytesMin, kRewriteFactor * end);
  ++next_manifest_number;
  return {};
}

Result<void> Manifest::Data::InstallCurrent() {
  TRY(env.files->Rename(Path(kCurrentTemporary), Path(kCurrent)));
  return env.files->SyncDirectory(directory);
}

Result<void> Manifest::Data::RemoveOthers() {
  TRY_ASSIGN(const std::vector<std::string> names, env.files->List(directory));
  for (const std::string& other : names) {
    if (other != kCurrentTemporary && (!ParseManifestName(other) || other == name)) continue;
    TRY(env.files->Remove(Path(other)));
  }
  return {};
}

Result<void> Manifest::Data::Write(const std::string& record) {
  std::string bytes = record;
  const uint64_t new_end = end + record.size();
  AppendSyncPoint(bytes, static_cast<int64_t>(end), salt, new_end);
  if (end + bytes.size() > allocated) {
    // So that a full disk is met here, where nothing has been written yet.
    const uint64_t wanted = end + bytes.size() + kAllocateBytes;
    TRY(file->Allocate(wanted));
    allocated = wanted;
  }
  const std::string_view piece = bytes;
  error = file->WriteAt(end, {&piece, 1});
  if (error) error = file->Sync();
  TRY(error);
  end = new_end;
  std::string point;
  AppendSyncPoint(point, static_cast<int64_t>(end), salt, end);
  const std::string_view point_piece = point;
  error = file->WriteAt(end, {&point_piece, 1});
  return {};
}

bool Manifest::takes_edits() const { return data_->error.has_value(); }

Result<void> Manifest::Append(const VersionEdit& edit) {
  Data& data = *data_;
  TRY(data.error);
  TRY(data.state.Check(edit));
  std::string record;
  AppendLogRecord(record, LogRecordType::kEdit, EncodeEdit(edit), data.salt, data.end);
  TRY(data.Write(record));
  TRY(data.state.Apply(edit));
  if (data.end > data.rewrite_at && data.error) {
    const std::string old_name = data.name;
    // The edit is durable, come what may. A full disk puts the rewriting off.
    if (!data.Rewrite()) {
      data.rewrite_at = data.end + kRewriteBytesMin;
    } else if (data.error) {
      [[maybe_unused]] const Result<void> removed =
          data.env.files->Remove(data.Path(old_name));  // else the next start does it
    }
  }
  return {};
}

}  // namespace varve::engine
