#include "engine/wal.h"

#include <catch2/catch.hpp>

#include "engine/support/wal_fixture.h"
#include "engine/wal_format.h"

namespace varve::engine {
namespace {

using testing::FileCall;
using testing::ReadWal;
using testing::SimulatedEnv;
using testing::WalDriver;
using testing::WalPayload;
using testing::WalPayloads;

TEST_CASE("WAL: what was written comes back in order, with its LSNs", "[engine][wal]") {
  SimulatedEnv machine;
  WalDriver driver(machine, SyncMode::kNever, 1 << 16);
  REQUIRE(driver.Open());
  const auto payloads = WalPayloads(100);
  Lsn lsn = 0;
  for (const std::string& payload : payloads) {
    REQUIRE(driver.Append(payload));
    lsn += kLogRecordHeaderBytes + payload.size();
    CHECK(driver.wal().end() == lsn);
  }
  CHECK(driver.wal().segment_bytes_used() == kWalDataOffset + lsn);
  CHECK(driver.wal().written() == 0);
  REQUIRE(driver.wal().WriteUpTo(1));  // for all
  CHECK(driver.wal().written() == lsn);
  CHECK(driver.wal().durable() == 0);
  CHECK(driver.wal().stats().records == 100);
  CHECK(driver.wal().stats().bytes == lsn);
  driver.Kill();

  const auto recovered = ReadWal(machine.env());
  REQUIRE(recovered);
  CHECK(recovered->payloads == payloads);
  CHECK(recovered->found.end == lsn);
  CHECK(recovered->found.bytes == lsn);
  CHECK(recovered->found.records == 100);
  CHECK(recovered->found.segments == 1);
  CHECK(recovered->found.cut.empty());
}

TEST_CASE("WAL: segments follow each other, restarts too", "[engine][wal]") {
  SimulatedEnv machine;
  const auto payloads = WalPayloads(60);
  for (size_t begin = 0; begin < payloads.size(); begin += 20) {
    WalDriver driver(machine);
    const auto recovered = driver.Open();
    REQUIRE(recovered);
    CHECK(recovered->payloads ==
          std::vector(payloads.begin(), payloads.begin() + static_cast<ptrdiff_t>(begin)));
    const uint64_t first = driver.wal().segment_number();
    for (size_t i = begin; i < begin + 20; ++i) REQUIRE(driver.Append(payloads[i]));
    CHECK(driver.wal().segment_number() > first);
    REQUIRE(driver.wal().WriteUpTo(driver.wal().end()));
    driver.Kill();
  }
  const auto recovered = ReadWal(machine.env());
  REQUIRE(recovered);
  CHECK(recovered->payloads == payloads);
  CHECK(recovered->found.segments >= 6);
  CHECK(std::is_sorted(recovered->segments.begin(), recovered->segments.end()));
  // From a later segment on, only what is in it and behind it.
  const uint64_t oldest = recovered->segments[30];
  const auto rest = ReadWal(machine.env(), oldest);
  REQUIRE(rest);
  const auto begin = std::find(recovered->segments.begin(), recovered->segments.end(), oldest);
  CHECK(rest->payloads ==
        std::vector(payloads.begin() + (begin - recovered->segments.begin()), payloads.end()));
  CHECK(rest->found.end == recovered->found.end);
  CHECK(!rest->found.spare.empty());
}

TEST_CASE("WAL: released segments are recycled or removed, and their records never come back",
          "[engine][wal]") {
  SimulatedEnv machine;
  WalDriver driver(machine);
  REQUIRE(driver.Open());
  uint64_t oldest = 1;
  std::vector<std::string> expected;
  for (uint64_t i = 0; i < 300; ++i) {
    const uint64_t before = driver.wal().segment_number();
    REQUIRE(driver.Append(WalPayload(i)));
    if (driver.wal().segment_number() != before) {
      oldest = driver.wal().segment_number();
      driver.wal().Release(oldest);
      machine.scheduler.RunReady();
      expected.clear();
      CHECK(driver.files().size() <= 4);  // the active one, the next, two spare ones
      CHECK(driver.wal().stats().segments == 1);
    }
    expected.push_back(WalPayload(i));
    // Recovered at each length: what a recycled file held lies behind the new records.
    REQUIRE(driver.wal().WriteUpTo(driver.wal().end()));
    SimulatedEnv after(i, machine.disk().KillClone());
    const auto recovered = ReadWal(after.env(), oldest);
    REQUIRE(recovered);
    CHECK(recovered->payloads == expected);
  }
  CHECK(driver.wal().segment_number() > 20);
}

TEST_CASE("WAL: segments that recovery read are released like those written since",
          "[engine][wal]") {
  SimulatedEnv machine;
  {
    WalDriver driver(machine);
    REQUIRE(driver.Open());
    for (uint64_t i = 0; i < 100; ++i) REQUIRE(driver.Append(WalPayload(i)));
    REQUIRE(driver.wal().WriteUpTo(driver.wal().end()));
    driver.Kill();
  }
  WalDriver driver(machine);
  REQUIRE(driver.Open());
  CHECK(driver.files().size() > 9);
  driver.wal().Release(driver.wal().segment_number());
  machine.scheduler.RunReady();
  CHECK(driver.files().size() == 5);  // the active one, the next, two spare ones
}

TEST_CASE("WAL: large values are written as they are, wherever they end", "[engine][wal]") {
  SimulatedEnv machine;
  WalDriver driver(machine, SyncMode::kNever, 1 << 20);
  REQUIRE(driver.Open());
  const auto owner = std::make_shared<const std::string>(WalPayload(1, 40'000));
  std::string unowned = WalPayload(2, 50'000);
  WalRecord record{"head", {Value{*owner, owner}, Value{unowned, nullptr}, Value{*owner, owner}}};
  REQUIRE(driver.Append("before"));
  REQUIRE(driver.Append(record));
  REQUIRE(driver.Append("between"));
  REQUIRE(driver.Append(WalRecord{"", {Value{*owner, owner}}}));
  REQUIRE(driver.Append("behind"));
  const std::string copy = std::exchange(unowned, std::string(50'000, '!'));
  REQUIRE(driver.wal().WriteUpTo(driver.wal().end()));
  CHECK(owner.use_count() == 3);  // the test's two: written ones are let go of
  driver.Kill();
  const auto recovered = ReadWal(machine.env());
  REQUIRE(recovered);
  CHECK(recovered->payloads == std::vector<std::string>{"before", "head" + *owner + copy + *owner,
                                                        "between", *owner, "behind"});
}

TEST_CASE("WAL: a record larger than a segment gets one of its own", "[engine][wal]") {
  SimulatedEnv machine;
  WalDriver driver(machine);
  REQUIRE(driver.Open());
  machine.scheduler.RunReady();
  const std::string large = WalPayload(7, 100'000);
  REQUIRE(driver.wal().NextFits(100));
  CHECK(!driver.wal().NextFits(large.size()));
  REQUIRE(driver.Append("small"));
  REQUIRE(driver.Append(large));
  REQUIRE(driver.Append("small"));
  REQUIRE(driver.wal().WriteUpTo(driver.wal().end()));
  driver.wal().Release(driver.wal().segment_number());
  machine.scheduler.RunReady();
  // The large file is not kept for recycling, nor the segment that was too small for it.
  CHECK(machine.disk().used_bytes() < 40'000);
  CHECK(driver.files().size() <= 4);
}

TEST_CASE("WAL: those who wait share a sync and are answered later", "[engine][wal]") {
  SimulatedEnv machine;
  WalDriver driver(machine, SyncMode::kAlways, 1 << 16);
  REQUIRE(driver.Open());
  machine.scheduler.RunReady();
  driver.wal().ResetStats();
  int answered = 0;
  for (uint64_t i = 0; i < 10; ++i) {
    REQUIRE(driver.Append(WalPayload(i)));
    driver.wal().WhenDurable(driver.wal().end(), [&](Result<void> result) {
      CHECK(result);
      ++answered;
    });
  }
  CHECK(answered == 0);
  machine.scheduler.RunReady();
  CHECK(answered == 10);
  CHECK(driver.wal().durable() == driver.wal().end());
  CHECK(driver.wal().stats().syncs == 1);
  driver.wal().WhenDurable(driver.wal().end(), [&](Result<void> result) {
    CHECK(result);
    ++answered;
  });
  CHECK(answered == 11);  // durable already: at once
}

TEST_CASE("WAL: everysec syncs what is new, each second, and nothing when idle", "[engine][wal]") {
  SimulatedEnv machine;
  WalDriver driver(machine, SyncMode::kEverySecond, 1 << 16);
  REQUIRE(driver.Open());
  machine.scheduler.RunReady();
  REQUIRE(driver.Append("one"));
  machine.scheduler.AdvanceUs(900'000);
  CHECK(driver.wal().durable() == 0);
  machine.scheduler.AdvanceUs(200'000);
  CHECK(driver.wal().durable() == driver.wal().end());
  CHECK(driver.wal().stats().syncs == 1);
  machine.scheduler.AdvanceUs(5'000'000);
  CHECK(driver.wal().stats().syncs == 1);

  driver.wal().SetSyncMode(SyncMode::kNever);
  REQUIRE(driver.Append("two"));
  machine.scheduler.AdvanceUs(5'000'000);
  CHECK(driver.wal().durable() < driver.wal().end());
  driver.wal().SetSyncMode(SyncMode::kEverySecond);
  driver.wal().SetSyncMode(SyncMode::kEverySecond);
  machine.scheduler.AdvanceUs(1'100'000);
  CHECK(driver.wal().durable() == driver.wal().end());
  CHECK(machine.scheduler.timer_count() == 1);
  REQUIRE(driver.Append("three"));
  REQUIRE(driver.wal().Close());
  CHECK(driver.wal().durable() == driver.wal().end());
  machine.scheduler.AdvanceUs(5'000'000);
  CHECK(machine.scheduler.timer_count() == 0);
}

TEST_CASE("WAL: work that outlives it does nothing", "[engine][wal]") {
  SimulatedEnv machine;
  {
    WalDriver driver(machine, SyncMode::kEverySecond);
    REQUIRE(driver.Open());
    REQUIRE(driver.Append("one"));
    driver.wal().Release(1);
    driver.wal().PrepareNext(10, false, nullptr);
    REQUIRE(driver.wal().Close());
  }
  machine.scheduler.AdvanceUs(3'000'000);
  CHECK(ReadWal(machine.env())->payloads == std::vector<std::string>{"one"});
}

TEST_CASE("WAL: the first failed sync is final and told to all who wait", "[engine][wal][fault]") {
  SimulatedEnv machine;
  WalDriver driver(machine, SyncMode::kEverySecond, 1 << 16);
  REQUIRE(driver.Open());
  machine.scheduler.RunReady();
  REQUIRE(driver.Append("one"));
  REQUIRE(driver.Sync());
  machine.faults.Fail({.nth = 1, .calls = {FileCall::kSync}});
  REQUIRE(driver.Append("two"));
  const Result<void> failed = driver.Sync();
  REQUIRE(!failed);
  CHECK(failed.error().code == Errc::kIo);
  CHECK(failed.error().context.find("wal-000001.log") != std::string::npos);
  CHECK(driver.wal().write_error().error() == failed.error());
  // The kernel would let the next one pass; it proves nothing.
  machine.scheduler.AdvanceUs(3'000'000);
  CHECK(driver.Sync().error() == failed.error());
  driver.wal().Append(WalRecord{"three", {}});
  CHECK(driver.wal().WriteUpTo(driver.wal().end()).error() == failed.error());
  CHECK(driver.wal().Close().error() == failed.error());
  CHECK(driver.wal().durable() < driver.wal().written());
  size_t error_lines = 0;
  for (const std::string& line : driver.log_lines()) {
    error_lines += line.find("[error]") != std::string::npos;
  }
  CHECK(error_lines == 1);
}

TEST_CASE("WAL: a failed write is final", "[engine][wal][fault]") {
  SimulatedEnv machine;
  WalDriver driver(machine, SyncMode::kNever, 1 << 16);
  REQUIRE(driver.Open());
  machine.scheduler.RunReady();
  machine.faults.Fail({.nth = 1, .calls = {FileCall::kWriteAt}, .system_error = ENOSPC});
  REQUIRE(driver.Append("one"));
  const Result<void> failed = driver.wal().WriteUpTo(driver.wal().end());
  REQUIRE(!failed);
  CHECK(!driver.wal().WriteUpTo(driver.wal().end()));
  CHECK(driver.Sync().error() == failed.error());
  CHECK(!driver.Append("two"));
}

TEST_CASE("WAL: a full disk keeps the next segment away until there is room",
          "[engine][wal][fault]") {
  SimulatedEnv machine;
  WalDriver driver(machine);
  REQUIRE(driver.Open());
  machine.disk().SetCapacity(machine.disk().used_bytes() + 100);
  machine.scheduler.RunReady();
  REQUIRE(!driver.wal().preparation_error(false));
  CHECK(driver.wal().preparation_error(false).error().code == Errc::kNoSpace);
  CHECK(driver.wal().write_error());
  CHECK(driver.files().size() == 2);  // what it tried is gone again, but for an empty reserve
  uint64_t appended = 0;
  while (driver.Append(WalPayload(appended))) ++appended;
  CHECK(appended > 5);
  REQUIRE(driver.wal().WriteUpTo(driver.wal().end()));

  // The pause grows: 0.1, 0.2, ... 1 s.
  machine.faults.Fail({.nth = ~0ull, .calls = {FileCall::kAllocate}});
  machine.scheduler.AdvanceUs(60'000'000);
  CHECK(machine.faults.matching_calls() >= 50);
  CHECK(machine.faults.matching_calls() <= 70);

  machine.disk().SetCapacity(1 << 20);
  machine.scheduler.AdvanceUs(5'100'000);
  CHECK(driver.wal().preparation_error(false));
  REQUIRE(driver.Append(WalPayload(appended)));
  CHECK(driver.wal().segment_number() == 2);
  REQUIRE(driver.wal().WriteUpTo(driver.wal().end()));
  CHECK(ReadWal(machine.env())->payloads.size() == appended + 1);
}

TEST_CASE("WAL: no room for one large record does not stop the small ones",
          "[engine][wal][fault]") {
  SimulatedEnv machine;
  WalDriver driver(machine);
  REQUIRE(driver.Open());
  machine.disk().SetCapacity(50'000);
  REQUIRE(!driver.Append(WalPayload(1, 40'000)));
  CHECK(!driver.wal().preparation_error(false));
  for (uint64_t i = 0; i < 30; ++i) REQUIRE(driver.Append(WalPayload(i)));
  machine.disk().SetCapacity(150'000);
  machine.scheduler.AdvanceUs(20'000'000);
  CHECK(driver.wal().preparation_error(false));
  REQUIRE(driver.Append(WalPayload(1, 40'000)));
}

}  // namespace
}  // namespace varve::engine
