// The part of Store that asks for reads and takes in what they bring.
#include <spdlog/logger.h>

#include <utility>

#include "engine/store.h"

namespace varve::engine {
namespace {

constexpr uint64_t kSettlingRetryUs = 100'000;

}  // namespace

void Store::StartLoad(const Miss& miss, TransactionState* waiter, BlockReader& reader) {
  ++waiter->outstanding;
  std::shared_ptr<Load>& load = loads_[LoadKey{miss.tree->id, miss.position, miss.key}];
  if (load != nullptr) {
    ++counters_.loads_joined;
    load->waiters.push_back(waiter);
    return;
  }
  load = std::make_shared<Load>(Load{miss, miss.tree->version, {waiter}, false});
  ++counters_.loads;
  ++loads_in_flight_;
  VersionLookup::Start(
      {*env_.reads, reader}, load->version, miss.position, miss.key, VersionLookup::Wanted::kRow,
      [this, load](const VersionLookup::Outcome& found) { LandLoad(load, found); });
}

void Store::LandLoad(const std::shared_ptr<Load>& load, const VersionLookup::Outcome& found) {
  const Miss& miss = load->miss;
  const Result<std::optional<LoadedRow>>& loaded = found.row;
  if (!loaded) options_.logger->error("read failed: {}", loaded.error().context);
  std::vector<Work> resumed;
  {
    std::lock_guard lock(mutex_.background());
    --loads_in_flight_;
    counters_.load_blocks_read += found.blocks_read;
    if (found.index_bytes > 0) NoteIndexLoaded(found.index_bytes);
    if (load->stale) {
      ++counters_.loads_stale;
    } else {
      loads_.erase(LoadKey{miss.tree->id, miss.position, miss.key});
      if (loaded && !miss.tree->dropped) {
        const RowMemory::Pin pin = KeepLoaded(miss, *loaded);
        if (memory_.wants_spare()) StartTrimming();
        for (TransactionState* waiter : load->waiters) waiter->pins.push_back(pin.Clone());
      } else if (!loaded) {
        for (TransactionState* waiter : load->waiters) {
          waiter->failures.emplace_back(miss, loaded.error());
        }
      }
    }
    for (TransactionState* waiter : load->waiters) Arrive(waiter, resumed);
  }
  RunAll(resumed);
}

RowMemory::Pin Store::KeepLoaded(const Miss& miss, const std::optional<LoadedRow>& loaded) {
  const bool is_absent = !loaded || loaded->row.is_tombstone;
  Value value;
  if (!is_absent) {
    value.bytes = loaded->row.value;
    if (value.bytes.size() >= kSharedValueBytes) value.owner = loaded->bytes;
  }
  return memory_.AddLoaded(miss.tree->rows, miss.position, miss.key, value,
                           is_absent ? ValueType::kString : loaded->row.type, is_absent);
}

void Store::StartRangeLoad(const ScanRange::Request& request, TransactionState* waiter) {
  ++waiter->outstanding;
  ++loads_in_flight_;
  env_.reads->Post([this, request, waiter] {
    Result<std::shared_ptr<const ScanRange>> range = ScanRange::Load(request, secret_);
    if (!range) options_.logger->error("read failed: {}", range.error().context);
    std::vector<Work> resumed;
    {
      std::lock_guard lock(mutex_.background());
      --loads_in_flight_;
      if (range) {
        waiter->ranges.push_back(*range);
      } else {
        waiter->range_failure = range.error();
      }
      Arrive(waiter, resumed);
    }
    RunAll(resumed);
  });
}

// The count of live keys took a blind write for a new key; this finds out whether it was.
void Store::StartSettling(const std::shared_ptr<Tree>& tree,
                          const std::shared_ptr<TreeMemtable>& memtable, Position position,
                          std::string_view key) {
  ++settling_;
  ++memtable->settling;
  ++loads_in_flight_;
  ++counters_.settling_loads;
  RunSettling({tree, memtable, tree->version, position, std::string(key)});
}

void Store::RunSettling(const Settling& settling) {
  VersionLookup::Start(
      {*env_.reads, *env_.blocks}, settling.version, settling.position, settling.key,
      VersionLookup::Wanted::kLiveness,
      [this, settling](const VersionLookup::Outcome& found) { LandSettling(settling, found); });
}

void Store::LandSettling(const Settling& settling, const VersionLookup::Outcome& found) {
  const Result<std::optional<LoadedRow>>& beneath = found.row;
  if (!beneath) options_.logger->error("counting keys failed: {}", beneath.error().context);
  std::vector<Work> resumed;
  {
    std::lock_guard lock(mutex_.background());
    counters_.load_blocks_read += found.blocks_read;
    if (found.index_bytes > 0) NoteIndexLoaded(found.index_bytes);
    const bool closing = write_refusal_ && write_refusal_->code == Errc::kClosed;
    if (!beneath && beneath.error().code != Errc::kCorruption && !closing) {
      // It may pass, and until it does nobody is told a number that may be wrong.
      env_.reads->PostAfter(kSettlingRetryUs, [this, settling] { RunSettling(settling); });
      return;
    }
    --loads_in_flight_;
    --settling_;
    --settling.memtable->settling;
    if (!beneath) {
      if (!closing) settling.tree->count_error = beneath.error();
    } else if (*beneath && !(*beneath)->row.is_tombstone) {
      --settling.tree->key_count;
      --settling.memtable->key_count_delta;
    }
    if (settling_ == 0) TakeWaiters(settling_waiters_, resumed);
  }
  RunAll(resumed);
}

}  // namespace varve::engine
