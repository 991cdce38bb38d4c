#include "check/read_only_files.h"

#include <span>
#include <string_view>
#include <utility>

namespace varve::check {

namespace {

using engine::Result;

class DroppedWrites : public engine::WritableFile {
 public:
  explicit DroppedWrites(std::string path) : path_(std::move(path)) {}

  Result<void> WriteAt(uint64_t, std::span<const std::string_view>) override { return {}; }
  Result<void> Allocate(uint64_t) override { return {}; }
  Result<void> Sync() override { return {}; }
  void StartWriteback(uint64_t, uint64_t) override {}
  const std::string& path() const override { return path_; }

 private:
  const std::string path_;
};

}  // namespace

Result<std::unique_ptr<engine::WritableFile>> ReadOnlyFiles::Create(const std::string& path) {
  return std::unique_ptr<engine::WritableFile>(std::make_unique<DroppedWrites>(path));
}

Result<std::unique_ptr<engine::WritableFile>> ReadOnlyFiles::OpenForWrite(const std::string& path) {
  return Create(path);
}

}  // namespace varve::check
