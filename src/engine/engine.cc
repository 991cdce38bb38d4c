#include "engine/engine.h"

#include "engine/engine_core.h"
#include "engine/transaction_state.h"

namespace varve::engine {

Transaction::Transaction() : state_(std::make_unique<TransactionState>()) {}
Transaction::~Transaction() = default;
Transaction::Transaction(Transaction&&) noexcept = default;
Transaction& Transaction::operator=(Transaction&&) noexcept = default;

Engine::Engine(std::unique_ptr<EngineCore> core) : core_(std::move(core)) {}
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::Open(const Env& env, Options options) {
  INVARIANT(options.logger != nullptr);
  TRY_ASSIGN(std::unique_ptr<EngineCore> core, EngineCore::Open(env, std::move(options)));
  return std::unique_ptr<Engine>(new Engine(std::move(core)));
}

Result<void> Engine::Close() { return core_->Close(); }

Result<void> Engine::WriteLog(Lsn lsn) { return core_->wal().WriteUpTo(lsn); }

Result<void> Engine::SyncLog(Lsn lsn) { return core_->wal().SyncUpTo(lsn); }

void Engine::WhenDurable(Lsn lsn, std::function<void(Result<void>)> done) {
  core_->wal().WhenDurable(lsn, std::move(done));
}

Lsn Engine::log_written() const { return core_->wal().written(); }

SyncMode Engine::sync_mode() const { return core_->sync_mode(); }
uint64_t Engine::write_delay_us() const { return core_->store().write_delay_us(); }
void Engine::Compact() { core_->Compact(); }

Stats Engine::stats() { return core_->CollectStats(); }
void Engine::SetSyncMode(SyncMode mode) { core_->SetSyncMode(mode); }
void Engine::SetLastLevelCompression(LastLevelCompression compression) {
  core_->SetLastLevelCompression(compression);
}

void Engine::SetMemoryBytesMax(uint64_t bytes) {
  std::lock_guard lock(core_->store().mutex());
  core_->store().SetMemoryBytesMax(bytes);
}

void Engine::AddForeignBytes(int64_t bytes) {
  std::lock_guard lock(core_->store().mutex());
  core_->store().AddForeignBytes(bytes);
}

void Engine::SetWriteBufferBytes(uint64_t bytes) {
  std::lock_guard lock(core_->store().mutex());
  core_->store().SetWriteBufferBytes(bytes);
}

void Engine::ResetStats() {
  {
    std::lock_guard lock(core_->store().mutex());
    core_->store().ResetStats();
  }
  core_->wal().ResetStats();
}

Guard::Guard(Engine& engine, Transaction& transaction)
    : core_(*engine.core_), state_(*transaction.state_) {
  core_.store().mutex().lock();
}

Guard::~Guard() {
  state_.writes.Clear();
  core_.store().mutex().unlock();
}

void Guard::Begin() { core_.store().BeginRun(state_); }
void Guard::UseReserve() { state_.may_use_reserve = true; }
Lookup Guard::Get(int db, std::string_view key) { return core_.store().Get(state_, db, key); }
Presence Guard::Contains(int db, std::string_view key) {
  return core_.store().Contains(state_, db, key);
}
void Guard::Put(int db, std::string_view key, Value value) {
  core_.store().Put(state_, db, key, std::move(value));
}
Presence Guard::Delete(int db, std::string_view key) {
  return core_.store().Delete(state_, db, key);
}
void Guard::Clear(int db) { state_.writes.ClearDatabase(db); }
std::optional<uint64_t> Guard::KeyCount(int db) { return core_.store().KeyCount(state_, db); }
std::optional<ScanPage> Guard::Scan(int db, ScanToken from, size_t count_hint) {
  return core_.store().Scan(state_, db, from, count_hint);
}
std::optional<std::optional<std::string>> Guard::RandomKey(int db) {
  return core_.store().RandomKey(state_, db);
}
void Guard::Prefetch(int db, std::string_view key) { core_.store().Prefetch(state_, db, key); }
void Guard::Warm(int db, std::span<const std::string_view> keys) { core_.store().Warm(db, keys); }
Outcome Guard::Commit() { return core_.store().Commit(state_); }
void Guard::Rollback() { core_.store().EndCommand(state_); }
const Error& Guard::refusal() const {
  INVARIANT(state_.refusal.has_value());
  return *state_.refusal;
}
void Guard::Wait(Work resume, BlockReader* reader) {
  core_.store().Wait(state_, std::move(resume), reader);
}
Lsn Guard::log_end() const { return core_.store().log_end(); }

}  // namespace varve::engine
