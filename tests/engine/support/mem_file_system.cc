#include "engine/support/mem_file_system.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>
#include <utility>

namespace varve::engine::testing {

namespace {

constexpr uint64_t kPageBytes = 4096;

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string WithoutTrailingSlash(std::string directory) {
  while (directory.size() > 1 && directory.back() == '/') directory.pop_back();
  return directory;
}

}  // namespace

struct MemFileSystem::Inode {
  std::string bytes;
  std::string durable;
  std::set<uint64_t> dirty;  // pages in which the two may differ

  void MarkDirty(uint64_t begin, uint64_t end) {
    for (uint64_t page = begin / kPageBytes; page * kPageBytes < end; ++page) dirty.insert(page);
  }

  void Resize(uint64_t size) {
    MarkDirty(std::min<uint64_t>(size, bytes.size()), std::max<uint64_t>(size, bytes.size()));
    bytes.resize(size);
  }

  void Sync() {
    durable.resize(bytes.size());
    for (const uint64_t page : dirty) {
      const uint64_t begin = page * kPageBytes;
      if (begin >= bytes.size()) continue;
      durable.replace(begin, kPageBytes, bytes, begin, kPageBytes);
    }
    dirty.clear();
  }

  // The file after a power loss.
  std::string Survivor(std::mt19937_64& random) const {
    std::string result = durable;
    if (dirty.empty()) return result;
    const size_t low = std::min(bytes.size(), durable.size());
    const size_t high = std::max(bytes.size(), durable.size());
    // Half of the time one of the two sizes, else any in between.
    const uint64_t sizes[] = {bytes.size(), durable.size(), low + random() % (high - low + 1)};
    result.resize(sizes[random() % 3]);
    for (const uint64_t page : dirty) {
      const uint64_t begin = page * kPageBytes;
      // All of it, nothing, or an earlier state of a page that was appended to.
      const uint64_t choices[] = {kPageBytes, 0, random() % kPageBytes};
      const uint64_t kept = choices[random() % 3];
      const uint64_t end = std::min<uint64_t>({begin + kept, bytes.size(), result.size()});
      if (begin < end) result.replace(begin, end - begin, bytes, begin, end - begin);
    }
    return result;
  }
};

class MemFileSystem::ReadHandle : public RandomAccessFile {
 public:
  ReadHandle(std::shared_ptr<std::mutex> mutex, InodePtr inode, std::string path)
      : mutex_(std::move(mutex)),
        inode_(std::move(inode)),
        path_(std::move(path)),
        size_(inode_->bytes.size()) {}

  Result<void> ReadAt(uint64_t offset, std::span<char> out) const override {
    const std::lock_guard lock(*mutex_);
    const std::string& bytes = inode_->bytes;
    if (offset > bytes.size() || out.size() > bytes.size() - offset) {
      return Fail(Errc::kCorruption, "{}: the file ends at {}, within the read at {}+{}", path_,
                  bytes.size(), offset, out.size());
    }
    std::copy_n(bytes.data() + offset, out.size(), out.data());
    return {};
  }
  uint64_t size() const override { return size_; }
  const std::string& path() const override { return path_; }
  void WillNeed(uint64_t, uint64_t) const override {}
  void DontNeed(uint64_t, uint64_t) const override {}

 private:
  const std::shared_ptr<std::mutex> mutex_;
  const InodePtr inode_;
  const std::string path_;
  const uint64_t size_;
};

class MemFileSystem::WriteHandle : public WritableFile {
 public:
  WriteHandle(MemFileSystem* files, InodePtr inode, std::string path)
      : files_(files), mutex_(files->mutex_), inode_(std::move(inode)), path_(std::move(path)) {}

