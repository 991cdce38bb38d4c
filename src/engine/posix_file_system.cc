#include "engine/posix_file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <utility>

namespace varve::engine {

class FileDescriptor {
 public:
  explicit FileDescriptor(int number) : number_(number) {}
  FileDescriptor(FileDescriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&&) = delete;
  ~FileDescriptor() {
    // Its result does not matter: what must be durable was synced, and Linux has released the
    // number even after EINTR.
    if (number_ >= 0) ::close(number_);
  }
  int get() const { return number_; }

 private:
  int number_;
};

namespace {

// Calls `call` again for as long as a signal interrupts it.
template <typename Call>
auto Uninterrupted(Call call) {
  for (;;) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

Result<FileDescriptor> Open(const std::string& path, int flags) {
  const int number = Uninterrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0644); });
  if (number < 0) return FailSystem(errno, "open " + path);
  return FileDescriptor(number);
}

// Writes all of the pieces, in batches that one call takes.
Result<void> WritePieces(int fd, const std::string& path, uint64_t offset,
                         std::span<const std::string_view> pieces) {
  std::array<iovec, std::min(IOV_MAX, 64)> batch;
  size_t skip = 0;  // bytes of the first piece that are written
  while (!pieces.empty()) {
    size_t count = 0;
    size_t bytes = 0;
    for (; count < batch.size() && count < pieces.size(); ++count) {
      const std::string_view piece = pieces[count].substr(count == 0 ? skip : 0);
      batch[count] = {const_cast<char*>(piece.data()), piece.size()};
      bytes += piece.size();
    }
    ssize_t written = 0;
    if (bytes > 0) {
      written = Uninterrupted([&] {
        return ::pwritev(fd, batch.data(), static_cast<int>(count), static_cast<off_t>(offset));
      });
      if (written <= 0) {  // 0 would come for ever
        return FailSystem(written < 0 ? errno : EIO,
                          fmt::format("pwritev {} at {}+{}", path, offset, bytes));
      }
    }
    offset += static_cast<uint64_t>(written);
    skip += static_cast<size_t>(written);
    while (!pieces.empty() && skip >= pieces.front().size()) {
      skip -= pieces.front().size();
      pieces = pieces.subspan(1);
    }
  }
  return {};
}

Result<uint64_t> SizeOf(int fd, const std::string& path) {
  struct stat status;
  if (::fstat(fd, &status) != 0) return FailSystem(errno, "fstat " + path);
  return static_cast<uint64_t>(status.st_size);
}

class PosixRandomAccessFile : public RandomAccessFile {
 public:
  PosixRandomAccessFile(FileDescriptor fd, std::string path, uint64_t size)
      : fd_(std::move(fd)), path_(std::move(path)), size_(size) {
    // Rows lie in the order of a hash: the kernel's guess of what comes next is always wrong. Who
    // reads on in order asks for large pieces itself.
    ::posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_RANDOM);
  }

  Result<void> ReadAt(uint64_t offset, std::span<char> out) const override {
    for (size_t done = 0; done < out.size();) {
      const ssize_t count = Uninterrupted([&] {
        return ::pread(fd_.get(), out.data() + done, out.size() - done,
                       static_cast<off_t>(offset + done));
      });
      if (count < 0) {
        return FailSystem(errno, fmt::format("pread {} at {}+{}", path_, offset, out.size()));
      }
      if (count == 0) {
        return Fail(Errc::kCorruption, "{}: the file ends at {}, within the read at {}+{}", path_,
                    offset + done, offset, out.size());
      }
      done += static_cast<size_t>(count);
    }
    return {};
  }
  uint64_t size() const override { return size_; }
  const std::string& path() const override { return path_; }
  int descriptor() const override { return fd_.get(); }
  void WillNeed(uint64_t offset, uint64_t size) const override {
    Advise(offset, size, POSIX_FADV_WILLNEED);
  }
  void DontNeed(uint64_t offset, uint64_t size) const override {
    Advise(offset, size, POSIX_FADV_DONTNEED);
  }

 private:
  void Advise(uint64_t offset, uint64_t size, int advice) const {
    if (size == 0) return;  // would mean: to the end of the file
    ::posix_fadvise(fd_.get(), static_cast<off_t>(offset), static_cast<off_t>(size), advice);
  }

  const FileDescriptor fd_;
  const std::string path_;
  const uint64_t size_;
};

class PosixWritableFile : public WritableFile {
 public:
  PosixWritableFile(FileDescriptor fd, std::string path)
      : fd_(std::move(fd)), path_(std::move(path)) {}

  Result<void> WriteAt(uint64_t offset, std::span<const std::string_view> pieces) override {
    return WritePieces(fd_.get(), path_, offset, pieces);
  }

