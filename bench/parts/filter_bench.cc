#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "engine/filter.h"

namespace varve::bench {
namespace {

constexpr int kBitsPerKey = 10;

std::vector<engine::Position> Positions(size_t count) {
  std::mt19937_64 random(3);
  std::vector<engine::Position> positions(count);
  for (auto& position : positions) position = random();
  return positions;
}

void BM_FilterBuild(benchmark::State& state) {
  const auto positions = Positions(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    benchmark::DoNotOptimize(engine::Filter::Build(positions, kBitsPerKey));
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_FilterBuild)->Arg(500'000)->Unit(benchmark::kMillisecond);

// Absent positions: what a read asks each level that does not have its row. The share of wrong
// answers is reported along.
void BM_FilterMayContain(benchmark::State& state) {
  const auto payload =
      engine::Filter::Build(Positions(static_cast<size_t>(state.range(0))), kBitsPerKey);
  engine::Filter filter;
  if (!filter.Decode(payload)) return state.SkipWithError("not a filter");
  std::mt19937_64 random(4);
  int64_t wrong = 0;
  for (auto _ : state) wrong += filter.MayContain(random()) ? 1 : 0;
  state.counters["false_positive_share"] =
      static_cast<double>(wrong) / static_cast<double>(state.iterations());
}
BENCHMARK(BM_FilterMayContain)->Arg(500'000)->Arg(20'000'000);

}  // namespace
}  // namespace varve::bench
