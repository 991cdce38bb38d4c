// Power cuts and kills at random calls: what was promised is there, and the state is one that the
// history of commands went through.
#include <array>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <map>
#include <random>

#include "engine/support/engine_driver.h"

namespace varve::engine::testing {
namespace {

constexpr int kDbs = 2;
using State = std::array<std::map<std::string, std::string>, kDbs>;

// One command that was run: what it changed, and where its record ends in the log.
struct Change {
  std::vector<std::tuple<int, std::string, std::optional<std::string>>> rows;  // nullopt: deleted
  std::optional<int> cleared;
  Lsn end = 0;

  void ApplyTo(State& state) const {
    if (cleared) state[*cleared].clear();
    for (const auto& [db, key, value] : rows) {
      if (value) {
        state[db][key] = *value;
      } else {
        state[db].erase(key);
      }
    }
  }
};

enum class CrashKind { kPower, kKill };

// One life of the database: commands until a crash at the `crash_call`-th call of the file system.
class Life {
 public:
  Life(uint64_t seed, CrashKind kind, std::unique_ptr<MemFileSystem> disk, State state,
       size_t value_threshold_bytes)
      : random_(seed),
        kind_(kind),
        value_threshold_bytes_(value_threshold_bytes),
        machine_(seed, std::move(disk)),
        begin_(std::move(state)) {}

  // Opens; the state must then be the one that Verify() found.
  bool Open(std::string* error) {
    Options options = TinyOptions();
    options.sync_mode = SyncMode::kNever;  // the test syncs, so that it knows what was promised
    options.value_threshold_bytes = value_threshold_bytes_;
    driver_ = std::make_unique<EngineDriver>(machine_, options);
    *error = driver_->error().context;
    return driver_->is_open();
  }

  void CrashAt(uint64_t call) {
    crash_call_ = call;
    machine_.faults.SetObserver([this](FileCall, const std::string&) {
      if (++calls_ != crash_call_) return;
      TakeClone();
    });
  }

  void RunUntilCrash(int steps_max) {
    for (int step = 0; step < steps_max && clone_ == nullptr; ++step) {
      RunCommand();
      const Lsn end = history_.empty() ? 0 : history_.back().end;
      switch (random_() % 12) {
        case 0:
          driver_->engine().WhenDurable(end, [this, end](const Result<void>& durable) {
            if (durable && clone_ == nullptr) durable_ = std::max(durable_, end);
          });
          break;
        case 1:
        case 2:
        case 3:
          if (driver_->engine().WriteLog(end) && clone_ == nullptr) {
            written_ = std::max(written_, end);
          }
          break;
        default:
          break;
      }
      for (uint64_t i = random_() % 4; i > 0; --i) machine_.scheduler.RunOne();
    }
    if (clone_ == nullptr) TakeClone();
    machine_.faults.SetObserver(nullptr);
  }

  std::unique_ptr<MemFileSystem> TakeDisk() { return std::move(clone_); }

  // The state after some prefix of the history that holds all that was promised; nothing: none is.
  std::optional<State> MatchingState(const State& recovered) const {
    const Lsn promised = kind_ == CrashKind::kPower ? durable_ : std::max(durable_, written_);
    State state = begin_;
    std::optional<State> match;
    if (promised_changes(promised) == 0 && state == recovered) match = state;
    for (size_t i = 0; i < at_crash_; ++i) {
      history_[i].ApplyTo(state);
      if (i + 1 >= promised_changes(promised) && state == recovered) match = state;
    }
    return match;
  }

  // From now on the `nth` call fails, and `count` - 1 behind it.
  void Fail(uint64_t nth, uint64_t count, int system_error) {
    machine_.faults.Fail({nth, count, {}, {}, system_error});
  }
  bool failed() const { return machine_.faults.failed(); }
  void ClearFaults() { machine_.faults.Clear(); }
  size_t refused() const { return refused_; }
  size_t done() const { return history_.size(); }

