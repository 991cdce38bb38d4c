#include "engine/space_reserve.h"

#include <catch2/catch.hpp>
#include <cerrno>
#include <memory>

#include "engine/support/engine_driver.h"

namespace varve::engine::testing {
namespace {

using Use = SpaceReserve::Use;

constexpr uint64_t kMegabyte = 1 << 20;
constexpr uint64_t kFlushBytes = 8 * kMegabyte;
constexpr uint64_t kStartBytes = 1 * kMegabyte;
constexpr uint64_t kDeletesBytes = 2 * kMegabyte;
constexpr uint64_t kUnitBytes = 6 * kMegabyte;  // the least for compactions
constexpr uint64_t kWhole = kFlushBytes + kStartBytes + kDeletesBytes + kUnitBytes;

struct Fixture {
  Fixture() {
    REQUIRE(machine.disk().CreateDirectories("db"));
    options.directory = "db";
    options.logger = NullLogger();
    options.write_buffer_bytes = kUnitBytes;
    Reopen();
  }
  void Reopen() {
    reserve = std::make_unique<SpaceReserve>(machine.env(), options, kFlushBytes);
    reserve->Open();
  }
  uint64_t file_bytes() { return machine.disk().FileSize("db/reserve").value(); }
  void SetFree(uint64_t bytes) { machine.disk().SetCapacity(machine.disk().used_bytes() + bytes); }

