#include "engine/support/fault_file_system.h"

#include <algorithm>
#include <utility>

namespace varve::engine::testing {

void FaultPlan::Fail(Rule rule) {
  rule_ = std::move(rule);
  active_ = true;
  matching_ = 0;
  failures_ = 0;
}

void FaultPlan::Clear() { active_ = false; }

void FaultPlan::SetObserver(std::function<void(FileCall, const std::string&)> observer) {
  observer_ = std::move(observer);
}

int FaultPlan::Next(FileCall call, const std::string& path) {
  if (observer_) observer_(call, path);
  if (!active_) return 0;
  const auto& calls = rule_.calls;
  if (!calls.empty() && std::find(calls.begin(), calls.end(), call) == calls.end()) return 0;
  if (path.find(rule_.path_contains) == std::string::npos) return 0;
  ++matching_;
  if (matching_ < rule_.nth || matching_ - rule_.nth >= rule_.count) return 0;
  ++failures_;
  return rule_.system_error;
}

namespace {

Result<void> CheckPlan(FaultPlan* plan, FileCall call, const std::string& path) {
  const int system_error = plan->Next(call, path);
  if (system_error == 0) return {};
  return FailSystem(system_error,
                    fmt::format("injected into call {} of {}", static_cast<int>(call), path));
}

class FaultReadFile : public RandomAccessFile {
 public:
  FaultReadFile(std::unique_ptr<RandomAccessFile> base, FaultPlan* plan)
      : base_(std::move(base)), plan_(plan) {}

  Result<void> ReadAt(uint64_t offset, std::span<char> out) const override {
    TRY(CheckPlan(plan_, FileCall::kReadAt, path()));
    return base_->ReadAt(offset, out);
  }
  uint64_t size() const override { return base_->size(); }
  const std::string& path() const override { return base_->path(); }
  void WillNeed(uint64_t offset, uint64_t size) const override { base_->WillNeed(offset, size); }
  void DontNeed(uint64_t offset, uint64_t size) const override { base_->DontNeed(offset, size); }

 private:
  const std::unique_ptr<RandomAccessFile> base_;
  FaultPlan* const plan_;
};

class FaultWriteFile : public WritableFile {
 public:
  FaultWriteFile(std::unique_ptr<WritableFile> base, FaultPlan* plan)
      : base_(std::move(base)), plan_(plan) {}

  Result<void> WriteAt(uint64_t offset, std::span<const std::string_view> pieces) override {
    const Result<void> allowed = CheckPlan(plan_, FileCall::kWriteAt, path());
    if (allowed) return base_->WriteAt(offset, pieces);
    std::string all;
    for (const std::string_view piece : pieces) all += piece;
    const std::string_view half = std::string_view(all).substr(0, all.size() / 2);
    TRY(base_->WriteAt(offset, {&half, 1}));
    return allowed;
  }
  Result<void> Allocate(uint64_t size) override {
    TRY(CheckPlan(plan_, FileCall::kAllocate, path()));
    return base_->Allocate(size);
  }
  Result<void> Sync() override {
    TRY(CheckPlan(plan_, FileCall::kSync, path()));
    return base_->Sync();
  }
  void StartWriteback(uint64_t offset, uint64_t size) override {
    base_->StartWriteback(offset, size);
  }
  const std::string& path() const override { return base_->path(); }

 private:
  const std::unique_ptr<WritableFile> base_;
  FaultPlan* const plan_;
};

}  // namespace

Result<void> FaultFileSystem::Check(FileCall call, const std::string& path) {
  return CheckPlan(plan_, call, path);
}

Result<std::unique_ptr<RandomAccessFile>> FaultFileSystem::OpenForRead(const std::string& path) {
  TRY(Check(FileCall::kOpenForRead, path));
  TRY_ASSIGN(auto file, base_->OpenForRead(path));
  return std::unique_ptr<RandomAccessFile>(std::make_unique<FaultReadFile>(std::move(file), plan_));
}

Result<std::unique_ptr<WritableFile>> FaultFileSystem::Create(const std::string& path) {
  TRY(Check(FileCall::kCreate, path));
  TRY_ASSIGN(auto file, base_->Create(path));
  return std::unique_ptr<WritableFile>(std::make_unique<FaultWriteFile>(std::move(file), plan_));
}

Result<std::unique_ptr<WritableFile>> FaultFileSystem::OpenForWrite(const std::string& path) {
  TRY(Check(FileCall::kOpenForWrite, path));
  TRY_ASSIGN(auto file, base_->OpenForWrite(path));
  return std::unique_ptr<WritableFile>(std::make_unique<FaultWriteFile>(std::move(file), plan_));
}

Result<std::string> FaultFileSystem::ReadWhole(const std::string& path) {
  TRY(Check(FileCall::kReadWhole, path));
  return base_->ReadWhole(path);
}

Result<void> FaultFileSystem::Rename(const std::string& from, const std::string& to) {
  TRY(Check(FileCall::kRename, from));
  return base_->Rename(from, to);
}

Result<void> FaultFileSystem::Remove(const std::string& path) {
  TRY(Check(FileCall::kRemove, path));
  return base_->Remove(path);
}

Result<void> FaultFileSystem::Truncate(const std::string& path, uint64_t size) {
  TRY(Check(FileCall::kTruncate, path));
  return base_->Truncate(path, size);
}

Result<bool> FaultFileSystem::Exists(const std::string& path) {
  TRY(Check(FileCall::kExists, path));
  return base_->Exists(path);
}

Result<uint64_t> FaultFileSystem::FileSize(const std::string& path) {
  TRY(Check(FileCall::kFileSize, path));
  return base_->FileSize(path);
}

Result<std::vector<std::string>> FaultFileSystem::List(const std::string& directory) {
  TRY(Check(FileCall::kList, directory));
  return base_->List(directory);
}

Result<void> FaultFileSystem::CreateDirectories(const std::string& directory) {
  TRY(Check(FileCall::kCreateDirectories, directory));
  return base_->CreateDirectories(directory);
}

Result<void> FaultFileSystem::SyncDirectory(const std::string& directory) {
  TRY(Check(FileCall::kSyncDirectory, directory));
  return base_->SyncDirectory(directory);
}

Result<std::unique_ptr<DirectoryLock>> FaultFileSystem::Lock(const std::string& path) {
  TRY(Check(FileCall::kLock, path));
  return base_->Lock(path);
}

Result<DiskSpace> FaultFileSystem::Space(const std::string& directory) {
  TRY(Check(FileCall::kSpace, directory));
  return base_->Space(directory);
}

}  // namespace varve::engine::testing
