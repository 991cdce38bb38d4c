#include <benchmark/benchmark.h>

#include <random>

#include "engine/row_cache.h"
#include "rows.h"

namespace varve::bench {
namespace {

constexpr engine::TreeId kTree = 1;
constexpr uint64_t kRows = 1'000'000;

void InsertRow(engine::RowCache& cache, const engine::PositionSecret& secret, Key& key,
               uint64_t number, Values& values) {
  const std::string_view bytes = key.Of(number);
  cache.Insert(kTree, secret.Of(bytes), bytes, {.bytes = values.Next(), .owner = nullptr},
               engine::ValueType::kString);
}

// What a load costs once the cache is full: each insertion evicts a row.
void BM_RowCacheInsertEvicting(benchmark::State& state) {
  const auto secret = TestSecret();
  Values values;
  engine::RowCache cache(128 << 20);
  Key key;
  uint64_t number = 0;
  while (cache.evictions() == 0) InsertRow(cache, secret, key, number++, values);
  for (auto _ : state) InsertRow(cache, secret, key, number++, values);
  state.SetItemsProcessed(state.iterations());
  state.counters["bytes_per_row"] =
      static_cast<double>(cache.memory_bytes()) / static_cast<double>(cache.row_count());
}
BENCHMARK(BM_RowCacheInsertEvicting);

void BM_RowCacheHit(benchmark::State& state) {
  const auto secret = TestSecret();
  Values values;
  engine::RowCache cache(uint64_t{1} << 30);
  Key key;
  for (uint64_t number = 0; number < kRows; ++number) {
    InsertRow(cache, secret, key, number, values);
  }
  std::mt19937_64 random(5);
  for (auto _ : state) {
    const std::string_view bytes = key.Of(random() % kRows);
    const auto* row = cache.Find(kTree, secret.Of(bytes), bytes);
    if (row == nullptr) return state.SkipWithError("a row is missing");
    benchmark::DoNotOptimize(row->value_bytes().back());
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_RowCacheHit);

}  // namespace
}  // namespace varve::bench
