#include "engine/support/held_engine.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "engine/invariant.h"
#include "engine/support/engine_driver.h"

namespace varve::engine::testing {
namespace {

// Beyond it something waits for what never comes.
constexpr int kRoundsMax = 100'000;
constexpr int kFillerKeys = 8;
constexpr size_t kFillerBytes = 400;
constexpr int64_t kNoCacheBytes = int64_t{1} << 40;
constexpr uint64_t kTickUs = 1000;

std::string FillerKey(uint64_t index) { return "fill" + std::to_string(index % kFillerKeys); }

}  // namespace

HeldEngine::HeldEngine(uint64_t seed, const Limits& limits)
    : random_(seed),
      machine_(seed),
      reader_(machine_.scheduler.parallel_executor()),
      env_(machine_.env()),
      options_(TinyOptions()) {
  env_.blocks = &reader_;
  options_.write_buffer_bytes = limits.write_buffer_bytes;
  options_.memory_bytes_max = limits.memory_bytes_max;
  options_.block_bytes = limits.block_bytes;
  options_.settling_loads_max = limits.settling_loads_max;
  options_.sealed_memtables_max = limits.sealed_memtables_max;
  options_.filter_bits_per_key = limits.filter_bits_per_key;
  options_.value_threshold_bytes = limits.value_threshold_bytes;
  Open();
  LearnTokens();
  constexpr int kLayers = 3;
  for (int layer = 0; layer < kLayers; ++layer) {
    for (int i = 0; i < kKeys; ++i) {
      const uint64_t kind = Below(8);
      if (layer == 0 || kind < 3) Do({Put(Key(i), Value())});
      if (kind == 3) Do({Delete(Key(i))});
    }
    Flush();
  }
  Evict();
}

HeldEngine::~HeldEngine() { Close(ReadsEnd::kWell); }

void HeldEngine::Open() {
  Result<std::unique_ptr<Engine>> opened = Engine::Open(env_, options_);
  INVARIANT(opened.has_value());
  engine_ = *std::move(opened);
  if (!has_cache_) engine_->AddForeignBytes(kNoCacheBytes);
}

// All keys with empty values, while memory has them all: then each page of one key ends at the next
// key's token.
void HeldEngine::LearnTokens() {
  Transaction transaction;
  Guard guard(*engine_, transaction);
  guard.Begin();
  Command command;
  for (int i = 0; i < kKeys; ++i) command.push_back(Put(Key(i), ""));
  for (int i = 0; i < kFillerKeys; ++i) command.push_back(Put(FillerKey(i), ""));
  for (const Operation& put : command) {
    guard.Put(0, put.key, {});
    model_.Apply(put, {});
  }
  INVARIANT(guard.Commit() == Outcome::kDone);
  ScanToken token = 0;
  do {
    guard.Begin();
    const std::optional<ScanPage> page = guard.Scan(0, token, 1);
    INVARIANT(page && guard.Commit() == Outcome::kDone);
    for (const std::string& key : page->keys) model_.tokens()[key] = token;
    token = page->next;
  } while (token != 0);
}

std::string HeldEngine::LiveKey() {
  const KeyModel::Rows& rows = model_.rows(0);
  for (uint64_t i = Below(kKeys);; ++i) {
    std::string key = Key(i % kKeys);
    if (rows.contains(key)) return key;
    INVARIANT(i < 2 * kKeys);
  }
}

std::string HeldEngine::Value() {
  return "value " + std::to_string(++written_) + std::string(Below(60), '.');
}

Command HeldEngine::GetAll() {
  Command command;
  const uint64_t first = Below(kKeys);
  for (uint64_t i = 0; i < kKeys; ++i) command.push_back(Get(Key((first + i) % kKeys)));
  return command;
}

ModelClient& HeldEngine::NewClient() {
  clients_.push_back(std::make_unique<ModelClient>(*engine_, model_));
  return *clients_.back();
}

void HeldEngine::Lose(ModelClient& client) {
  if (mismatch_.empty()) mismatch_ = client.mismatch();
  std::erase_if(clients_, [&](const auto& other) { return other.get() == &client; });
}

// ---- One thing at a time

void HeldEngine::GoOnBeside(uint64_t us) {
  const size_t kept = reader_.held_count();
  machine_.scheduler.AdvanceUs(us);
  while (reader_.held_count() > kept) {
    reader_.Deliver(kept);
    machine_.scheduler.RunReady();
  }
}

std::vector<Answer> HeldEngine::Do(const Command& command) {
  ModelClient& client = NewClient();
  client.Start(command);
  for (int round = 0; client.state() != ModelClient::State::kIdle; ++round) {
    INVARIANT(round < kRoundsMax);
    GoOnBeside(kTickUs);
    if (client.state() == ModelClient::State::kResumed) client.Again();
  }
  INVARIANT(!client.refusal());
  std::vector<Answer> answers = client.answers();
  Lose(client);
  return answers;
}

void HeldEngine::Flush() {
  GoOnBeside();  // else it could be an older generation that is flushed
  const uint64_t before = stats().flushes;
  for (int round = 0; stats().flushes == before; ++round) {
    INVARIANT(round < kRoundsMax);
    Do({Put(FillerKey(Below(kFillerKeys)), std::string(kFillerBytes, 'f'))});
    GoOnBeside(kTickUs);
  }
}

void HeldEngine::Compact() {
  const uint64_t before = stats().compactions;
  for (int round = 0; stats().compactions == before; ++round) {
    INVARIANT(round < kRoundsMax);
    Flush();
    GoOnBeside(kTickUs);
  }
}

void HeldEngine::Evict() {
  engine_->AddForeignBytes(kNoCacheBytes);
  GoOnBeside();
  engine_->AddForeignBytes(-kNoCacheBytes);
}

void HeldEngine::TakeCache() {
  if (std::exchange(has_cache_, false)) engine_->AddForeignBytes(kNoCacheBytes);
}

void HeldEngine::GiveCache() {
  if (!std::exchange(has_cache_, true)) engine_->AddForeignBytes(-kNoCacheBytes);
}

// ---- To an end

void HeldEngine::LetGo() {
  machine_.scheduler.RunReady();
  while (reader_.held_count() > 0) {
    reader_.Deliver(Below(reader_.held_count()));
    for (uint64_t steps = Below(4); steps > 0; --steps) machine_.scheduler.RunOne();
    if (reader_.held_count() == 0) machine_.scheduler.RunReady();
  }
}

void HeldEngine::FinishAll() {
  bool waits = true;
  for (int round = 0; waits; ++round) {
    INVARIANT(round < kRoundsMax);
    LetGo();
    waits = false;
    for (const auto& client : clients_) {
      if (client->state() == ModelClient::State::kResumed) client->Again();
      waits |= client->state() != ModelClient::State::kIdle;
    }
    if (waits) machine_.scheduler.AdvanceUs(kTickUs);
  }
  for (const auto& client : clients_) {
    if (mismatch_.empty()) mismatch_ = client->mismatch();
  }
}

void HeldEngine::CheckAll() {
  FinishAll();
  Do({Count()});
  Operation page{Operation::Kind::kScan};
  page.count_hint = 1 + Below(2 * kKeys);
  do {
    page.from = Do({page}).front().page.next;
  } while (page.from != 0);
  Command all;
  for (const auto& [key, token] : model_.tokens()) all.push_back(Get(key));
  Do(all);
}

// ---- Close

// The disk, while somebody closes the engine and can only wait.
void HeldEngine::EndOneRead(ReadsEnd how) {
  if (!is_closing_) return;
  if (reader_.held_count() > 0) {
    const uint64_t index = Below(reader_.held_count());
    if (how == ReadsEnd::kWell) {
      reader_.Deliver(index);
    } else {
      reader_.Fail(index);
    }
  }
  env_.reads->PostAfter(1 + Below(kTickUs), [this, how] { EndOneRead(how); });
}

void HeldEngine::Close(ReadsEnd how) {
  is_closing_ = true;
  env_.reads->PostAfter(Below(kTickUs), [this, how] { EndOneRead(how); });
  INVARIANT(engine_->Close().has_value());
  is_closing_ = false;
  INVARIANT(reader_.held_count() == 0);
  while (!clients_.empty()) Lose(*clients_.back());  // each has been resumed
  engine_.reset();
}

void HeldEngine::Reopen(ReadsEnd how) {
  Close(how);
  Open();
}

}  // namespace varve::engine::testing
