#include <benchmark/benchmark.h>

#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "engine/memtable.h"
#include "rows.h"

namespace varve::bench {
namespace {

constexpr uint64_t kRows = 4'000'000;
constexpr size_t kMemtableBytes = 640 << 20;  // what they take, about

void PutRow(engine::Memtable& memtable, const engine::PositionSecret& secret, Key& key,
            uint64_t number, Values& values) {
  const std::string_view bytes = key.Of(number);
  memtable.Upsert(secret.Of(bytes), bytes, {.bytes = values.Next(), .owner = nullptr},
                  engine::ValueType::kString, false);
}

// One iteration fills a memtable with kRows rows; the hash of the key is part of it.
void BM_MemtablePut4M(benchmark::State& state) {
  const auto secret = TestSecret();
  Values values;
  for (auto _ : state) {
    auto memtable = std::make_unique<engine::Memtable>(kMemtableBytes);
    Key key;
    for (uint64_t number = 0; number < kRows; ++number) {
      PutRow(*memtable, secret, key, number, values);
    }
    state.PauseTiming();
    memtable.reset();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kRows));
}
BENCHMARK(BM_MemtablePut4M)->Unit(benchmark::kMillisecond);

class FullMemtable : public benchmark::Fixture {
 public:
  void SetUp(const benchmark::State&) override {
    Values values;
    Key key;
    for (uint64_t number = 0; number < kRows; ++number) {
      PutRow(memtable_, secret_, key, number, values);
    }
  }

 protected:
  const engine::PositionSecret secret_ = TestSecret();
  engine::Memtable memtable_{kMemtableBytes};
};

BENCHMARK_F(FullMemtable, Get)(benchmark::State& state) {
  std::mt19937_64 random(5);
  Key key;
  for (auto _ : state) {
    const std::string_view bytes = key.Of(random() % kRows);
    const auto* entry = memtable_.Find(secret_.Of(bytes), bytes);
    if (entry == nullptr) return state.SkipWithError("a row is missing");
    benchmark::DoNotOptimize(entry->value_bytes().back());
  }
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK_F(FullMemtable, GetMissing)(benchmark::State& state) {
  std::mt19937_64 random(5);
  Key key;
  for (auto _ : state) {
    const std::string_view bytes = key.Of(kRows + random() % kRows);
    if (memtable_.Find(secret_.Of(bytes), bytes) != nullptr) {
      return state.SkipWithError("a row too many");
    }
  }
  state.SetItemsProcessed(state.iterations());
}

// A walk in the order of tables, which is all that a flush has to do before it writes.
BENCHMARK_F(FullMemtable, Walk)(benchmark::State& state) {
  for (auto _ : state) {
    const auto cursor = memtable_.NewCursor();
    uint64_t rows = 0;
    for (cursor->Seek(0); cursor->Valid(); cursor->Next()) {
      benchmark::DoNotOptimize(cursor->row().value.data());
      ++rows;
    }
    if (rows != kRows) return state.SkipWithError("rows are missing");
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kRows));
}

}  // namespace
}  // namespace varve::bench