  Result<void> Allocate(uint64_t size) override {
    if (size == 0) return {};
    const int result =
        Uninterrupted([&] { return ::fallocate(fd_.get(), 0, 0, static_cast<off_t>(size)); });
    if (result == 0) return {};
    if (errno == EOPNOTSUPP || errno == ENOSYS) return WriteZerosUpTo(size);
    return FailSystem(errno, fmt::format("fallocate {} to {}", path_, size));
  }

  Result<void> Sync() override {
    if (Uninterrupted([&] { return ::fdatasync(fd_.get()); }) == 0) return {};
    return FailSystem(errno, "fdatasync " + path_);
  }

  void StartWriteback(uint64_t offset, uint64_t size) override {
    if (size == 0) return;
    ::sync_file_range(fd_.get(), static_cast<off_t>(offset), static_cast<off_t>(size),
                      SYNC_FILE_RANGE_WRITE);
    // What these writes make clean is dropped by the next call; those of the last one are now.
    ::posix_fadvise(fd_.get(), 0, static_cast<off_t>(offset + size), POSIX_FADV_DONTNEED);
  }

  const std::string& path() const override { return path_; }

 private:
  // For file systems without fallocate (NFS, some FUSE ones).
  Result<void> WriteZerosUpTo(uint64_t size) {
    static constexpr std::array<char, 64 * 1024> kZeros{};
    TRY_ASSIGN(uint64_t offset, SizeOf(fd_.get(), path_));
    while (offset < size) {
      const std::string_view piece(kZeros.data(), std::min<uint64_t>(kZeros.size(), size - offset));
      TRY(WritePieces(fd_.get(), path_, offset, {&piece, 1}));
      offset += piece.size();
    }
    return {};
  }

  const FileDescriptor fd_;
  const std::string path_;
};

class PosixDirectoryLock : public DirectoryLock {
 public:
  explicit PosixDirectoryLock(FileDescriptor fd) : fd_(std::move(fd)) {}

 private:
  const FileDescriptor fd_;  // closing it releases the lock
};

std::string ParentOf(const std::string& path) {
  const size_t end = path.find_last_not_of('/');
  const size_t slash = end == std::string::npos ? end : path.rfind('/', end);
  if (slash == std::string::npos) return end == std::string::npos ? "/" : ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Result<bool> IsDirectory(const std::string& path) {
  struct stat status;
  if (::stat(path.c_str(), &status) == 0) return S_ISDIR(status.st_mode);
  if (errno == ENOENT) return false;
  return FailSystem(errno, "stat " + path);
}

bool IsAt(const FileDescriptor& fd, const std::string& path) {
  struct stat open_one;
  struct stat named;
  return ::fstat(fd.get(), &open_one) == 0 && ::stat(path.c_str(), &named) == 0 &&
         open_one.st_dev == named.st_dev && open_one.st_ino == named.st_ino;
}

Result<std::unique_ptr<WritableFile>> OpenWritable(const std::string& path, int flags) {
  TRY_ASSIGN(FileDescriptor fd, Open(path, flags));
  return std::unique_ptr<WritableFile>(std::make_unique<PosixWritableFile>(std::move(fd), path));
}

}  // namespace

Result<std::unique_ptr<RandomAccessFile>> PosixFileSystem::OpenForRead(const std::string& path) {
  TRY_ASSIGN(FileDescriptor fd, Open(path, O_RDONLY));
  TRY_ASSIGN(const uint64_t size, SizeOf(fd.get(), path));
  return std::unique_ptr<RandomAccessFile>(
      std::make_unique<PosixRandomAccessFile>(std::move(fd), path, size));
}

Result<std::unique_ptr<WritableFile>> PosixFileSystem::Create(const std::string& path) {
  return OpenWritable(path, O_WRONLY | O_CREAT | O_TRUNC);
}

Result<std::unique_ptr<WritableFile>> PosixFileSystem::OpenForWrite(const std::string& path) {
  return OpenWritable(path, O_WRONLY);
}

Result<std::string> PosixFileSystem::ReadWhole(const std::string& path) {
  TRY_ASSIGN(const FileDescriptor fd, Open(path, O_RDONLY));
  TRY_ASSIGN(const uint64_t size, SizeOf(fd.get(), path));
  std::string bytes(size + 1, '\0');  // one more, to see the end in the same read
  for (size_t done = 0;;) {
    const ssize_t count =
        Uninterrupted([&] { return ::read(fd.get(), bytes.data() + done, bytes.size() - done); });
    if (count < 0) return FailSystem(errno, fmt::format("read {} at {}", path, done));
    done += static_cast<size_t>(count);
    if (count == 0) {
      bytes.resize(done);
      return bytes;
    }
    if (done == bytes.size()) bytes.resize(bytes.size() * 2);  // it grows while we read
  }
}

