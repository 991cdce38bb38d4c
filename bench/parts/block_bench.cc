#include <benchmark/benchmark.h>

#include <string>
#include <string_view>

#include "engine/block.h"
#include "engine/block_builder.h"
#include "engine/row.h"
#include "rows.h"

namespace varve::bench {
namespace {

constexpr size_t kBlockBytes = 4096;
const std::string kPath = "bench";  // NOLINT(cert-err58-cpp)

std::string_view BuildBlock(engine::BlockBuilder& builder, engine::BlockCompressor& compressor,
                            Values& values) {
  Key key;
  for (engine::Position position = 0; builder.size() < kBlockBytes; ++position) {
    builder.Add({.position = position, .key = key.Of(position), .value = values.Next()});
  }
  return builder.Seal(compressor, {.path = kPath, .table_number = 1, .offset = 0});
}

void BM_BlockBuild(benchmark::State& state) {
  engine::BlockBuilder builder;
  engine::BlockCompressor compressor;
  if (state.range(0) > 0) compressor = engine::BlockCompressor(state.range(0), {});
  Values values;
  for (auto _ : state) benchmark::DoNotOptimize(BuildBlock(builder, compressor, values));
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(kBlockBytes));
}
BENCHMARK(BM_BlockBuild)->ArgName("zstd")->Arg(0)->Arg(3);

// Checksum, decompression, and a walk over all rows: the CPU's share of a load.
void BM_BlockDecodeAndFind(benchmark::State& state) {
  engine::BlockBuilder builder;
  engine::BlockCompressor compressor;
  if (state.range(0) > 0) compressor = engine::BlockCompressor(state.range(0), {});
  Values values;
  const std::string stored(BuildBlock(builder, compressor, values));
  std::string scratch;
  for (auto _ : state) {
    auto rows =
        engine::DecodeBlock(stored, {.path = kPath, .table_number = 1, .offset = 0}, scratch);
    if (!rows.has_value()) return state.SkipWithError("damaged block");
    std::string_view rest = *rows;
    engine::Row row;
    while (!rest.empty() && engine::ParseRow(rest, row)) benchmark::DoNotOptimize(row.key.data());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(kBlockBytes));
  state.counters["stored_bytes"] = static_cast<double>(stored.size());
}
BENCHMARK(BM_BlockDecodeAndFind)->ArgName("zstd")->Arg(0)->Arg(3);

}  // namespace
}  // namespace varve::bench