  // For the message of a failure.
  std::string Explain(const State& recovered) const {
    std::string text = std::to_string(history_.size()) + " commands, written " +
                       std::to_string(written_) + ", durable " + std::to_string(durable_);
    State state = begin_;
    for (size_t i = 0; i < history_.size(); ++i) {
      history_[i].ApplyTo(state);
      size_t different = 0;
      for (int db = 0; db < kDbs; ++db) {
        for (const auto& [key, value] : state[db]) {
          const auto found = recovered[db].find(key);
          different += found == recovered[db].end() || found->second != value;
        }
        for (const auto& row : recovered[db]) different += !state[db].contains(row.first);
      }
      text += "\n" + std::to_string(i) + " end " + std::to_string(history_[i].end) + ": " +
              std::to_string(different) + " rows differ";
    }
    return text;
  }

  EngineDriver& driver() { return *driver_; }
  State ReadAll() {
    State state;
    for (int db = 0; db < kDbs; ++db) state[db] = driver_->Contents(db);
    return state;
  }

 private:
  size_t promised_changes(Lsn promised) const {
    size_t count = 0;
    while (count < at_crash_ && history_[count].end <= promised) ++count;
    return count;
  }

  void TakeClone() {
    at_crash_ = history_.size();
    clone_ = kind_ == CrashKind::kPower ? machine_.disk().CrashClone(random_() | 1)
                                        : machine_.disk().KillClone();
  }

  void RunCommand() {
    Change change;
    const int db = random_() % 5 == 0 ? 1 : 0;
    const auto key = [&] { return "k" + std::to_string(random_() % 300); };
    const uint64_t kind = random_() % 40;
    const size_t rows = kind < 10 ? 1 + random_() % 12 : 1;
    bool done = true;
    if (kind == 39 && random_() % 5 == 0) {
      change.cleared = db;
      done = driver_->Run([&](Guard& guard) { guard.Clear(db); });
    } else if (kind >= 30) {
      const std::string deleted = key();
      if (!driver_->Delete(db, deleted)) return;
      change.rows.emplace_back(db, deleted, std::nullopt);
    } else {
      for (size_t i = 0; i < rows; ++i) {
        change.rows.emplace_back(db, key(),
                                 std::to_string(random_()) + std::string(random_() % 90, 'v'));
      }
      done = driver_->Run([&](Guard& guard) {
        for (const auto& row : change.rows) {
          guard.Put(std::get<0>(row), std::get<1>(row), {*std::get<2>(row), nullptr});
        }
      });
    }
    if (!done) {
      ++refused_;
      return;
    }
    change.end = driver_->log_end();
    history_.push_back(std::move(change));
  }