Result<void> PosixFileSystem::Rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return {};
  return FailSystem(errno, fmt::format("rename {} to {}", from, to));
}

Result<void> PosixFileSystem::Remove(const std::string& path) {
  if (::unlink(path.c_str()) == 0) return {};
  return FailSystem(errno, "unlink " + path);
}

Result<void> PosixFileSystem::Truncate(const std::string& path, uint64_t size) {
  const int result =
      Uninterrupted([&] { return ::truncate(path.c_str(), static_cast<off_t>(size)); });
  if (result == 0) return {};
  return FailSystem(errno, fmt::format("truncate {} to {}", path, size));
}

Result<bool> PosixFileSystem::Exists(const std::string& path) {
  struct stat status;
  if (::stat(path.c_str(), &status) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return FailSystem(errno, "stat " + path);
}

Result<uint64_t> PosixFileSystem::FileSize(const std::string& path) {
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) return FailSystem(errno, "stat " + path);
  return static_cast<uint64_t>(status.st_size);
}

Result<std::vector<std::string>> PosixFileSystem::List(const std::string& directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(directory.c_str()), ::closedir);
  if (stream == nullptr) return FailSystem(errno, "opendir " + directory);
  std::vector<std::string> names;
  for (;;) {
    errno = 0;  // the only way to tell the end from an error
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) return FailSystem(errno, "readdir " + directory);
  return names;
}

Result<void> PosixFileSystem::CreateDirectories(const std::string& directory) {
  TRY_ASSIGN(const bool exists, IsDirectory(directory));
  if (exists) return {};
  const std::string parent = ParentOf(directory);
  if (parent != directory) TRY(CreateDirectories(parent));
  if (::mkdir(directory.c_str(), 0755) != 0) {
    const int system_error = errno;
    // Somebody else may have made it at the same moment.
    TRY_ASSIGN(const bool made_meanwhile, IsDirectory(directory));
    if (!made_meanwhile) return FailSystem(system_error, "mkdir " + directory);
  }
  // Else a power loss could take the whole database, however well its own files are synced.
  return SyncDirectory(parent);
}

// An open one is used again if its path still leads there.
Result<std::shared_ptr<const FileDescriptor>> PosixFileSystem::OpenDirectory(
    const std::string& directory) {
  const std::lock_guard lock(directories_mutex_);
  std::shared_ptr<const FileDescriptor>& known = directories_[directory];
  if (known != nullptr && IsAt(*known, directory)) return known;
  known = nullptr;
  TRY_ASSIGN(FileDescriptor opened, Open(directory, O_RDONLY | O_DIRECTORY));
  known = std::make_shared<const FileDescriptor>(std::move(opened));
  return known;
}

Result<void> PosixFileSystem::SyncDirectory(const std::string& directory) {
  TRY_ASSIGN(const auto fd, OpenDirectory(directory));
  if (Uninterrupted([&] { return ::fsync(fd->get()); }) == 0) return {};
  return FailSystem(errno, "fsync " + directory);
}

Result<std::unique_ptr<DirectoryLock>> PosixFileSystem::Lock(const std::string& path) {
  TRY_ASSIGN(FileDescriptor fd, Open(path, O_RDWR | O_CREAT));
  if (Uninterrupted([&] { return ::flock(fd.get(), LOCK_EX | LOCK_NB); }) != 0) {
    if (errno != EWOULDBLOCK) return FailSystem(errno, "flock " + path);
    const Result<std::string> holder = ReadWhole(path);
    return Fail(Errc::kInvalidArgument, "the directory {} is in use by process {} (lock file {})",
                ParentOf(path), holder && !holder->empty() ? *holder : "?", path);
  }
  // Over what was there, so that a full disk has room for it; if it has none, only a message
  // suffers.
  const std::string holder = fmt::format("{}", ::getpid());
  const std::string_view piece = holder;
  if (WritePieces(fd.get(), path, 0, {&piece, 1})) {
    [[maybe_unused]] const int cut = ::ftruncate(fd.get(), static_cast<off_t>(holder.size()));
  }
  return std::unique_ptr<DirectoryLock>(std::make_unique<PosixDirectoryLock>(std::move(fd)));
}

Result<DiskSpace> PosixFileSystem::Space(const std::string& directory) {
  struct statvfs status;
  if (Uninterrupted([&] { return ::statvfs(directory.c_str(), &status); }) != 0) {
    return FailSystem(errno, "statvfs " + directory);
  }
  return DiskSpace{uint64_t{status.f_bavail} * status.f_frsize,
                   uint64_t{status.f_blocks} * status.f_frsize};
}

}  // namespace varve::engine
