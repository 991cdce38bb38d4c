// What may happen to a row while it is on its way from the tables to memory: each interleaving is
// forced, for every seed and at each moment of a load, and the engine's counters must say that it
// took place; then random clients meet all of them in random order. Every answer is compared with
// std::map. VARVE_LOAD_SEEDS is the number of seeds, VARVE_LOAD_FIRST_SEED the first.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "engine/support/held_engine.h"
#include "engine/support/random_clients.h"

namespace varve::engine::testing {
namespace {

using State = ModelClient::State;

// How far a load has come when something else happens.
enum class Moment { kPosted, kAsked, kFetched };

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

uint64_t FirstSeed() { return FromEnvironment("VARVE_LOAD_FIRST_SEED", 1); }
uint64_t EndSeed() { return FirstSeed() + FromEnvironment("VARVE_LOAD_SEEDS", 30); }

// Runs `scenario(engine, variant)` on a new engine for each seed and variant below `variants`; what
// it leaves must be right, before and after a restart.
template <typename Scenario>
void ForEachSeed(int variants, const HeldEngine::Limits& limits, Scenario scenario) {
  for (uint64_t seed = FirstSeed(); seed < EndSeed(); ++seed) {
    for (int variant = 0; variant < variants; ++variant) {
      INFO("seed " << seed << ", variant " << variant);
      HeldEngine world(seed, limits);
      scenario(world, variant);
      world.CheckAll();
      REQUIRE(world.mismatch() == "");
      world.Reopen();
      world.CheckAll();
      REQUIRE(world.mismatch() == "");
    }
  }
}

constexpr int kMoments = 3;
Moment MomentOf(int variant) { return static_cast<Moment>(variant % kMoments); }

// Takes the loads that were just started to that moment.
void BringTo(HeldEngine& world, Moment moment) {
  if (moment == Moment::kPosted) return;
  world.machine().scheduler.RunReady();
  REQUIRE(world.reader().held_count() > 0);
  if (moment == Moment::kAsked) return;
  for (size_t i = 0; i < world.reader().held_count(); ++i) world.reader().Fetch(i);
}

void EndReads(HeldEngine& world, const std::function<bool(const std::string& path)>& chosen) {
  HeldBlockReader& reader = world.reader();
  for (size_t i = 0; i < reader.held_count();) {
    if (!chosen(reader.path(i))) {
      ++i;
      continue;
    }
    reader.Deliver(i);
    world.machine().scheduler.RunReady();
    i = 0;
  }
}

// A new value, or (by the seed) none at last.
void Overwrite(HeldEngine& world, const std::string& key) {
  world.Do({Put(key, world.Value())});
  if (world.Below(3) == 0) world.Do({Delete(key)});
}

TEST_CASE("loads: a write overtakes a load", "[engine][loads]") {
  ForEachSeed(kMoments, {}, [](HeldEngine& world, int variant) {
    const std::string key = world.LiveKey();
    ModelClient& reader = world.NewClient();
    REQUIRE(reader.Start({Get(key)}) == State::kWaiting);
    BringTo(world, MomentOf(variant));
    const Stats before = world.stats();
    Overwrite(world, key);
    world.LetGo();
    CHECK(world.stats().loads_stale == before.loads_stale + 1);
    REQUIRE(reader.state() == State::kResumed);
    CHECK(reader.Again() == State::kIdle);
    CHECK(world.stats().loads == before.loads);
    // Nor does the old value come back when only tables have the new one.
    world.Flush();
    world.Evict();
    world.Do({Get(key)});
    if (world.model().rows(0).contains(key)) CHECK(world.stats().loads > before.loads);
  });
}

TEST_CASE("loads: clients share one load, and one of them is lost", "[engine][loads]") {
  ForEachSeed(2 * kMoments, {}, [](HeldEngine& world, int variant) {
    if (variant >= kMoments) world.TakeCache();
    const std::string key = world.LiveKey();
    const Stats before = world.stats();
    std::vector<ModelClient*> clients;
    const uint64_t count = 2 + world.Below(3);
    for (uint64_t i = 0; i < count; ++i) {
      clients.push_back(&world.NewClient());
      Command command = {Get(key)};
      if (world.Below(3) == 0) command.push_back(Put(key, world.Value()));
      REQUIRE(clients.back()->Start(command) == State::kWaiting);
      if (i == 0) BringTo(world, MomentOf(variant));
    }
    // One who has met the fault, but is gone before it waits. (Who waits stays until it is resumed:
    // Transaction.)
    CHECK(world.NewClient().TryAndForget({Get(key)}));
    CHECK(world.stats().loads == before.loads + 1);
    CHECK(world.stats().loads_joined == before.loads_joined + count - 1);
    world.LetGo();
    for (const ModelClient* client : clients) REQUIRE(client->state() == State::kResumed);
    ModelClient* const lost = clients[world.Below(count)];
    lost->Abandon();
    world.Evict();  // but for what the others have pinned
    for (ModelClient* client : clients) {
      if (client != lost) CHECK(client->Again() == State::kIdle);
    }
    CHECK(world.stats().loads == before.loads + 1);
    world.Flush();
    world.Evict();
    CHECK(world.stats().row_cache_evictions > before.row_cache_evictions);
  });
}

TEST_CASE("loads: FLUSHDB while a load is under way", "[engine][loads]") {
  enum Kind { kClear, kClearThenPut, kBothAtOnce, kPutThenClear, kKinds };
  ForEachSeed(kKinds * kMoments, {}, [](HeldEngine& world, int variant) {
    const int kind = variant / kMoments;
    const Moment moment = MomentOf(variant);
    const std::string key = world.LiveKey();
    const Stats before = world.stats();
    ModelClient& reader = world.NewClient();
    ModelClient& changer = world.NewClient();
    REQUIRE(reader.Start({Get(key)}) == State::kWaiting);
    REQUIRE(changer.Start({Delete(key), Put(key, world.Value())}) == State::kWaiting);
    BringTo(world, moment);
    if (kind == kPutThenClear) world.Do({Put(key, world.Value())});
    if (kind == kBothAtOnce) {
      world.Do({Clear(), Put(key, world.Value())});
    } else {
      world.Do({Clear()});
    }
    if (kind == kClearThenPut) world.Do({Put(key, world.Value())});
    const bool has_key = kind == kClearThenPut || kind == kBothAtOnce;
    ModelClient& later = world.NewClient();
    uint64_t loads = before.loads + 1;
    if (moment != Moment::kPosted && world.Below(2) == 0) {
      // The new tree has a table of the key, and so a load of its own.
      world.Flush();
      world.Evict();
      const bool waits = later.Start({Get(key)}) == State::kWaiting;
      if (has_key) CHECK(waits);
      if (waits) ++loads;
    }
    CHECK(world.stats().loads == loads);
    CHECK(world.stats().loads_joined == before.loads_joined + 1);
    world.LetGo();
    CHECK(world.stats().loads_stale == before.loads_stale + (kind == kPutThenClear ? 1 : 0));
    REQUIRE(reader.state() == State::kResumed);
    REQUIRE(changer.state() == State::kResumed);
    world.Do({Get(key)});
    world.Do({Count()});
    world.FinishAll();
  });
}

TEST_CASE("loads: the table that a load reads is compacted away", "[engine][loads]") {
  ForEachSeed(2, {}, [](HeldEngine& world, int variant) {
    const std::string key = world.LiveKey();
    ModelClient& reader = world.NewClient();
    REQUIRE(reader.Start({Get(key)}) == State::kWaiting);
    BringTo(world, variant == 0 ? Moment::kAsked : Moment::kFetched);
    const std::string path = world.reader().path(0);
    const Stats before = world.stats();
    world.Compact();
    CHECK(world.stats().compactions > before.compactions);
    FileSystem& files = *world.machine().env().files;
    CHECK(*files.Exists(path));  // for the load's sake
    world.LetGo();
    CHECK_FALSE(*files.Exists(path));
    REQUIRE(reader.state() == State::kResumed);
    CHECK(reader.Again() == State::kIdle);
    CHECK(world.stats().loads == before.loads);
    CHECK(world.stats().loads_stale == before.loads_stale);
  });
}

TEST_CASE("loads: the value file that a load reads is collected away", "[engine][loads][values]") {
  ForEachSeed(2, {.value_threshold_bytes = 1}, [](HeldEngine& world, int variant) {
    const std::string key = world.LiveKey();
    ModelClient& reader = world.NewClient();
    REQUIRE(reader.Start({Get(key)}) == State::kWaiting);
    BringTo(world, variant == 0 ? Moment::kAsked : Moment::kFetched);
    const std::string path = world.reader().path(0);
    REQUIRE(path.ends_with(".val"));
    const Stats before = world.stats();
    // All others are overwritten, so that hardly anything but the row lives in that file.
    for (int round = 0; round < 4; ++round) {
      for (int i = 0; i < HeldEngine::kKeys; ++i) {
        if (HeldEngine::Key(i) != key) world.Do({Put(HeldEngine::Key(i), world.Value())});
      }
      world.Flush();
      world.Compact();
      world.GoOnBeside(30'000'000);
    }
    CHECK(world.stats().value_collections > before.value_collections);
    FileSystem& files = *world.machine().env().files;
    CHECK(*files.Exists(path));  // for the load's sake
    world.LetGo();
    CHECK_FALSE(*files.Exists(path));
    REQUIRE(reader.state() == State::kResumed);
    CHECK(reader.Again() == State::kIdle);
    CHECK(world.stats().loads_stale == before.loads_stale);
  });
}

TEST_CASE("loads: the row that overtook a load is flushed and evicted before it lands",
          "[engine][loads]") {
  enum Kind { kAlone, kOldFirst, kNewFirst, kKinds };
  ForEachSeed(2 * kKinds, {}, [](HeldEngine& world, int variant) {
    const int kind = variant % kKinds;
    const std::string key = world.LiveKey();
    const Stats before = world.stats();
    ModelClient& old_reader = world.NewClient();
    REQUIRE(old_reader.Start({Get(key)}) == State::kWaiting);
    BringTo(world, variant < kKinds ? Moment::kAsked : Moment::kFetched);
    if (kind == kAlone) {
      Overwrite(world, key);
    } else {
      world.Do({Put(key, world.Value())});
    }
    world.Flush();
    world.Evict();
    CHECK(world.stats().row_cache_evictions > before.row_cache_evictions);
    CHECK(world.stats().flushes > before.flushes);
    ModelClient& new_reader = world.NewClient();
    if (kind != kAlone) {
      const uint64_t loads = world.stats().loads;
      REQUIRE(new_reader.Start({Get(key)}) == State::kWaiting);
      CHECK(world.stats().loads == loads + 1);  // not joined: that one is too old
      world.machine().scheduler.RunReady();
      REQUIRE(world.reader().held_count() == 2);
      const std::string new_path = world.reader().path(1);
      EndReads(world,
               [&](const std::string& path) { return (path == new_path) == (kind == kNewFirst); });
      CHECK((old_reader.state() == State::kResumed) == (kind == kOldFirst));
      CHECK((new_reader.state() == State::kResumed) == (kind == kNewFirst));
      // Who comes while the new one is under way joins it, though the old one has ended.
      const Stats landed = world.stats();
      const State third = world.NewClient().Start({Get(key)});
      CHECK(third == (kind == kNewFirst ? State::kIdle : State::kWaiting));
      CHECK(world.stats().loads == landed.loads);
      CHECK(world.stats().loads_joined == landed.loads_joined + (kind == kOldFirst ? 1 : 0));
    }
    world.LetGo();
    CHECK(world.stats().loads_stale == before.loads_stale + 1);
    REQUIRE(old_reader.state() == State::kResumed);
    world.Do({Get(key)});
    world.FinishAll();
  });
}

TEST_CASE("loads: a settling load beside other commands on its key", "[engine][loads]") {
  enum Kind { kPut, kDelete, kClear, kClearAndPut, kRead, kKinds };
  ForEachSeed(kKinds * kMoments, {}, [](HeldEngine& world, int variant) {
    const std::string key = world.LiveKey();
    const Stats before = world.stats();
    world.Do({Put(key, world.Value())});
    REQUIRE(world.stats().settling_loads == before.settling_loads + 1);
    BringTo(world, MomentOf(variant));
    switch (variant / kMoments) {
      case kPut:
        world.Do({Put(key, world.Value())});
        break;
      case kDelete:
        world.Do({Delete(key)});
        if (world.Below(2) == 0) world.Do({Put(key, world.Value())});
        break;
      case kClear:
        world.Do({Clear()});
        break;
      case kClearAndPut:
        world.Do({Clear(), Put(key, world.Value())});
        break;
      default:
        world.Do({Get(key)});
    }
    CHECK(world.stats().settling_pending == 1);
    CHECK(world.stats().settling_loads == before.settling_loads + 1);
    CHECK(world.stats().loads == before.loads);
    ModelClient& counter = world.NewClient();
    REQUIRE(counter.Start({Count()}) == State::kWaiting);
    world.machine().scheduler.RunReady();
    CHECK(counter.state() == State::kWaiting);
    world.LetGo();
    CHECK(world.stats().settling_pending == 0);
    REQUIRE(counter.state() == State::kResumed);
    CHECK(counter.Again() == State::kIdle);
  });
}

TEST_CASE("loads: a flush waits for the settling loads of what it flushes", "[engine][loads]") {
  constexpr uint64_t kLongUs = 10'000;
  ForEachSeed(1, {}, [](HeldEngine& world, int) {
    ManualScheduler& scheduler = world.machine().scheduler;
    const std::string key = world.LiveKey();
    const Stats before = world.stats();
    world.Do({Put(key, world.Value())});
    BringTo(world, Moment::kAsked);
    for (int i = 0; world.stats().sealed_memtables == 0; ++i) {
      REQUIRE(i < 100);
      world.Do({Put("fill" + std::to_string(i % 8), std::string(400, 'f'))});
      scheduler.AdvanceUs(kLongUs);
    }
    scheduler.AdvanceUs(kLongUs);
    CHECK(world.stats().flushes == before.flushes);
    // While DBSIZE waits, blind writes are loaded first: it would never be its turn.
    ModelClient& counter = world.NewClient();
    ModelClient& writer = world.NewClient();
    REQUIRE(counter.Start({Count()}) == State::kWaiting);
    const Stats waiting = world.stats();
    std::string other = world.LiveKey();
    while (other == key) other = world.LiveKey();
    REQUIRE(writer.Start({Put(other, world.Value())}) == State::kWaiting);
    CHECK(world.stats().settling_loads == waiting.settling_loads);
    CHECK(world.stats().loads == waiting.loads + 1);
    world.LetGo();
    scheduler.AdvanceUs(kLongUs);
    CHECK(world.stats().flushes == before.flushes + 1);
    CHECK(counter.Again() == State::kIdle);
    CHECK(writer.Again() == State::kIdle);
    CHECK(world.stats().settling_loads == waiting.settling_loads);
  });
}

TEST_CASE("loads: commands of more rows than the cache holds end", "[engine][loads]") {
  const auto scenario = [](HeldEngine& world, int variant) {
    if (variant == 1) world.TakeCache();
    const Stats before = world.stats();
    std::vector<ModelClient*> readers;
    uint64_t misses = 0;
    for (int i = 0; i < 3; ++i) {
      readers.push_back(&world.NewClient());
      REQUIRE(readers.back()->Start(world.GetAll()) == State::kWaiting);
      if (i == 0) misses = world.stats().loads - before.loads;
    }
    CHECK(misses > HeldEngine::kKeys / 4);
    CHECK(world.stats().loads == before.loads + misses);
    CHECK(world.stats().loads_joined == before.loads_joined + 2 * misses);
    ModelClient& writer = world.NewClient();
    const std::string key = world.LiveKey();
    REQUIRE(writer.Start({Get(key), Put(key, world.Value())}) == State::kWaiting);
    world.LetGo();
    world.Evict();
    world.FinishAll();
    for (const ModelClient* reader : readers) CHECK(reader->runs() == 2);
    CHECK(writer.runs() == 2);
    CHECK(world.stats().loads == before.loads + misses);
    world.Flush();
    world.Evict();
    CHECK(world.stats().row_cache_rows == 0);
    CHECK(world.stats().row_cache_evictions >= before.row_cache_evictions + misses);
  };
  ForEachSeed(2, {}, scenario);
  ForEachSeed(1, {.memory_bytes_max = 1}, scenario);  // nor for a filter, nor for a memtable
}

TEST_CASE("loads: a write that must know its key ends without a cache", "[engine][loads]") {
  ForEachSeed(2, {.settling_loads_max = 0}, [](HeldEngine& world, int variant) {
    world.TakeCache();
    const std::string key = world.LiveKey();
    const Stats before = world.stats();
    ModelClient& writer = world.NewClient();
    ModelClient& other = world.NewClient();
    REQUIRE(writer.Start({Put(key, world.Value())}) == State::kWaiting);
    REQUIRE(other.Start({variant == 0 ? Put(key, world.Value()) : Delete(key)}) == State::kWaiting);
    CHECK(world.stats().loads_joined == before.loads_joined + 1);
    world.LetGo();
    world.Evict();
    CHECK(writer.Again() == State::kIdle);
    CHECK(other.Again() == State::kIdle);
    CHECK(world.stats().settling_loads == before.settling_loads);
    CHECK(world.stats().loads == before.loads + 1);
  });
}

TEST_CASE("loads: a load that fails fails for all who joined it, and can be tried again",
          "[engine][loads]") {
  ForEachSeed(1, {}, [](HeldEngine& world, int) {
    const std::string key = world.LiveKey();
    const Stats before = world.stats();
    std::vector<ModelClient*> clients;
    for (int i = 0; i < 3; ++i) {
      clients.push_back(&world.NewClient());
      REQUIRE(clients.back()->Start({Get(key)}) == State::kWaiting);
    }
    BringTo(world, Moment::kAsked);
    CHECK(world.stats().loads_joined == before.loads_joined + 2);
    world.reader().Fail(0);
    for (ModelClient* client : clients) {
      REQUIRE(client->state() == State::kResumed);
      REQUIRE(client->Again() == State::kIdle);
      REQUIRE(client->refusal().has_value());
      CHECK(client->refusal()->code == Errc::kIo);
    }
    CHECK(world.stats().loads == before.loads + 1);
    for (ModelClient* client : clients) REQUIRE(client->Start({Get(key)}) == State::kWaiting);
    world.FinishAll();
    for (const ModelClient* client : clients) CHECK_FALSE(client->refusal().has_value());
    CHECK(world.stats().loads == before.loads + 2);
    CHECK(world.stats().loads_joined == before.loads_joined + 4);
  });
}

TEST_CASE("loads: that a load fails is nothing to one who reads what overtook it",
          "[engine][loads]") {
  ForEachSeed(2, {}, [](HeldEngine& world, int variant) {
    const std::string key = world.LiveKey();
    const Stats before = world.stats();
    ModelClient& reader = world.NewClient();
    REQUIRE(reader.Start({Get(key)}) == State::kWaiting);
    BringTo(world, Moment::kAsked);
    world.Do({Put(key, world.Value())});
    world.reader().Fail(0);
    CHECK(world.stats().loads_stale == before.loads_stale + 1);
    REQUIRE(reader.state() == State::kResumed);
    if (variant == 1) {
      world.Flush();
      world.Evict();
    }
    CHECK(reader.Again() == (variant == 0 ? State::kIdle : State::kWaiting));
    world.FinishAll();
    CHECK_FALSE(reader.refusal().has_value());
  });
}

TEST_CASE("loads: DBSIZE waits until a settling load that fails has passed", "[engine][loads]") {
  ForEachSeed(1, {}, [](HeldEngine& world, int) {
    const std::string key = world.LiveKey();
    world.Do({Put(key, world.Value())});
    BringTo(world, Moment::kAsked);
    ModelClient& counter = world.NewClient();
    REQUIRE(counter.Start({Count()}) == State::kWaiting);
    for (uint64_t failures = 1 + world.Below(3); failures > 0; --failures) {
      world.reader().Fail(0);
      world.machine().scheduler.RunReady();
      CHECK(counter.state() == State::kWaiting);
      CHECK(world.stats().settling_pending == 1);
      world.machine().scheduler.AdvanceUs(1'000'000);
      REQUIRE(world.reader().held_count() == 1);
    }
    world.LetGo();
    REQUIRE(counter.state() == State::kResumed);
    CHECK(counter.Again() == State::kIdle);
  });
}

TEST_CASE("loads: the engine closes while loads are under way", "[engine][loads]") {
  ForEachSeed(2 * kMoments, {}, [](HeldEngine& world, int variant) {
    const std::string key = world.LiveKey();
    std::string written = world.LiveKey();
    while (written == key) written = world.LiveKey();
    ModelClient& reader = world.NewClient();
    ModelClient& joined = world.NewClient();
    REQUIRE(reader.Start({Get(key)}) == State::kWaiting);
    REQUIRE(joined.Start({Get(key), Put(key, world.Value())}) == State::kWaiting);
    world.Do({Put(written, world.Value())});
    ModelClient& counter = world.NewClient();
    REQUIRE(counter.Start({Count()}) == State::kWaiting);
    BringTo(world, MomentOf(variant));
    ModelClient& scanner = world.NewClient();
    Operation page{Operation::Kind::kScan};
    page.count_hint = HeldEngine::kKeys;
    REQUIRE(scanner.Start({page}) == State::kWaiting);
    CHECK(world.stats().settling_pending == 1);
    CHECK(world.stats().loads_joined > 0);
    CHECK(reader.state() == State::kWaiting);
    world.Reopen(variant < kMoments ? HeldEngine::ReadsEnd::kWell
                                    : HeldEngine::ReadsEnd::kInErrors);
  });
}

TEST_CASE("loads: what a command writes before its FLUSHDB is not settled", "[engine][loads]") {
  ForEachSeed(1, {.settling_loads_max = 3}, [](HeldEngine& world, int) {
    Command command;
    for (int i = 0; i < HeldEngine::kKeys; ++i) {
      command.push_back(Put(HeldEngine::Key(i), world.Value()));
    }
    command.push_back(Clear());
    command.push_back(Put(world.AnyKey(), world.Value()));
    world.Do(command);
    CHECK(world.stats().settling_pending <= 3);
  });
}

TEST_CASE("loads: random clients, reads and background steps equal std::map",
          "[engine][loads][model]") {
  constexpr int kSteps = 10'000;
  constexpr int kStepsBetweenChecks = 1000;
  for (uint64_t seed = FirstSeed(); seed < EndSeed(); ++seed) {
    INFO("seed " << seed);
    RandomClients clients(seed);
    HeldEngine& world = clients.world();
    for (int step = 1; step <= kSteps; ++step) {
      CAPTURE(step);
      clients.Step();
      if (step % kStepsBetweenChecks == 0) world.CheckAll();
      REQUIRE(clients.complaint() == "");
      REQUIRE(world.mismatch() == "");
    }
    const Stats stats = world.stats();
    CHECK(stats.loads_joined > 0);
    // If a write must know its key, it can't overtake who reads it.
    if (clients.limits().settling_loads_max > 0) CHECK(stats.loads_stale > 0);
    CHECK(stats.row_cache_evictions > 0);
    CHECK(stats.flushes > 0);
    CHECK(stats.compactions > 0);
    CHECK(clients.lost_count() > 0);
    CHECK(clients.refused_count() > 0);
    world.Reopen();
    world.CheckAll();
    REQUIRE(world.mismatch() == "");
  }
}

}  // namespace
}  // namespace varve::engine::testing
