#include <catch2/catch.hpp>
#include <optional>

#include "engine/checksum.h"
#include "engine/coding.h"
#include "engine/support/wal_fixture.h"
#include "engine/wal.h"
#include "engine/wal_format.h"

namespace varve::engine {
namespace {

using testing::MemFileSystem;
using testing::ReadWal;
using testing::RecoveredWal;
using testing::SimulatedEnv;
using testing::WalDriver;
using testing::WalPayload;
using testing::WalPayloads;

constexpr size_t kRecords = 35;
constexpr uint64_t kRecordBytes = kLogRecordHeaderBytes + 24;
constexpr uint64_t kPerSegment = (512 - kWalOverheadBytes) / kRecordBytes;

// A log of kRecords records in several segments, written, the process killed.
std::unique_ptr<MemFileSystem> MakeLog(bool synced) {
  SimulatedEnv machine;
  WalDriver driver(machine);
  REQUIRE(driver.Open());
  for (const std::string& payload : WalPayloads(kRecords)) REQUIRE(driver.Append(payload));
  REQUIRE(driver.wal().WriteUpTo(driver.wal().end()));
  if (synced) REQUIRE(driver.Sync());
  driver.Kill();
  return machine.disk().KillClone();
}

bool IsPrefix(const std::vector<std::string>& payloads) {
  return payloads == WalPayloads(payloads.size()) && payloads.size() <= kRecords;
}

std::string Name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// Recovers, writes one more record, dies, recovers: the cut stays where it was.
void CheckGoesOn(SimulatedEnv& machine, size_t expected_count) {
  WalDriver driver(machine);
  const auto first = driver.Open();
  REQUIRE(first);
  REQUIRE(first->payloads == WalPayloads(expected_count));
  REQUIRE(driver.Append("one more"));
  REQUIRE(driver.Sync());
  driver.Kill();
  SimulatedEnv after(1, machine.disk().CrashClone(0));
  auto expected = WalPayloads(expected_count);
  expected.emplace_back("one more");
  const auto second = ReadWal(after.env());
  REQUIRE(second);
  CHECK(second->payloads == expected);
  CHECK(second->found.cut.empty());
}

TEST_CASE("WAL recovery: a file cut at any length leaves the records before it",
          "[engine][wal][crash]") {
  const auto log = MakeLog(false);
  const uint64_t last = kRecords / kPerSegment + 1;
  const uint64_t in_last = kRecords % kPerSegment;
  REQUIRE(in_last > 0);
  for (uint64_t number = 1; number <= last; ++number) {
    for (uint64_t cut = kWalHeaderBytes; cut <= 512; ++cut) {
      CAPTURE(number, cut);
      SimulatedEnv machine(0, log->KillClone());
      machine.disk().CutOff(WalPath("db", number), cut);
      const uint64_t whole = cut < kWalDataOffset ? 0 : (cut - kWalDataOffset) / kRecordBytes;
      const uint64_t of_this = std::min(whole, number == last ? in_last : kPerSegment);
      const uint64_t count =
          of_this == kPerSegment ? kRecords : (number - 1) * kPerSegment + of_this;
      SimulatedEnv again(0, machine.disk().KillClone());
      const auto recovered = ReadWal(machine.env());
      REQUIRE(recovered);
      REQUIRE(recovered->payloads == WalPayloads(count));
      // A sync point lies behind the last record of each segment; without it the end is torn.
      if (count < kRecords) {
        CHECK(recovered->found.cut.find(Name(WalPath("db", number))) != std::string::npos);
      }
      if (cut % 7 == 0) CheckGoesOn(again, count);
    }
  }
}

TEST_CASE("WAL recovery: a flipped bit in a durable record is refused, with its place",
          "[engine][wal][crash]") {
  const auto log = MakeLog(true);
  for (uint64_t i = 0; i < kRecords; ++i) {
    const uint64_t number = i / kPerSegment + 1;
    const uint64_t begin = kWalDataOffset + i % kPerSegment * kRecordBytes;
    for (uint64_t offset = begin; offset < begin + kRecordBytes; ++offset) {
      CAPTURE(i, number, offset);
      SimulatedEnv machine(0, log->KillClone());
      machine.disk().Corrupt(WalPath("db", number), offset);
      const auto recovered = ReadWal(machine.env());
      REQUIRE(!recovered);
      CHECK(recovered.error().code == Errc::kCorruption);
      const std::string& context = recovered.error().context;
      CHECK(context.find(fmt::format("{}: offset {}:", WalPath("db", number), begin)) == 0);
      CHECK(context.find("varve-check") != std::string::npos);
      // Nothing was repaired on the way.
      CHECK(!ReadWal(machine.env()));
    }
  }
}

TEST_CASE("WAL recovery: a flipped bit in a header or start of a durable log is refused",
          "[engine][wal][crash]") {
  const auto log = MakeLog(true);
  for (uint64_t number = 1; number <= kRecords / kPerSegment + 1; ++number) {
    for (uint64_t offset = 0; offset < kWalDataOffset; ++offset) {
      CAPTURE(number, offset);
      SimulatedEnv machine(0, log->KillClone());
      machine.disk().Corrupt(WalPath("db", number), offset);
      const auto recovered = ReadWal(machine.env());
      REQUIRE(!recovered);
      CHECK(recovered.error().code == Errc::kCorruption);
      CHECK(recovered.error().context.find(WalPath("db", number)) == 0);
    }
  }
}

TEST_CASE("WAL recovery: a flipped bit behind the last sync cuts the log there",
          "[engine][wal][crash]") {
  const auto log = MakeLog(false);
  for (uint64_t i = 0; i < kRecords; ++i) {
    const uint64_t number = i / kPerSegment + 1;
    const uint64_t begin = kWalDataOffset + i % kPerSegment * kRecordBytes;
    for (uint64_t offset = begin; offset < begin + kRecordBytes; ++offset) {
      CAPTURE(i, number, offset);
      SimulatedEnv machine(0, log->KillClone());
      machine.disk().Corrupt(WalPath("db", number), offset);
      const auto recovered = ReadWal(machine.env());
      REQUIRE(recovered);
      CHECK(recovered->payloads == WalPayloads(i));
      CHECK(recovered->found.end == i * kRecordBytes);
      CHECK(recovered->found.cut.find(fmt::format("offset {} ", begin)) != std::string::npos);
      // The later segments are gone, durably.
      SimulatedEnv after(0, machine.disk().CrashClone(0));
      const std::vector<std::string> names = *after.disk().List("db");
      for (const std::string& name : names) {
        CHECK(ParseWalName(name).value_or(0) <= number);
      }
      const auto second = ReadWal(after.env());
      REQUIRE(second);
      CHECK(second->payloads == recovered->payloads);
      CHECK(second->found.end == recovered->found.end);
      if (offset == begin + 20) CheckGoesOn(machine, i);
    }
  }
}

TEST_CASE("WAL recovery: damage behind what was synced does not hide damage before it",
          "[engine][wal][crash]") {
  SimulatedEnv machine;
  WalDriver driver(machine, SyncMode::kAlways, 4096);
  REQUIRE(driver.Open());
  REQUIRE(driver.Append("durable"));
  REQUIRE(driver.Sync());
  // The sync point that the sync left is overwritten by a write that has one of its own.
  REQUIRE(driver.Append("not durable"));
  REQUIRE(driver.wal().WriteUpTo(driver.wal().end()));
  driver.Kill();
  const uint64_t second = kWalDataOffset + kLogRecordHeaderBytes + 7;
  for (uint64_t offset = kWalDataOffset; offset < second + kLogRecordHeaderBytes + 11; ++offset) {
    CAPTURE(offset);
    SimulatedEnv damaged(0, machine.disk().KillClone());
    damaged.disk().Corrupt(WalPath("db", 1), offset);
    const auto recovered = ReadWal(damaged.env());
    if (offset < second) {
      REQUIRE(!recovered);
      CHECK(recovered.error().code == Errc::kCorruption);
    } else {
      REQUIRE(recovered);
      CHECK(recovered->payloads == std::vector<std::string>{"durable"});
    }
  }
}

TEST_CASE("WAL recovery: a segment that is missing is refused", "[engine][wal][crash]") {
  const auto log = MakeLog(true);
  for (uint64_t number = 1; number <= kRecords / kPerSegment; ++number) {
    CAPTURE(number);
    SimulatedEnv machine(0, log->KillClone());
    REQUIRE(machine.disk().Remove(WalPath("db", number)));
    const auto recovered = ReadWal(machine.env());
    REQUIRE(!recovered);
    CHECK(recovered.error().code == Errc::kCorruption);
  }
}

TEST_CASE("WAL recovery: files that are not in use are no error", "[engine][wal][crash]") {
  SimulatedEnv machine(0, MakeLog(true));
  // Prepared and left behind, a creation that was cut short, other people's files.
  {
    SimulatedEnv other;
    WalDriver driver(other);
    REQUIRE(driver.Open());
    other.scheduler.RunReady();
    machine.disk().Write(WalPath("db", 9), EncodeWalHeader({9, 77}, std::nullopt));
    machine.disk().Write(WalPath("db", 20), EncodeWalHeader({20, 77}, std::nullopt));
  }
  machine.disk().Write(WalTemporaryPath("db", 21), "half a hea");
  machine.disk().Write("db/CURRENT", "manifest-000001\n");
  machine.disk().Write("db/wal-7.log", "a copy by hand");
  const auto recovered = ReadWal(machine.env());
  REQUIRE(recovered);
  CHECK(recovered->payloads == WalPayloads(kRecords));
  CHECK(recovered->found.next_number == 21);
  CHECK(!*machine.disk().Exists(WalTemporaryPath("db", 21)));
  CHECK(!*machine.disk().Exists(WalPath("db", 20)));
  CHECK(*machine.disk().Exists("db/wal-7.log"));
  CHECK(machine.disk().unsynced_name_changes() == 0);
}

TEST_CASE("WAL recovery: an empty directory is an empty log", "[engine][wal]") {
  SimulatedEnv machine;
  const auto recovered = ReadWal(machine.env(), 17);
  REQUIRE(recovered);
  CHECK(recovered->payloads.empty());
  CHECK(recovered->found.next_number == 17);
}

TEST_CASE("WAL recovery: a format of the future is refused by name", "[engine][wal]") {
  SimulatedEnv machine(0, MakeLog(true));
  std::string bytes = *machine.disk().ReadWhole(WalPath("db", 1));
  EncodeFixed32(bytes.data() + 8, kWalVersion + 1);
  EncodeFixed64(bytes.data() + 32, Checksum(std::string_view(bytes).substr(0, 32)));
  machine.disk().Write(WalPath("db", 1), bytes);
  const auto recovered = ReadWal(machine.env());
  REQUIRE(!recovered);
  CHECK(recovered.error().code == Errc::kInvalidArgument);
}

TEST_CASE("WAL recovery: an error of the caller or of the disk ends it", "[engine][wal][fault]") {
  SimulatedEnv machine(0, MakeLog(true));
  const auto refused = RecoverWal(machine.env(), "db", 1, [](uint64_t, std::string_view) {
    return Result<void>(Fail(Errc::kCorruption, "not a row"));
  });
  REQUIRE(!refused);
  CHECK(refused.error().context == "not a row");
  for (uint64_t n = 1;; ++n) {
    machine.faults.Fail({.nth = n});
    const auto recovered = ReadWal(machine.env());
    if (!machine.faults.failed()) break;
    CAPTURE(n);
    REQUIRE(!recovered);
    CHECK(recovered.error().code == Errc::kIo);
  }
  machine.faults.Clear();
  CHECK(IsPrefix(ReadWal(machine.env())->payloads));
}

TEST_CASE("WAL recovery: what a client wrote into a value is no record", "[engine][wal][crash]") {
  // Another log's records and sync point as one value, each byte at the offset that it had there.
  const std::string other = *MakeLog(true)->ReadWhole(WalPath("db", 4));
  SimulatedEnv machine(99);
  WalDriver driver(machine, SyncMode::kNever, 1 << 16);
  REQUIRE(driver.Open());
  REQUIRE(driver.Append(other.substr(kWalDataOffset + kLogRecordHeaderBytes)));
  REQUIRE(driver.wal().WriteUpTo(driver.wal().end()));
  driver.Kill();
  machine.disk().Corrupt(WalPath("db", 1), kWalDataOffset + 3);
  const auto recovered = ReadWal(machine.env());
  REQUIRE(recovered);
  CHECK(recovered->payloads.empty());
}

TEST_CASE("WAL recovery: what a recycled file held before does not count", "[engine][wal][crash]") {
  SimulatedEnv machine(0, MakeLog(true));
  const std::string old = *machine.disk().ReadWhole(WalPath("db", 1));
  const std::string last = *machine.disk().ReadWhole(WalPath("db", 4));
  // Of the last write only so much came to the disk; behind it, old records at their old offsets.
  for (uint64_t kept = kWalDataOffset; kept < old.size(); ++kept) {
    CAPTURE(kept);
    SimulatedEnv torn(0, machine.disk().KillClone());
    torn.disk().Write(WalPath("db", 4), last.substr(0, kept) + old.substr(kept));
    const auto recovered = ReadWal(torn.env(), 4);
    REQUIRE(recovered);
    const uint64_t whole = (kept - kWalDataOffset) / kRecordBytes;
    CHECK(recovered->payloads.size() == std::min<uint64_t>(whole, kRecords % kPerSegment));
  }
}

}  // namespace
}  // namespace varve::engine
