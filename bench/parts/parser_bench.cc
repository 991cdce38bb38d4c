#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cstring>
#include <string>
#include <vector>

#include "resp/argument.h"
#include "resp/parser.h"

namespace varve::bench {
namespace {

// A pipeline of SETs with values of 100 bytes, as redis-benchmark sends it, in one read.
void BM_ParsePipelineOfSets(benchmark::State& state) {
  const auto depth = static_cast<size_t>(state.range(0));
  std::string bytes;
  for (size_t i = 0; i < depth; ++i) {
    bytes += fmt::format("*3\r\n$3\r\nSET\r\n$16\r\nkey:{:012}\r\n$100\r\n{:100}\r\n", i, 'x');
  }
  resp::Parser parser;
  std::vector<resp::Argument> arguments;
  for (auto _ : state) {
    for (size_t sent = 0; sent < bytes.size();) {
      const auto room = parser.Prepare();
      const size_t size = std::min(room.size(), bytes.size() - sent);
      std::memcpy(room.data(), bytes.data() + sent, size);
      parser.Commit(size);
      sent += size;
      while (parser.Next(arguments) == resp::Parsed::kCommand) {
        benchmark::DoNotOptimize(arguments.data());
        arguments.clear();
      }
      parser.Release();
    }
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_ParsePipelineOfSets)->Arg(1)->Arg(16)->Arg(64);

}  // namespace
}  // namespace varve::bench
