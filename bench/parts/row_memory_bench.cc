#include <benchmark/benchmark.h>

#include <memory>
#include <random>
#include <string>

#include "engine/row_memory.h"
#include "rows.h"

namespace varve::bench {
namespace {

constexpr uint64_t kMemtableRows = 4'000'000;
constexpr uint64_t kCacheRows = 1'000'000;
constexpr uint64_t kPlenty = uint64_t{4} << 30;

// The rows of one tree, with or without a memtable.
class TestTree {
 public:
  explicit TestTree(uint64_t bytes_max) : memory_(bytes_max) {}

  void Put(uint64_t number) {
    const std::string_view bytes = key_.Of(number);
    memory_.Write(*rows_, memtable_, secret_.Of(bytes), bytes,
                  {.bytes = values_.Next(), .owner = nullptr}, engine::ValueType::kString, false);
  }
  void Load(uint64_t number) {
    const std::string_view bytes = key_.Of(number);
    (void)memory_.AddLoaded(rows_, secret_.Of(bytes), bytes,
                            {.bytes = values_.Next(), .owner = nullptr}, engine::ValueType::kString,
                            false);
  }
  const engine::MemoryRow* Find(uint64_t number) {
    const std::string_view bytes = key_.Of(number);
    return rows_->table.Find(secret_.Of(bytes), bytes);
  }
  const engine::RowMemory& memory() const { return memory_; }
  const engine::Memtable& memtable() const { return memtable_; }

 private:
  const engine::PositionSecret secret_ = TestSecret();
  Key key_;
  Values values_;
  engine::RowMemory memory_;
  std::shared_ptr<engine::TreeRows> rows_ = std::make_shared<engine::TreeRows>();
  engine::Memtable memtable_{1};
};

// One iteration fills a memtable with kMemtableRows rows. The hash of the key is part of it, and so
// is getting the memory from the system, which the background does ahead in the server.
void BM_MemtablePut4M(benchmark::State& state) {
  for (auto _ : state) {
    state.PauseTiming();
    auto tree = std::make_unique<TestTree>(kPlenty);
    state.ResumeTiming();
    for (uint64_t number = 0; number < kMemtableRows; ++number) tree->Put(number);
    state.PauseTiming();
    tree.reset();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kMemtableRows));
}
BENCHMARK(BM_MemtablePut4M)->Unit(benchmark::kMillisecond);

class FullMemtable : public benchmark::Fixture {
 public:
  void SetUp(const benchmark::State&) override {
    if (tree_ != nullptr) return;
    tree_ = std::make_unique<TestTree>(kPlenty);
    for (uint64_t number = 0; number < kMemtableRows; ++number) tree_->Put(number);
  }

 protected:
  std::unique_ptr<TestTree> tree_;
};

BENCHMARK_F(FullMemtable, Get)(benchmark::State& state) {
  std::mt19937_64 random(5);
  for (auto _ : state) {
    const engine::MemoryRow* row = tree_->Find(random() % kMemtableRows);
    if (row == nullptr) return state.SkipWithError("a row is missing");
    benchmark::DoNotOptimize(row->value_bytes().back());
  }
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK_F(FullMemtable, GetMissing)(benchmark::State& state) {
  std::mt19937_64 random(5);
  for (auto _ : state) {
    if (tree_->Find(kMemtableRows + random() % kMemtableRows) != nullptr) {
      return state.SkipWithError("a row too many");
    }
  }
  state.SetItemsProcessed(state.iterations());
}

// A walk in the order of tables, which is all that a flush has to do before it writes.
BENCHMARK_DEFINE_F(FullMemtable, SortAndWalk)(benchmark::State& state) {
  for (auto _ : state) {
    const auto cursor = tree_->memtable().NewCursor();  // sorts
    uint64_t rows = 0;
    for (cursor->Seek(0); cursor->Valid(); cursor->Next()) {
      benchmark::DoNotOptimize(cursor->row().value.data());
      ++rows;
    }
    if (rows != kMemtableRows) return state.SkipWithError("rows are missing");
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kMemtableRows));
}
BENCHMARK_REGISTER_F(FullMemtable, SortAndWalk)->Unit(benchmark::kMillisecond);

// What a load costs once the cache is full: each insertion evicts a row.
void BM_RowCacheInsertEvicting(benchmark::State& state) {
  TestTree tree(128 << 20);
  uint64_t number = 0;
  while (tree.memory().evictions() == 0) tree.Load(number++);
  for (auto _ : state) tree.Load(number++);
  state.SetItemsProcessed(state.iterations());
  state.counters["bytes_per_row"] = static_cast<double>(tree.memory().memory_bytes()) /
                                    static_cast<double>(tree.memory().clean_rows());
}
BENCHMARK(BM_RowCacheInsertEvicting);

void BM_RowCacheHit(benchmark::State& state) {
  TestTree tree(uint64_t{1} << 30);
  for (uint64_t number = 0; number < kCacheRows; ++number) tree.Load(number);
  std::mt19937_64 random(5);
  for (auto _ : state) {
    const engine::MemoryRow* row = tree.Find(random() % kCacheRows);
    if (row == nullptr) return state.SkipWithError("a row is missing");
    row->MarkVisited();
    benchmark::DoNotOptimize(row->value_bytes().back());
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["bytes_per_row"] = static_cast<double>(tree.memory().memory_bytes()) /
                                    static_cast<double>(tree.memory().clean_rows());
}
BENCHMARK(BM_RowCacheHit);

}  // namespace
}  // namespace varve::bench