  SimulatedEnv machine;
  Options options;
  std::unique_ptr<SpaceReserve> reserve;
};

TEST_CASE("SpaceReserve: is a file of its size, and is taken over by the next start",
          "[engine][disk]") {
  Fixture f;
  CHECK(f.reserve->bytes_wanted() == kWhole);
  CHECK_FALSE(f.reserve->is_short());
  REQUIRE(f.reserve->Fill());
  CHECK(f.reserve->bytes() == kWhole);
  CHECK(f.file_bytes() == kWhole);
  f.Reopen();
  CHECK(f.reserve->bytes() == kWhole);
  f.machine.disk().SetCapacity(f.machine.disk().used_bytes());
  CHECK(f.reserve->Fill());
}

TEST_CASE("SpaceReserve: takes in what room there is, and is short until it is whole",
          "[engine][disk]") {
  Fixture f;
  f.SetFree(kWhole / 2);
  const Result<void> filled = f.reserve->Fill();
  REQUIRE_FALSE(filled);
  CHECK(filled.error().code == Errc::kNoSpace);
  CHECK(f.reserve->is_short());
  CHECK(f.file_bytes() == f.reserve->bytes());
  CHECK(f.reserve->bytes() > kWhole / 4);
  const std::string text = f.reserve->shortage().context;
  INFO(text);
  CHECK(text.find("bytes are free in db") != std::string::npos);
  CHECK(text.find(std::to_string(kWhole)) != std::string::npos);
  f.SetFree(kWhole);
  CHECK(f.reserve->Fill());
  CHECK_FALSE(f.reserve->is_short());
}

TEST_CASE("SpaceReserve: each use leaves the parts of the more important ones", "[engine][disk]") {
  const std::pair<Use, uint64_t> uses[] = {
      {Use::kStart, 0},
      {Use::kFlush, kStartBytes},
      {Use::kDeletes, kStartBytes + kFlushBytes},
      {Use::kCompaction, kStartBytes + kFlushBytes + kDeletesBytes}};
  for (const auto& [use, kept] : uses) {
    CAPTURE(static_cast<int>(use));
    Fixture f;
    REQUIRE(f.reserve->Fill());
    SpaceReserve::Lease lease(*f.reserve, use);
    REQUIRE(lease.Extend(10));
    CHECK(f.file_bytes() == kWhole - 10);
    REQUIRE(lease.Extend(kWhole));
    CHECK(f.file_bytes() == kept);
    CHECK_FALSE(lease.Extend(1));
  }
}

TEST_CASE("SpaceReserve: what is lent is not taken back before it is returned", "[engine][disk]") {
  Fixture f;
  REQUIRE(f.reserve->Fill());
  int asked = 0;
  f.reserve->SetHook([&] { ++asked; });
  {
    SpaceReserve::Lease lease(*f.reserve, Use::kFlush);
    REQUIRE(lease.Extend(kMegabyte));
    CHECK(f.reserve->is_short());
    CHECK(asked == 1);
    CHECK_FALSE(f.reserve->Fill());
    CHECK(f.file_bytes() == kWhole - kMegabyte);
  }
  REQUIRE(f.reserve->Fill());
  CHECK_FALSE(f.reserve->is_short());
  CHECK(f.file_bytes() == kWhole);
}

TEST_CASE("SpaceReserve: covers a larger flush, or stays as it was", "[engine][disk]") {
  Fixture f;
  REQUIRE(f.reserve->Fill());
  f.SetFree(3 * kMegabyte);
  CHECK(f.reserve->CoverFlush(kFlushBytes));
  CHECK_FALSE(f.reserve->CoverFlush(kFlushBytes + 5 * kMegabyte));
  CHECK(f.file_bytes() == kWhole);
  CHECK_FALSE(f.reserve->is_short());
  CHECK(f.reserve->CoverFlush(kFlushBytes + 2 * kMegabyte));
  CHECK(f.file_bytes() == kWhole + 2 * kMegabyte);
  f.reserve->SetFlushBytes(kFlushBytes);
  CHECK(f.file_bytes() == kWhole);
  CHECK(f.reserve->Fill());
}

TEST_CASE("SpaceReserve: follows the tables, up to nine units", "[engine][disk]") {
  Fixture f;
  REQUIRE(f.reserve->Fill());
  int asked = 0;
  f.reserve->SetHook([&] { ++asked; });
  f.reserve->SetTableBytes(8 * kUnitBytes - 1);
  CHECK(asked == 0);
  f.reserve->SetTableBytes(8 * kUnitBytes);
  CHECK(asked == 1);
  REQUIRE(f.reserve->Fill());
  CHECK(f.file_bytes() == kWhole + kUnitBytes);
  f.reserve->SetTableBytes(1'000'000 * kMegabyte);
  REQUIRE(f.reserve->Fill());
  CHECK(f.file_bytes() == kWhole + 8 * kUnitBytes);
  f.reserve->SetTableBytes(0);
  CHECK(f.file_bytes() == kWhole);
}

TEST_CASE("SpaceReserve: a failure that is not about room does not make it short",
          "[engine][disk]") {
  for (const int system_error : {EMFILE, EIO, EROFS}) {
    Fixture f;
    f.machine.faults.Fail({.nth = 1, .count = 100, .system_error = system_error});
    const Result<void> filled = f.reserve->Fill();
    REQUIRE_FALSE(filled);
    CHECK(filled.error().code != Errc::kNoSpace);
    CHECK_FALSE(f.reserve->is_short());
    f.machine.faults.Clear();
    CHECK(f.reserve->Fill());
  }
  Fixture quota;
  quota.machine.faults.Fail({.nth = 1, .calls = {FileCall::kAllocate}, .system_error = EDQUOT});
  CHECK_FALSE(quota.reserve->Fill());
  CHECK(quota.reserve->is_short());
}

TEST_CASE("SpaceReserve: a file that somebody has removed is made again", "[engine][disk]") {
  Fixture f;
  REQUIRE(f.reserve->Fill());
  REQUIRE(f.machine.disk().Remove("db/reserve"));
  SpaceReserve::Lease lease(*f.reserve, Use::kFlush);
  lease.Extend(kMegabyte);
  CHECK(f.reserve->bytes() == 0);
  lease.Return();
  REQUIRE(f.reserve->Fill());
  CHECK(f.file_bytes() == kWhole);
}

}  // namespace
}  // namespace varve::engine::testing
