#include "engine/wal.h"

#include <spdlog/logger.h>

#include <mutex>
#include <utility>

#include "engine/wal_preparer.h"
#include "engine/wal_segment.h"
#include "engine/wal_syncer.h"
#include "engine/wal_writer.h"

namespace varve::engine {

// What work on env.log may still refer to when the Wal is gone.
struct Wal::State {
  Env env;
  std::string directory;
  std::shared_ptr<spdlog::logger> logger;
  std::shared_ptr<WalPreparer> preparer;
  std::shared_ptr<WalWriter> writer;
  std::shared_ptr<WalSyncer> syncer;

  std::mutex mutex;
  std::vector<uint64_t> numbers;  // of the segments in use since Open(); guarded by mutex
};

size_t WalRecord::size() const {
  size_t bytes = head.size();
  for (const Value& value : large_values) bytes += value.bytes.size();
  return bytes;
}

Wal::Wal(std::shared_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<Wal>> Wal::Open(const Env& env, const Options& options,
                                       uint64_t segment_bytes, uint64_t number, Lsn base,
                                       std::vector<std::string> spare,
                                       std::shared_ptr<SpaceReserve> reserve) {
  auto state = std::make_shared<State>();
  state->env = env;
  state->directory = options.directory;
  state->logger = options.logger;
  state->preparer =
      std::make_shared<WalPreparer>(env, options, segment_bytes, number, std::move(reserve));
  TRY(state->preparer->AddSpare(std::move(spare)));
  TRY_ASSIGN(std::shared_ptr<WalSegment> first, state->preparer->MakeFirst(base));
  state->numbers.push_back(first->header.number);
  state->writer = std::make_shared<WalWriter>(options.logger, std::move(first));
  state->syncer = std::make_shared<WalSyncer>(env.log, state->writer);
  state->syncer->SetMode(options.sync_mode);
  state->preparer->Prepare(0, false, nullptr);
  return std::unique_ptr<Wal>(new Wal(std::move(state)));
}

Wal::~Wal() { state_->preparer->Stop(); }

bool Wal::Fits(size_t payload_bytes) const { return state_->writer->Fits(payload_bytes); }

bool Wal::NextFits(size_t payload_bytes) const { return state_->preparer->Fits(payload_bytes); }

uint64_t Wal::Rotate() {
  std::shared_ptr<WalSegment> next = state_->preparer->TakeNext();
  const uint64_t number = next->header.number;
  {
    const std::lock_guard lock(state_->mutex);
    state_->numbers.push_back(number);
  }
  state_->logger->debug("WAL goes on in segment {} at LSN {}", number, end());
  state_->writer->Rotate(std::move(next));
  state_->preparer->Prepare(0, false, nullptr);
  return number;
}

Lsn Wal::Append(const WalRecord& record) { return state_->writer->Append(record); }

Lsn Wal::end() const { return state_->writer->end(); }

uint64_t Wal::segment_number() const { return state_->writer->active().header.number; }

uint64_t Wal::segment_bytes_used() const { return state_->writer->active_bytes_used(); }

void Wal::PrepareNext(size_t payload_bytes, bool may_use_reserve, Work done) {
  state_->preparer->Prepare(payload_bytes, may_use_reserve, std::move(done));
}

Result<void> Wal::preparation_error(bool may_use_reserve) const {
  return state_->preparer->error(may_use_reserve);
}

Result<void> Wal::write_error() const { return state_->writer->error(); }

Result<void> Wal::WriteUpTo(Lsn lsn) { return state_->writer->WriteUpTo(lsn); }

Result<void> Wal::SyncUpTo(Lsn lsn) { return state_->syncer->SyncUpTo(lsn); }

void Wal::WhenDurable(Lsn lsn, std::function<void(Result<void>)> done) {
  state_->syncer->WhenDurable(lsn, std::move(done));
}

Lsn Wal::written() const { return state_->writer->written(); }

Lsn Wal::durable() const { return state_->writer->durable(); }

void Wal::SetSyncMode(SyncMode mode) { state_->syncer->SetMode(mode); }

void Wal::Release(uint64_t number) {
  state_->env.log->Post([weak = std::weak_ptr<State>(state_), number] {
    const auto state = weak.lock();
    // After a failed write the files stay as they are: the next start reads them.
    if (!state || !state->writer->Forget(number)) return;
    {
      const std::lock_guard lock(state->mutex);
      std::erase_if(state->numbers, [number](uint64_t used) { return used < number; });
    }
    const Result<void> result = state->preparer->RecycleBelow(number);
    if (!result) {
      state->logger->warn("an old WAL segment stays behind: {}", result.error().context);
    }
  });
}

Result<void> Wal::Close() {
  state_->preparer->Stop();
  return state_->syncer->Close();
}

WalStats Wal::stats() const {
  WalStats stats = state_->writer->stats();
  const std::lock_guard lock(state_->mutex);
  stats.segments = state_->numbers.size();
  return stats;
}

void Wal::ResetStats() { state_->writer->ResetStats(); }

}  // namespace varve::engine
