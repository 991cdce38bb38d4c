// A server on a file system that gets full. Needs the right to mount one; says so and does nothing
// otherwise (engine/disk_full_test asks the same of a simulated disk, always).
#include <sys/mount.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <random>

#include "server/support/redis_client.h"
#include "server/support/server_process.h"

namespace varve::server::test {
namespace {

using Data = std::map<std::string, std::string>;

class SmallVolume {
 public:
  SmallVolume() {
    mounted_ = mount("none", dir_.path().c_str(), "tmpfs", 0, "size=96m") == 0;
    if (!mounted_) WARN("skipped, no file system can be mounted here: " << std::strerror(errno));
  }
  ~SmallVolume() {
    if (mounted_) umount2(dir_.path().c_str(), MNT_DETACH);
  }
  SmallVolume(const SmallVolume&) = delete;
  SmallVolume& operator=(const SmallVolume&) = delete;

  bool mounted() const { return mounted_; }
  const std::string& path() const { return dir_.path(); }

 private:
  const TempDir dir_;
  bool mounted_ = false;
};

class FullDisk {
 public:
  explicit FullDisk(const std::string& dir)
      : server_(VARVE_SERVER, dir), client_(std::make_unique<RedisClient>(server_.port())) {}

  // Until a write is refused; the refusal.
  std::string Fill() {
    for (;;) {
      constexpr int kPipelined = 16;
      std::vector<std::pair<std::string, std::string>> rows;
      for (int i = 0; i < kPipelined; ++i) {
        rows.emplace_back("key:" + std::to_string(random_() % 30'000), NewValue());
        client_->Send({"SET", rows.back().first, rows.back().second});
      }
      std::string refusal;
      for (const auto& [key, value] : rows) {
        const Reply reply = client_->Receive();
        if (reply.is_error()) {
          refusal = reply.text;
        } else {
          data_[key] = value;
        }
      }
      if (!refusal.empty()) return refusal;
    }
  }
  bool Set() {
    const std::string value = NewValue();
    if (client_->Call({"SET", "later", value}).is_error()) return false;
    data_["later"] = value;
    return true;
  }
  // Of each sixteen keys all but one.
  void DeleteMost() {
    std::vector<std::string> keys;
    for (const auto& [key, value] : data_) keys.push_back(key);
    std::shuffle(keys.begin(), keys.end(), random_);
    keys.resize(keys.size() / 16 * 15);
    for (const std::string& key : keys) {
      const Reply reply = client_->Call({random_() % 2 == 0 ? "DEL" : "UNLINK", key});
      CAPTURE(key, reply.text);
      REQUIRE(reply.integer == 1);
      data_.erase(key);
    }
  }
  void FlushAll() {
    const Reply reply = client_->Call({"FLUSHALL"});
    CAPTURE(reply.text);
    REQUIRE_FALSE(reply.is_error());
    data_.clear();
  }
  // Every value is there, and nothing else is.
  void CheckData() {
    REQUIRE(client_->Call({"DBSIZE"}).integer == static_cast<long long>(data_.size()));
    size_t wrong = 0;
    for (const auto& [key, value] : data_) wrong += client_->Call({"GET", key}).text != value;
    REQUIRE(wrong == 0);
  }
  void KillAndStart() {
    client_.reset();
    server_.Restart();
    client_ = std::make_unique<RedisClient>(server_.port());
  }
  std::string Info() { return client_->Call({"INFO", "engine"}).text; }
  size_t size() const { return data_.size(); }

 private:
  std::string NewValue() {
    std::string value(500 + random_() % 4000, '\0');
    for (char& c : value) c = static_cast<char>(random_());
    return value;
  }

  std::mt19937_64 random_{7};
  ServerProcess server_;
  std::unique_ptr<RedisClient> client_;
  Data data_;
};

constexpr double kResumeSeconds = 60;  // some, but sanitizers are slow

TEST_CASE("Full disk: writes are refused, reads and deletes go on, and writes come back",
          "[server][disk]") {
  const SmallVolume volume;
  if (!volume.mounted()) return;
  FullDisk disk(volume.path());

  const std::string refusal = disk.Fill();
  INFO(refusal);
  CHECK(refusal.starts_with("MISCONF "));
  CHECK(refusal.find("No space left on device") != std::string::npos);
  CHECK(refusal.find(volume.path()) != std::string::npos);
  CHECK(refusal.find("DEL") != std::string::npos);
  CHECK(disk.size() > 10'000);
  disk.CheckData();
  const std::string info = disk.Info();
  INFO(info);
  CHECK(info.find("disk_free_bytes:") != std::string::npos);

  disk.DeleteMost();
  disk.CheckData();
  REQUIRE(WaitFor([&] { return disk.Set(); }, kResumeSeconds));
  CHECK(disk.Info().find("write_error:\r\n") != std::string::npos);
  disk.CheckData();
}

TEST_CASE("Full disk: a killed server starts, answers, and frees its space", "[server][disk]") {
  const SmallVolume volume;
  if (!volume.mounted()) return;
  FullDisk disk(volume.path());
  disk.Fill();
  for (int start = 0; start < 5; ++start) {
    disk.KillAndStart();
    disk.CheckData();
  }
  disk.FlushAll();
  disk.CheckData();
  REQUIRE(WaitFor([&] { return disk.Set(); }, kResumeSeconds));
  disk.Fill();
  disk.KillAndStart();
  disk.DeleteMost();
  REQUIRE(WaitFor([&] { return disk.Set(); }, kResumeSeconds));
  disk.KillAndStart();
  disk.CheckData();
}

}  // namespace
}  // namespace varve::server::test