  std::mt19937_64 random_;
  const CrashKind kind_;
  const size_t value_threshold_bytes_;
  SimulatedEnv machine_;
  const State begin_;
  std::unique_ptr<EngineDriver> driver_;
  std::vector<Change> history_;
  Lsn durable_ = 0;
  Lsn written_ = 0;
  uint64_t calls_ = 0;
  uint64_t crash_call_ = 0;
  size_t at_crash_ = 0;
  size_t refused_ = 0;
  std::unique_ptr<MemFileSystem> clone_;
};

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr ? std::strtoull(value, nullptr, 10) : otherwise;
}
uint64_t FirstSeed() { return FromEnvironment("VARVE_CRASH_FIRST_SEED", 1); }
uint64_t SeedCount() { return FromEnvironment("VARVE_CRASH_SEEDS", 60); }

constexpr size_t kSeparated = 50;  // for about half of the values

void RunLives(uint64_t seed, CrashKind kind, size_t threshold = 0) {
  std::mt19937_64 random(seed);
  auto life =
      std::make_unique<Life>(random(), kind, std::make_unique<MemFileSystem>(), State{}, threshold);
  std::string error;
  REQUIRE(life->Open(&error));
  for (int crash = 0; crash < 6; ++crash) {
    CAPTURE(crash);
    life->CrashAt(1 + random() % 400);
    life->RunUntilCrash(600);
    CHECK(life->refused() == 0);
    std::unique_ptr<MemFileSystem> disk = life->TakeDisk();

    // Recovery itself is cut short sometimes: a second crash changes nothing.
    if (random() % 2 == 0) {
      Life cut_short(random(), kind, std::move(disk), {}, threshold);
      cut_short.CrashAt(1 + random() % 60);
      const bool opened = cut_short.Open(&error);
      INFO("recovery: " << error);
      REQUIRE(opened);
      cut_short.RunUntilCrash(0);
      disk = cut_short.TakeDisk();
    }

    auto next = std::make_unique<Life>(random(), kind, std::move(disk), State{}, threshold);
    const bool opened = next->Open(&error);
    INFO("recovery: " << error);
    REQUIRE(opened);
    const State recovered = next->ReadAll();
    const std::optional<State> expected = life->MatchingState(recovered);
    REQUIRE(expected.has_value());
    for (int db = 0; db < kDbs; ++db) CHECK(next->driver().KeyCount(db) == recovered[db].size());
    // Begin the next life with a fresh process on what was recovered, its state known.
    std::unique_ptr<MemFileSystem> kept;
    next->RunUntilCrash(0);
    kept = next->TakeDisk();
    life = std::make_unique<Life>(random(), kind, std::move(kept), recovered, threshold);
    REQUIRE(life->Open(&error));
    const State again = life->ReadAll();
    REQUIRE(again == recovered);
  }
}

TEST_CASE("engine: a power cut at any call loses nothing that was durable", "[engine][crash]") {
  for (uint64_t seed = FirstSeed(); seed < FirstSeed() + SeedCount(); ++seed) {
    INFO("seed " << seed);
    RunLives(seed, CrashKind::kPower);
  }
}

// Seed 226 and 314: recovery removed a first segment that had lost its start, and was cut short
// before it had removed the one behind it, which the next recovery then took for damage.
TEST_CASE("engine: crash seeds that found bugs", "[engine][crash]") {
  for (const uint64_t seed : {226, 314}) {
    INFO("seed " << seed);
    RunLives(seed, CrashKind::kPower);
  }
}

TEST_CASE("engine: a kill at any call loses nothing that was written", "[engine][crash]") {
  for (uint64_t seed = FirstSeed(); seed < FirstSeed() + SeedCount(); ++seed) {
    INFO("seed " << seed);
    RunLives(1000 + seed, CrashKind::kKill);
  }
}

TEST_CASE("engine: separated values survive power cuts and kills", "[engine][crash]") {
  for (uint64_t seed = FirstSeed(); seed < FirstSeed() + SeedCount(); ++seed) {
    INFO("seed " << seed);
    RunLives(2000 + seed, CrashKind::kPower, kSeparated);
    RunLives(3000 + seed, CrashKind::kKill, kSeparated);
  }
}

// Runs with one failing call, then restarts without: what was promised is there. True: it failed.
bool RunWithFault(uint64_t nth, uint64_t count, int system_error, size_t threshold) {
  Life life(nth, CrashKind::kKill, std::make_unique<MemFileSystem>(), State{}, threshold);
  life.Fail(nth, count, system_error);
  std::string error;
  const bool opened = life.Open(&error);
  if (opened) life.RunUntilCrash(250);
  const bool failed = life.failed();
  life.ClearFaults();
  if (!opened) life.RunUntilCrash(0);

  Life next(1, CrashKind::kKill, life.TakeDisk(), State{}, threshold);
  const bool reopened = next.Open(&error);
  INFO("recovery: " << error);
  REQUIRE(reopened);
  const State recovered = next.ReadAll();
  INFO(life.Explain(recovered));
  REQUIRE(life.MatchingState(recovered).has_value());
  for (int db = 0; db < kDbs; ++db) CHECK(next.driver().KeyCount(db) == recovered[db].size());
  return failed;
}

void FailEachCall(size_t threshold) {
  for (const int system_error : {EIO, ENOSPC}) {
    // Each early call, then ever fewer of the later ones, which do the same again.
    for (uint64_t nth = 1;; nth += 1 + nth / 64) {
      INFO("call " << nth << ", errno " << system_error);
      if (!RunWithFault(nth, 1, system_error, threshold)) break;
    }
  }
}

TEST_CASE("engine: any single call may fail", "[engine][fault]") { FailEachCall(0); }

TEST_CASE("engine: any single call may fail where values are separated", "[engine][fault]") {
  FailEachCall(kSeparated);
}

TEST_CASE("engine: a disk that is full for a while refuses, and loses nothing", "[engine][fault]") {
  for (uint64_t nth = 20; nth < 400; nth += 31) {
    INFO("call " << nth);
    RunWithFault(nth, 40, ENOSPC, 0);
    RunWithFault(nth, 40, ENOSPC, kSeparated);
  }
}

}  // namespace
}  // namespace varve::engine::testing