  Result<void> WriteAt(uint64_t offset, std::span<const std::string_view> pieces) override {
    const std::lock_guard lock(*mutex_);
    std::string& bytes = inode_->bytes;
    for (const std::string_view piece : pieces) {
      TRY(GrowTo(offset + piece.size(), "pwritev"));
      std::copy(piece.begin(), piece.end(), bytes.begin() + static_cast<ptrdiff_t>(offset));
      inode_->MarkDirty(offset, offset + piece.size());
      offset += piece.size();
    }
    return {};
  }
  Result<void> Allocate(uint64_t size) override {
    const std::lock_guard lock(*mutex_);
    return GrowTo(size, "fallocate");
  }
  Result<void> Sync() override {
    const std::lock_guard lock(*mutex_);
    inode_->Sync();
    return {};
  }
  void StartWriteback(uint64_t, uint64_t) override {}
  const std::string& path() const override { return path_; }

 private:
  Result<void> GrowTo(uint64_t size, const char* call) {
    if (size <= inode_->bytes.size()) return {};
    TRY(files_->CheckRoom(size - inode_->bytes.size(), fmt::format("{} {}", call, path_)));
    inode_->Resize(size);
    return {};
  }

  MemFileSystem* const files_;
  const std::shared_ptr<std::mutex> mutex_;
  const InodePtr inode_;
  const std::string path_;
};

class MemFileSystem::LockHandle : public DirectoryLock {
 public:
  LockHandle(std::shared_ptr<std::mutex> mutex, std::shared_ptr<std::set<std::string>> locks,
             std::string path)
      : mutex_(std::move(mutex)), locks_(std::move(locks)), path_(std::move(path)) {}
  ~LockHandle() override {
    const std::lock_guard lock(*mutex_);
    locks_->erase(path_);
  }

