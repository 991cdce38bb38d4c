#include <catch2/catch.hpp>
#include <deque>
#include <random>

#include "engine/support/wal_fixture.h"
#include "engine/wal.h"

namespace varve::engine {
namespace {

using testing::MemFileSystem;
using testing::ReadWal;
using testing::SimulatedEnv;
using testing::WalDriver;
using testing::WalPayload;

// What should be in the log, and how much of it was promised.
struct Model {
  std::vector<std::string> payloads;  // since the last release, in order
  std::vector<uint64_t> segments;     // of each
  std::vector<Lsn> ends;              // LSN behind each
  uint64_t oldest = 1;
  size_t durable_count = 0;  // the first ones: WhenDurable() said so
  size_t written_count = 0;  // WriteUpTo() returned
  uint64_t next_index = 0;

  size_t CountUpTo(Lsn lsn) const {
    return static_cast<size_t>(std::upper_bound(ends.begin(), ends.end(), lsn) - ends.begin());
  }
  // A restart found these; they are durable now.
  void Take(const testing::RecoveredWal& recovered, size_t promised) {
    REQUIRE(recovered.payloads.size() >= promised);
    REQUIRE(recovered.payloads.size() <= payloads.size());
    payloads.resize(recovered.payloads.size());
    REQUIRE(recovered.payloads == payloads);
    REQUIRE(
        recovered.segments ==
        std::vector(segments.begin(), segments.begin() + static_cast<ptrdiff_t>(payloads.size())));
    segments.resize(payloads.size());
    ends.resize(payloads.size());
    if (!ends.empty()) REQUIRE(ends.back() == recovered.found.end);
    durable_count = written_count = payloads.size();
  }
};

void ReleaseOldest(WalDriver& driver, Model& model, std::mt19937_64& random) {
  if (model.payloads.empty()) return;
  const uint64_t active = driver.wal().segment_number();
  const uint64_t oldest = model.segments[random() % model.segments.size()];
  if (oldest > active) return;
  size_t gone = 0;
  while (gone < model.segments.size() && model.segments[gone] < oldest) ++gone;
  const auto drop = [&](auto& list) {
    list.erase(list.begin(), list.begin() + static_cast<ptrdiff_t>(gone));
  };
  drop(model.payloads);
  drop(model.segments);
  drop(model.ends);
  model.durable_count -= std::min(gone, model.durable_count);
  model.written_count -= std::min(gone, model.written_count);
  model.oldest = oldest;
  driver.wal().Release(oldest);
}

void AppendOne(WalDriver& driver, Model& model, std::mt19937_64& random) {
  const size_t bytes = random() % 16 == 0 ? 20 + random() % 9000 : 20 + random() % 150;
  const std::string payload = WalPayload(model.next_index, bytes);
  const auto owner = std::make_shared<const std::string>(payload);
  WalRecord record{payload, {}};
  if (random() % 4 == 0)
    record = {std::string_view(payload).substr(0, 7),
              {{std::string_view(*owner).substr(7), owner}}};
  if (!driver.Append(record)) return;
  ++model.next_index;
  model.payloads.push_back(payload);
  model.segments.push_back(driver.wal().segment_number());
  model.ends.push_back(driver.wal().end());
}

// One random step of an engine's life.
void Step(SimulatedEnv& machine, WalDriver& driver, Model& model, std::mt19937_64& random) {
  switch (random() % 10) {
    case 0:
    case 1:
    case 2:
    case 3:
      return AppendOne(driver, model, random);
    case 4: {
      const Lsn lsn = driver.wal().end();
      if (driver.wal().WriteUpTo(lsn)) model.written_count = model.CountUpTo(lsn);
      return;
    }
    case 5: {
      const Lsn lsn = driver.wal().end();
      driver.wal().WhenDurable(lsn, [&model, lsn](Result<void> result) {
        if (result) model.durable_count = std::max(model.durable_count, model.CountUpTo(lsn));
      });
      return;
    }
    case 6:
      machine.scheduler.RunOne();
      return;
    case 7:
      machine.scheduler.AdvanceUs(random() % 700'000);
      model.durable_count = std::max(model.durable_count, model.CountUpTo(driver.wal().durable()));
      return;
    case 8:
      if (random() % 8 == 0) ReleaseOldest(driver, model, random);
      return;
    default:
      machine.scheduler.RunReady();
  }
}

// Several lives of one database, each ended by a power cut at a random I/O call, a kill, or a stop.
void RunLives(uint64_t seed) {
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  Model model;
  auto disk = std::make_unique<MemFileSystem>();
  size_t promised = 0;
  for (int life = 0; life < 4; ++life) {
    CAPTURE(life);
    SimulatedEnv machine(seed * 10 + static_cast<uint64_t>(life), std::move(disk));
    // The power fails before the call that the countdown picks, be it in recovery.
    uint64_t countdown = random() % 4 == 0 ? random() % 30 : random() % 300;
    Model at_cut;
    machine.faults.SetObserver([&](testing::FileCall, const std::string&) {
      if (countdown > 0 && --countdown == 0) {
        disk = machine.disk().CrashClone(seed ^ (random() | 1));
        at_cut = model;
        promised = model.durable_count;
      }
    });
    const SyncMode mode = static_cast<SyncMode>(random() % 3);
    WalDriver driver(machine, mode, random() % 2 ? 1024 : 9000);
    const auto recovered = driver.Open(model.oldest);
    if (!recovered) FAIL(recovered.error().context);
    if (disk == nullptr) model.Take(*recovered, promised);
    for (uint64_t step = random() % 400; step > 0 && disk == nullptr; --step) {
      Step(machine, driver, model, random);
    }
    if (disk == nullptr) {  // no power cut came: kill or close
      if (random() % 2) {
        driver.Kill();
        promised = model.written_count;
      } else {
        REQUIRE(driver.wal().Close());
        promised = model.payloads.size();
      }
      disk = machine.disk().KillClone();
    } else {
      driver.Kill();
      model = std::move(at_cut);
    }
  }
  SimulatedEnv last(seed, std::move(disk));
  const auto recovered = ReadWal(last.env(), model.oldest);
  if (!recovered) FAIL(recovered.error().context);
  model.Take(*recovered, promised);
}

TEST_CASE("WAL: after power cuts, kills and stops at any call, a prefix with all that was promised",
          "[engine][wal][crash]") {
  for (uint64_t seed = 1; seed <= 1500; ++seed) RunLives(seed);
}

TEST_CASE("WAL: each I/O call failing in turn loses nothing that was promised",
          "[engine][wal][fault]") {
  for (uint64_t n = 1;; ++n) {
    CAPTURE(n);
    SimulatedEnv machine;
    machine.faults.Fail({.nth = n});
    std::vector<std::string> appended;
    size_t durable = 0;
    size_t written = 0;
    {
      WalDriver driver(machine, SyncMode::kEverySecond);
      if (driver.Open()) {
        for (uint64_t i = 0; i < 60; ++i) {
          if (!driver.Append(WalPayload(i))) continue;
          appended.push_back(WalPayload(i));
          if (i % 3 == 0 && driver.wal().WriteUpTo(driver.wal().end())) written = appended.size();
          if (i % 7 == 0 && driver.Sync()) durable = appended.size();
        }
        if (driver.wal().Close()) durable = appended.size();
      }
      machine.scheduler.Drop();
    }
    const bool failed = machine.faults.failed();
    machine.faults.Clear();
    for (uint64_t seed = 0; seed < 4; ++seed) {
      CAPTURE(seed);
      SimulatedEnv after(1,
                         seed == 3 ? machine.disk().KillClone() : machine.disk().CrashClone(seed));
      const auto recovered = ReadWal(after.env());
      REQUIRE(recovered);
      const size_t count = recovered->payloads.size();
      REQUIRE(count >= (seed == 3 ? std::max(durable, written) : durable));
      REQUIRE(count <= appended.size());
      CHECK(recovered->payloads ==
            std::vector(appended.begin(), appended.begin() + static_cast<ptrdiff_t>(count)));
    }
    if (!failed) {
      CHECK(durable == 60);
      CHECK(n > 50);
      break;
    }
  }
}

}  // namespace
}  // namespace varve::engine
