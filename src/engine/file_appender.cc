#include "engine/file_appender.h"

#include <array>
#include <tuple>
#include <utility>

namespace varve::engine {
namespace {

constexpr size_t kWriteBytes = 256 << 10;    // what one write(2) takes at least
constexpr size_t kWritebackBytes = 1 << 20;  // dirty bytes before the kernel is told to write

}  // namespace

Result<std::unique_ptr<FileAppender>> FileAppender::Create(FileSystem* files, std::string path) {
  TRY_ASSIGN(auto file, files->Create(path));
  return std::unique_ptr<FileAppender>(new FileAppender(files, std::move(path), std::move(file)));
}

FileAppender::FileAppender(FileSystem* files, std::string path, std::unique_ptr<WritableFile> file)
    : files_(files), path_(std::move(path)), file_(std::move(file)) {
  pending_.reserve(kWriteBytes);
}

FileAppender::~FileAppender() {
  file_.reset();
  // What is left behind if this fails is an orphan, which the next start removes.
  if (!kept_) std::ignore = files_->Remove(path_);
}

Result<void> FileAppender::Append(std::string_view bytes) {
  if (pending_.size() + bytes.size() >= kWriteBytes) return WritePending(bytes);
  pending_.append(bytes);
  return {};
}

Result<void> FileAppender::WritePending(std::string_view more) {
  const std::array<std::string_view, 2> pieces = {pending_, more};
  TRY(file_->WriteAt(written_, pieces));
  written_ += pending_.size() + more.size();
  pending_.clear();
  if (written_ - writeback_begin_ >= kWritebackBytes) {
    file_->StartWriteback(writeback_begin_, written_ - writeback_begin_);
    writeback_begin_ = written_;
  }
  return {};
}

Result<void> FileAppender::Sync() {
  TRY(WritePending({}));
  return file_->Sync();
}

void FileAppender::Keep() {
  kept_ = true;
  file_.reset();
}

}  // namespace varve::engine
