#include "engine/manifest.h"

#include <catch2/catch.hpp>
#include <random>

#include "engine/checksum.h"
#include "engine/coding.h"
#include "engine/log_record.h"
#include "engine/manifest_format.h"
#include "engine/support/simulated_env.h"

namespace varve::engine {
namespace {

using testing::FileCall;
using testing::MemFileSystem;
using testing::SimulatedEnv;

const std::string kDirectory = "db";

Result<std::unique_ptr<Manifest>> OpenManifest(SimulatedEnv& machine) {
  TRY(machine.env().files->CreateDirectories(kDirectory));
  return Manifest::Open(machine.env(), kDirectory);
}

LevelTable MakeTable(uint64_t number, int level = 0) {
  LevelTable table;
  table.level = level;
  table.info.number = number;
  table.info.file_bytes = number * 1000;
  table.info.row_count = number * 10;
  table.info.tombstone_count = number;
  table.info.row_bytes = number * 999;
  table.info.range = DyadicRange::Of(~Position{0} / number, 3);
  table.info.smallest = table.info.range.begin + 1;
  table.info.largest = table.info.range.last();
  return table;
}

// The i-th of a sequence in which each fits behind the one before: a flush, at times a compaction
// or a FLUSHDB.
VersionEdit MakeEdit(const ManifestState& state, uint64_t i) {
  VersionEdit edit;
  const uint64_t number = state.next_number;
  edit.next_number = number + 2;
  if (i % 5 == 4) {
    edit.databases = state.databases;
    edit.dropped_trees = {(*edit.databases)[i % kDatabaseCount]};
    (*edit.databases)[i % kDatabaseCount] = number;
    return edit;
  }
  VersionEdit::Tree& tree = edit.trees.emplace_back();
  tree.id = state.databases[i % 3];
  tree.added = {MakeTable(number, static_cast<int>(i % kLevelCount))};
  tree.live_key_count = i;
  edit.wal_oldest = state.wal_oldest + i % 2;
  const auto& tables = state.trees.at(tree.id).tables;
  if (i % 3 == 2 && !tables.empty()) tree.removed = {tables.begin()->first};
  return edit;
}

// States after 0, 1, ... edits; the disk is that of a killed process behind the last one.
struct History {
  std::vector<ManifestState> states;
  std::vector<uint64_t> ends;  // file size that a state needs
  std::unique_ptr<MemFileSystem> disk;
  std::string path;
};

History MakeHistory(uint64_t edit_count) {
  History history;
  SimulatedEnv machine;
  auto manifest = OpenManifest(machine);
  REQUIRE(manifest);
  history.path = kDirectory + "/manifest-000001";
  history.ends.push_back(kManifestHeaderBytes + kLogRecordHeaderBytes +
                         EncodeEdit(SnapshotEdit((*manifest)->state())).size());
  history.states.push_back((*manifest)->state());
  for (uint64_t i = 0; i < edit_count; ++i) {
    const VersionEdit edit = MakeEdit((*manifest)->state(), i);
    REQUIRE((*manifest)->Append(edit));
    history.states.push_back((*manifest)->state());
    history.ends.push_back(history.ends.back() + kLogRecordHeaderBytes + EncodeEdit(edit).size());
  }
  history.disk = machine.disk().KillClone();
  return history;
}

size_t IndexOf(const std::vector<ManifestState>& states, const ManifestState& state) {
  return static_cast<size_t>(std::find(states.begin(), states.end(), state) - states.begin());
}

TEST_CASE("manifest: a new database has 16 empty trees and a secret", "[engine][manifest]") {
  SimulatedEnv machine;
  const auto manifest = OpenManifest(machine);
  REQUIRE(manifest);
  const ManifestState& state = (*manifest)->state();
  CHECK(state.databases ==
        std::array<TreeId, 16>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16});
  CHECK(state.trees.size() == 16);
  CHECK(state.next_number == 17);
  CHECK(state.wal_oldest == 1);
  CHECK(state.position_secret != decltype(state.position_secret){});
  SimulatedEnv after(2, machine.disk().CrashClone(0));
  const auto again = OpenManifest(after);
  REQUIRE(again);
  CHECK((*again)->state() == state);
}

TEST_CASE("manifest: edits come back, whatever fields they have", "[engine][manifest]") {
  const History history = MakeHistory(40);
  SimulatedEnv machine(1, history.disk->KillClone());
  for (int restart = 0; restart < 3; ++restart) {
    const auto manifest = OpenManifest(machine);
    REQUIRE(manifest);
    CHECK((*manifest)->state() == history.states.back());
    // One manifest and CURRENT, nothing left over.
    CHECK(machine.disk().List(kDirectory)->size() == 2);
  }
}

TEST_CASE("manifest: an edit's bytes decode to it, and cut anywhere to another or none",
          "[engine][manifest]") {
  VersionEdit edit = SnapshotEdit(MakeHistory(20).states.back());
  edit.dropped_trees = {1, ~0ull};
  const std::string bytes = EncodeEdit(edit);
  CHECK(DecodeEdit(bytes) == edit);
  for (size_t cut = 0; cut < bytes.size(); ++cut) {
    CAPTURE(cut);
    CHECK(DecodeEdit(bytes.substr(0, cut)) != edit);
  }
  CHECK(!DecodeEdit(std::string_view("\x09", 1)));
  // A count of 2^63 must not size an allocation.
  std::string hostile("\x01\x01", 2);
  PutVarint64(hostile, 1ull << 63);
  CHECK(!DecodeEdit(hostile));
}

TEST_CASE("manifest: cut at any length it opens with an earlier state or is refused",
          "[engine][manifest][crash]") {
  const History history = MakeHistory(10);
  const uint64_t size = *history.disk->FileSize(history.path);
  for (uint64_t cut = 0; cut < std::min(size, history.ends.back() + 40); ++cut) {
    CAPTURE(cut);
    SimulatedEnv machine(1, history.disk->KillClone());
    machine.disk().CutOff(history.path, cut);
    const auto manifest = OpenManifest(machine);
    if (cut < history.ends[0]) {
      REQUIRE(!manifest);
      CHECK(manifest.error().code == Errc::kCorruption);
      CHECK(manifest.error().context.find(history.path) == 0);
      continue;
    }
    REQUIRE(manifest);
    size_t expected = 0;
    while (expected + 1 < history.ends.size() && history.ends[expected + 1] <= cut) ++expected;
    CHECK((*manifest)->state() == history.states[expected]);
  }
}

TEST_CASE("manifest: a flipped bit is refused, with its place", "[engine][manifest][crash]") {
  const History history = MakeHistory(10);
  for (uint64_t offset = 0; offset < history.ends.back(); ++offset) {
    CAPTURE(offset);
    SimulatedEnv machine(1, history.disk->KillClone());
    machine.disk().Corrupt(history.path, offset);
    const auto manifest = OpenManifest(machine);
    REQUIRE(!manifest);
    CHECK(manifest.error().code == Errc::kCorruption);
    uint64_t begin = offset < kManifestHeaderBytes ? 0 : kManifestHeaderBytes;
    for (const uint64_t end : history.ends) begin = end <= offset ? end : begin;
    CHECK(manifest.error().context.find(fmt::format("{}: offset {}:", history.path, begin)) == 0);
  }
}

TEST_CASE("manifest: formats of the future are refused by name", "[engine][manifest]") {
  const History history = MakeHistory(2);
  for (const size_t offset : {size_t{8}, size_t{16}}) {
    SimulatedEnv machine(1, history.disk->KillClone());
    std::string bytes = *machine.disk().ReadWhole(history.path);
    ++bytes[offset];
    EncodeFixed64(bytes.data() + 232, Checksum(std::string_view(bytes).substr(0, 232)));
    machine.disk().Write(history.path, bytes);
    const auto manifest = OpenManifest(machine);
    REQUIRE(!manifest);
    CHECK(manifest.error().code == Errc::kInvalidArgument);
  }
}

TEST_CASE("manifest: a CURRENT that is damaged or missing beside data is refused",
          "[engine][manifest][crash]") {
  const History history = MakeHistory(2);
  for (const std::string text :
       {"", "\n", "manifest-000001", "manifest-1\n", "manifest-000002\n"}) {
    CAPTURE(text);
    SimulatedEnv machine(1, history.disk->KillClone());
    machine.disk().Write(kDirectory + "/CURRENT", text);
    const auto manifest = OpenManifest(machine);
    REQUIRE(!manifest);
  }
  for (const std::string name : {"table-000017.sst", "wal-000001.log"}) {
    SimulatedEnv machine(1, history.disk->KillClone());
    REQUIRE(machine.disk().Remove(kDirectory + "/CURRENT"));
    machine.disk().Write(kDirectory + "/" + name, "x");
    const auto manifest = OpenManifest(machine);
    REQUIRE(!manifest);
    CHECK(manifest.error().code == Errc::kCorruption);
  }
}

TEST_CASE("manifest: edits that do not fit change nothing", "[engine][manifest]") {
  SimulatedEnv machine;
  const auto manifest = OpenManifest(machine);
  REQUIRE(manifest);
  VersionEdit first;
  first.next_number = 30;
  first.wal_oldest = 5;
  first.trees = {{1, {MakeTable(20), MakeTable(21)}, {}, 7}};
  REQUIRE((*manifest)->Append(first));
  const ManifestState before = (*manifest)->state();

  std::vector<VersionEdit> edits(13);
  edits[0].trees = {{1, {}, {22}, {}}};             // removes what is not there
  edits[1].trees = {{1, {}, {20, 20}, {}}};         // twice
  edits[2].trees = {{1, {MakeTable(20)}, {}, {}}};  // adds what is there
  edits[3].trees = {{1, {MakeTable(30)}, {}, {}}};  // a number that is not covered
  edits[4].trees = {{1, {MakeTable(25, kLevelCount)}, {}, {}}};
  edits[5].trees = {{1, {}, {}, {}}, {1, {}, {}, {}}};
  edits[6].trees = {{30, {}, {}, {}}};
  edits[7].wal_oldest = 4;
  edits[8].next_number = 29;
  edits[9].dropped_trees = {1};  // a database has it
  edits[10].databases = before.databases;
  (*edits[10].databases)[3] = 1;  // two databases have it
  edits[11].trees = {{1, {MakeTable(25)}, {}, {}}};
  edits[11].trees[0].added[0].info.largest = ~Position{0};  // outside its range
  edits[12].trees = {{2, {MakeTable(26)}, {}, {}}, {3, {MakeTable(26)}, {}, {}}};
  for (size_t i = 0; i < edits.size(); ++i) {
    CAPTURE(i);
    const Result<void> refused = (*manifest)->Append(edits[i]);
    REQUIRE(!refused);
    CHECK(refused.error().code == Errc::kCorruption);
    CHECK((*manifest)->state() == before);
  }
  VersionEdit moved;  // from one level to the next
  moved.trees = {{1, {MakeTable(20, 1)}, {20}, {}}};
  REQUIRE((*manifest)->Append(moved));
  CHECK((*manifest)->state().trees.at(1).tables.at(20).level == 1);
  CHECK((*manifest)->state().trees.at(1).live_key_count == 7);
}

TEST_CASE("manifest: it is rewritten when it has grown, and survives power cuts meanwhile",
          "[engine][manifest][crash]") {
  SimulatedEnv machine;
  auto manifest = OpenManifest(machine);
  REQUIRE(manifest);
  std::vector<ManifestState> states = {(*manifest)->state()};
  std::unique_ptr<MemFileSystem> cut;
  uint64_t seed = 0;
  // At each call of the rewriting, another power cut.
  machine.faults.SetObserver([&](FileCall, const std::string& path) {
    if (path.ends_with("manifest-000001")) return;
    ++seed;
    SimulatedEnv after(seed, machine.disk().CrashClone(seed));
    const auto reopened = OpenManifest(after);
    REQUIRE(reopened);
    CHECK((*reopened)->state() == states.back());
  });
  while (!*machine.disk().Exists(kDirectory + "/manifest-000002")) {
    VersionEdit edit;
    VersionEdit::Tree& tree = edit.trees.emplace_back();
    tree.id = 1;
    const auto& tables = (*manifest)->state().trees.at(1).tables;
    for (const auto& [number, table] : tables) tree.removed.push_back(number);
    edit.next_number = states.back().next_number + 200;
    for (uint64_t i = 0; i < 200; ++i) tree.added.push_back(MakeTable(*edit.next_number - 1 - i));
    ManifestState next = states.back();
    REQUIRE(next.Apply(edit));
    states.push_back(next);
    REQUIRE((*manifest)->Append(edit));
    REQUIRE(states.size() < 1000);
  }
  CHECK(seed > 5);
  CHECK(machine.disk().List(kDirectory)->size() == 2);
  CHECK(*machine.disk().FileSize(kDirectory + "/manifest-000002") < 100'000);
  machine.faults.SetObserver(nullptr);
  REQUIRE((*manifest)->Append(MakeEdit((*manifest)->state(), 0)));
  SimulatedEnv after(1, machine.disk().CrashClone(0));
  CHECK((*OpenManifest(after))->state() == (*manifest)->state());
}

TEST_CASE("manifest: a full disk fails the edit only", "[engine][manifest][fault]") {
  SimulatedEnv machine;
  const auto manifest = OpenManifest(machine);
  REQUIRE(manifest);
  machine.disk().SetCapacity(machine.disk().used_bytes() + 10);
  const VersionEdit edit = MakeEdit((*manifest)->state(), 0);
  const Result<void> refused = (*manifest)->Append(edit);
  REQUIRE(!refused);
  CHECK(refused.error().code == Errc::kNoSpace);
  machine.disk().SetCapacity(1 << 20);
  REQUIRE((*manifest)->Append(edit));
  SimulatedEnv after(1, machine.disk().CrashClone(0));
  CHECK((*OpenManifest(after))->state() == (*manifest)->state());
}

TEST_CASE("manifest: each I/O call failing in turn loses no edit", "[engine][manifest][fault]") {
  for (uint64_t n = 1;; ++n) {
    CAPTURE(n);
    SimulatedEnv machine;
    machine.faults.Fail({.nth = n});
    std::vector<ManifestState> states;  // the last one may be there or not
    size_t durable = 0;
    for (int life = 0; life < 2; ++life) {
      const auto manifest = OpenManifest(machine);
      if (!manifest) continue;
      if (states.empty()) states.push_back((*manifest)->state());
      REQUIRE(IndexOf(states, (*manifest)->state()) < states.size());
      states.resize(IndexOf(states, (*manifest)->state()) + 1);
      durable = states.size() - 1;
      for (uint64_t i = 0; i < 8; ++i) {
        const VersionEdit edit = MakeEdit((*manifest)->state(), i);
        ManifestState next = (*manifest)->state();
        REQUIRE(next.Apply(edit));
        states.resize(durable + 1);
        states.push_back(next);
        const Result<void> appended = (*manifest)->Append(edit);
        if (appended) {
          ++durable;
        } else if (!(*manifest)->Append(edit)) {
          break;  // final
        } else {
          ++durable;
        }
      }
    }
    const bool failed = machine.faults.failed();
    machine.faults.Clear();
    for (uint64_t seed = 0; seed < 6; ++seed) {
      CAPTURE(seed);
      SimulatedEnv after(1,
                         seed == 5 ? machine.disk().KillClone() : machine.disk().CrashClone(seed));
      const auto manifest = OpenManifest(after);
      REQUIRE(manifest);
      if (states.empty()) continue;
      const size_t index = IndexOf(states, (*manifest)->state());
      CHECK(index >= durable);
      CHECK(index < states.size());
    }
    if (!failed) {
      CHECK(durable == 16);
      break;
    }
  }
}

TEST_CASE("manifest: after power cuts at any call, all appended edits and at most one more",
          "[engine][manifest][crash]") {
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    auto disk = std::make_unique<MemFileSystem>();
    std::vector<ManifestState> states;
    size_t durable = 0;
    for (int life = 0; life < 4; ++life) {
      CAPTURE(life);
      SimulatedEnv machine(seed, std::move(disk));
      uint64_t countdown = 1 + random() % 60;
      std::vector<ManifestState> states_at_cut;
      size_t durable_at_cut = 0;
      machine.faults.SetObserver([&](FileCall, const std::string&) {
        if (countdown == 0 || --countdown > 0) return;
        disk = machine.disk().CrashClone(random() | 1);
        states_at_cut = states;
        durable_at_cut = durable;
      });
      const auto manifest = OpenManifest(machine);
      REQUIRE(manifest);
      if (states.empty()) {
        states.push_back((*manifest)->state());
      } else {
        const size_t index = IndexOf(states, (*manifest)->state());
        REQUIRE(index < states.size());
        REQUIRE(index >= durable);
        states.resize(index + 1);
      }
      durable = states.size() - 1;
      for (uint64_t i = random() % 5; disk == nullptr; ++i) {
        const VersionEdit edit = MakeEdit(states.back(), i);
        ManifestState next = states.back();
        REQUIRE(next.Apply(edit));
        states.push_back(next);
        REQUIRE((*manifest)->Append(edit));
        durable = states.size() - 1;
      }
      // Cut within the first Open(): another database, or this one.
      states = std::move(states_at_cut);
      durable = durable_at_cut;
    }
  }
}

}  // namespace
}  // namespace varve::engine