 private:
  const std::shared_ptr<std::mutex> mutex_;
  const std::shared_ptr<std::set<std::string>> locks_;
  const std::string path_;
};

MemFileSystem::MemFileSystem() : directories_({".", "/"}) {}
MemFileSystem::~MemFileSystem() = default;

std::unique_ptr<MemFileSystem> MemFileSystem::CrashClone(uint64_t seed) const {
  const std::lock_guard lock(*mutex_);
  std::mt19937_64 random(seed);
  auto clone = std::make_unique<MemFileSystem>();
  clone->directories_ = directories_;
  clone->capacity_bytes_ = capacity_bytes_;

  std::map<std::string, InodePtr> names = durable_names_;
  size_t kept = seed == 0 ? 0 : random() % (unsynced_.size() + 1);
  if (kept > 0 && unsynced_[kept - 1].with_next) ++kept;  // a rename is one change
  for (size_t i = 0; i < kept; ++i) names[unsynced_[i].path] = unsynced_[i].inode;
  for (const auto& [path, inode] : names) {
    if (inode == nullptr) continue;
    auto survivor = std::make_shared<Inode>();
    survivor->bytes = seed == 0 ? inode->durable : inode->Survivor(random);
    survivor->durable = survivor->bytes;
    clone->names_[path] = survivor;
  }
  clone->durable_names_ = clone->names_;
  return clone;
}

std::unique_ptr<MemFileSystem> MemFileSystem::KillClone() const {
  const std::lock_guard lock(*mutex_);
  auto clone = std::make_unique<MemFileSystem>();
  clone->directories_ = directories_;
  clone->capacity_bytes_ = capacity_bytes_;
  std::map<InodePtr, InodePtr> copies;  // durable and current names share inodes
  const auto copy = [&copies](const InodePtr& inode) -> InodePtr {
    if (inode == nullptr) return nullptr;
    InodePtr& result = copies[inode];
    if (result == nullptr) result = std::make_shared<Inode>(*inode);
    return result;
  };
  for (const auto& [path, inode] : names_) clone->names_[path] = copy(inode);
  for (const auto& [path, inode] : durable_names_) clone->durable_names_[path] = copy(inode);
  for (const NameChange& change : unsynced_) {
    clone->unsynced_.push_back({change.path, copy(change.inode), change.with_next});
  }
  return clone;
}

void MemFileSystem::Corrupt(const std::string& path, uint64_t offset) {
  const std::lock_guard lock(*mutex_);
  Inode& inode = *names_.at(path);
  inode.bytes.at(offset) ^= 0x10;
  if (offset < inode.durable.size()) inode.durable[offset] = inode.bytes[offset];
}

void MemFileSystem::CutOff(const std::string& path, uint64_t size) {
  const std::lock_guard lock(*mutex_);
  Inode& inode = *names_.at(path);
  inode.Resize(size);
  inode.Sync();
}

void MemFileSystem::Write(const std::string& path, std::string bytes) {
  const std::lock_guard lock(*mutex_);
  auto inode = std::make_shared<Inode>();
  inode->durable = bytes;
  inode->bytes = std::move(bytes);
  names_[path] = inode;
  durable_names_[path] = inode;
  std::erase_if(unsynced_, [&](const NameChange& change) { return change.path == path; });
}

void MemFileSystem::SetCapacity(uint64_t bytes) {
  const std::lock_guard lock(*mutex_);
  capacity_bytes_ = bytes;
}

uint64_t MemFileSystem::used_bytes() const {
  const std::lock_guard lock(*mutex_);
  return UsedBytes();
}

size_t MemFileSystem::unsynced_name_changes() const {
  const std::lock_guard lock(*mutex_);
  return unsynced_.size();
}

bool MemFileSystem::IsSynced(const std::string& path) const {
  const std::lock_guard lock(*mutex_);
  return names_.at(path)->dirty.empty();
}

uint64_t MemFileSystem::UsedBytes() const {
  uint64_t sum = 0;
  for (const auto& [path, inode] : names_) sum += inode->bytes.size();
  return sum;
}

Result<void> MemFileSystem::CheckRoom(uint64_t more_bytes, const std::string& what) const {
  if (capacity_bytes_ == std::numeric_limits<uint64_t>::max()) return {};
  if (UsedBytes() + more_bytes > capacity_bytes_) return FailSystem(ENOSPC, what);
  return {};
}

Result<MemFileSystem::InodePtr> MemFileSystem::Find(const std::string& path,
                                                    const char* call) const {
  const auto found = names_.find(path);
  if (found == names_.end()) return FailSystem(ENOENT, fmt::format("{} {}", call, path));
  return found->second;
}

Result<void> MemFileSystem::RequireDirectory(const std::string& path, const char* call) const {
  if (directories_.contains(DirectoryOf(path))) return {};
  return FailSystem(ENOENT, fmt::format("{} {}", call, path));
}

void MemFileSystem::SetName(const std::string& path, InodePtr inode, bool with_next) {
  if (inode == nullptr) {
    names_.erase(path);
  } else {
    names_[path] = inode;
  }
  unsynced_.push_back({path, std::move(inode), with_next});
}

Result<std::unique_ptr<RandomAccessFile>> MemFileSystem::OpenForRead(const std::string& path) {
  const std::lock_guard lock(*mutex_);
  TRY_ASSIGN(InodePtr inode, Find(path, "open"));
  return std::unique_ptr<RandomAccessFile>(
      std::make_unique<ReadHandle>(mutex_, std::move(inode), path));
}

Result<std::unique_ptr<WritableFile>> MemFileSystem::Create(const std::string& path) {
  const std::lock_guard lock(*mutex_);
  TRY(RequireDirectory(path, "open"));
  InodePtr inode;
  if (const auto found = names_.find(path); found != names_.end()) {
    inode = found->second;
    inode->Resize(0);
  } else {
    inode = std::make_shared<Inode>();
    SetName(path, inode, false);
  }
  return std::unique_ptr<WritableFile>(std::make_unique<WriteHandle>(this, inode, path));
}

Result<std::unique_ptr<WritableFile>> MemFileSystem::OpenForWrite(const std::string& path) {
  const std::lock_guard lock(*mutex_);
  TRY_ASSIGN(InodePtr inode, Find(path, "open"));
  return std::unique_ptr<WritableFile>(std::make_unique<WriteHandle>(this, inode, path));
}

Result<std::string> MemFileSystem::ReadWhole(const std::string& path) {
  const std::lock_guard lock(*mutex_);
  TRY_ASSIGN(const InodePtr inode, Find(path, "open"));
  return inode->bytes;
}

Result<void> MemFileSystem::Rename(const std::string& from, const std::string& to) {
  const std::lock_guard lock(*mutex_);
  TRY_ASSIGN(InodePtr inode, Find(from, "rename"));
  TRY(RequireDirectory(to, "rename"));
  if (from == to) return {};
  SetName(to, inode, true);
  SetName(from, nullptr, false);
  return {};
}

Result<void> MemFileSystem::Remove(const std::string& path) {
  const std::lock_guard lock(*mutex_);
  TRY(Find(path, "unlink"));
  SetName(path, nullptr, false);
  return {};
}

Result<void> MemFileSystem::Truncate(const std::string& path, uint64_t size) {
  const std::lock_guard lock(*mutex_);
  TRY_ASSIGN(const InodePtr inode, Find(path, "truncate"));
  inode->Resize(size);
  return {};
}

Result<bool> MemFileSystem::Exists(const std::string& path) {
  const std::lock_guard lock(*mutex_);
  return names_.contains(path) || directories_.contains(path);
}

Result<uint64_t> MemFileSystem::FileSize(const std::string& path) {
  const std::lock_guard lock(*mutex_);
  TRY_ASSIGN(const InodePtr inode, Find(path, "stat"));
  return uint64_t{inode->bytes.size()};
}

Result<std::vector<std::string>> MemFileSystem::List(const std::string& directory) {
  const std::lock_guard lock(*mutex_);
  const std::string wanted = WithoutTrailingSlash(directory);
  if (!directories_.contains(wanted)) return FailSystem(ENOENT, "opendir " + directory);
  std::vector<std::string> result;
  for (const auto& [path, inode] : names_) {
    if (DirectoryOf(path) == wanted) result.push_back(path.substr(path.rfind('/') + 1));
  }
  return result;
}

Result<void> MemFileSystem::CreateDirectories(const std::string& directory) {
  const std::lock_guard lock(*mutex_);
  for (std::string d = WithoutTrailingSlash(directory); directories_.insert(d).second;) {
    d = DirectoryOf(d);
  }
  return {};
}

Result<void> MemFileSystem::SyncDirectory(const std::string& directory) {
  const std::lock_guard lock(*mutex_);
  const std::string wanted = WithoutTrailingSlash(directory);
  if (!directories_.contains(wanted)) return FailSystem(ENOENT, "open " + directory);
  std::erase_if(unsynced_, [&](const NameChange& change) {
    if (DirectoryOf(change.path) != wanted) return false;
    if (change.inode == nullptr) {
      durable_names_.erase(change.path);
    } else {
      durable_names_[change.path] = change.inode;
    }
    return true;
  });
  return {};
}

Result<std::unique_ptr<DirectoryLock>> MemFileSystem::Lock(const std::string& path) {
  const std::lock_guard lock(*mutex_);
  TRY(RequireDirectory(path, "open"));
  if (!locks_->insert(path).second) {
    return Fail(Errc::kInvalidArgument, "the directory {} is in use by another process (lock {})",
                DirectoryOf(path), path);
  }
  if (!names_.contains(path)) SetName(path, std::make_shared<Inode>(), false);
  return std::unique_ptr<DirectoryLock>(std::make_unique<LockHandle>(mutex_, locks_, path));
}

Result<DiskSpace> MemFileSystem::Space(const std::string&) {
  const std::lock_guard lock(*mutex_);
  const uint64_t used = UsedBytes();
  return DiskSpace{capacity_bytes_ - std::min(used, capacity_bytes_), capacity_bytes_};
}

}  // namespace varve::engine::testing
