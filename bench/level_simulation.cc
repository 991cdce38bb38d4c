// What compaction costs in trees that no disk at hand could hold: 10 TB and less of rows that are
// overwritten at random, as tables without data (simulated_levels.h), with the engine's own plan of
// what to merge next. Prints a table. Bytes are those of keys and values before compression, where
// nothing else is said.
//   rewritten  what flushes and merges write, over what clients write
//   space      what is in tables, over what is live
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "simulated_levels.h"

namespace varve::bench {
namespace {

constexpr double kGiga = 1e9;

struct Flags {
  std::vector<double> gigabytes = {10, 100, 1000, 10'000};
  double overwrites = 1;
  double writes_gb_max = 300;
  uint64_t row_bytes = 416;
  uint64_t write_buffer_mb = 64;
  double compression = 0.57;

  void AddTo(CLI::App& app) {
    app.add_option("--gigabytes", gigabytes, "of live rows, before compression")
        ->capture_default_str();
    app.add_option("--overwrites", overwrites, "of each row, on the average")
        ->capture_default_str();
    app.add_option("--writes-gb-max", writes_gb_max, "but no more than this")
        ->capture_default_str();
    app.add_option("--row-bytes", row_bytes, "key and value")->check(CLI::Range(16, 1 << 20));
    app.add_option("--write-buffer-mb", write_buffer_mb, "")->check(CLI::Range(1, 4096));
    app.add_option("--compression", compression, "bytes in files for each byte of rows")
        ->check(CLI::Range(0.01, 2.0));
  }
};

double Ratio(uint64_t a, uint64_t b) {
  return b == 0 ? 0 : static_cast<double>(a) / static_cast<double>(b);
}

struct Writes {
  uint64_t bytes = 0;
  uint64_t merged_bytes_max = 0;  // for one memtable
};

// Memtables one by one, and after each one what is due by then.
Writes Overwrite(SimulatedLevels& levels, uint64_t bytes, const Flags& flags) {
  const uint64_t memtable_rows = (flags.write_buffer_mb << 20) / flags.row_bytes;
  Writes writes;
  while (writes.bytes < bytes) {
    const uint64_t merged_before = levels.merged_bytes();
    levels.Flush(memtable_rows);
    writes.bytes += memtable_rows * flags.row_bytes;
    while (levels.Compact(engine::CompactionGoal::kKeepPace)) {
    }
    writes.merged_bytes_max =
        std::max(writes.merged_bytes_max, levels.merged_bytes() - merged_before);
  }
  return writes;
}

// "L5 1.25 L6 10.00" of what each level has.
template <typename Of>
std::string PerLevel(const Of& of) {
  std::string text;
  for (int level = 0; level < engine::kLevelCount; ++level) {
    const double value = of(level);
    if (value > 0) text += fmt::format("{}L{} {:.2f}", text.empty() ? "" : ", ", level, value);
  }
  return text;
}

using Figures = std::vector<std::pair<std::string, std::string>>;  // name, figure

Figures FiguresOf(const SimulatedLevels& levels, const Writes& writes, const Flags& flags) {
  const uint64_t live = levels.live_bytes();
  const double memtables = static_cast<double>(writes.bytes) / (flags.write_buffer_mb << 20);
  const auto number = [](double value) { return fmt::format("{:.2f}", value); };
  const auto giga = [](uint64_t bytes) { return static_cast<double>(bytes) / kGiga; };
  return {
      {"live rows, GB", fmt::format("{:.3g}", giga(live))},
      {"overwritten, GB", fmt::format("{:.3g}", giga(writes.bytes))},
      {"GB by level", PerLevel([&](int level) { return giga(levels.level_bytes(level)); })},
      {"rewritten", number(Ratio(levels.flushed_bytes() + levels.merged_bytes(), writes.bytes))},
      {"of that by merges into",
       PerLevel([&](int level) { return Ratio(levels.merged_bytes(level), writes.bytes); })},
      {"rewritten, compressed",
       number(flags.compression *
              Ratio(levels.flushed_bytes() + levels.merged_bytes(), writes.bytes))},
      {"space", fmt::format("{:.3f}", Ratio(levels.bytes(), live))},
      {"space at most", fmt::format("{:.3f}", Ratio(levels.bytes_max(), live))},
      {"merged for one memtable at most, over the mean",
       number(Ratio(writes.merged_bytes_max, levels.merged_bytes()) * memtables)},
      {"largest step, MB", fmt::format("{:.0f}", giga(levels.largest_step_bytes()) * 1e3)},
      {"steps, of which moves", fmt::format("{}, {}", levels.steps(), levels.moves())},
      {"pressure at most", number(levels.pressure_max())},
      {"tables", fmt::format("{}", levels.table_count())},
      {"tables over a position", fmt::format("{}", levels.tables_over_a_position())},
      {"filters, GB", number(giga(levels.filter_bytes()))},
      {"indexes, GB", number(giga(levels.index_bytes()))}};
}

Figures Simulate(double gigabytes, const Flags& flags) {
  SimulationSettings settings;
  settings.row_bytes = flags.row_bytes;
  settings.rows = static_cast<uint64_t>(gigabytes * kGiga) / flags.row_bytes;
  settings.compression = flags.compression;
  settings.limits.write_buffer_bytes = flags.write_buffer_mb << 20;
  SimulatedLevels levels(settings);
  levels.Fill();

  const auto bytes =
      static_cast<uint64_t>(std::min(gigabytes * flags.overwrites, flags.writes_gb_max) * kGiga);
  Overwrite(levels, bytes / 4, flags);  // what Fill() guessed gets a history first
  levels.ResetCounters();
  const Writes writes = Overwrite(levels, bytes, flags);
  Figures figures = FiguresOf(levels, writes, flags);
  while (levels.Compact(engine::CompactionGoal::kTidyUp)) {
  }
  figures.emplace_back("space after a rest",
                       fmt::format("{:.3f}", Ratio(levels.bytes(), levels.live_bytes())));
  return figures;
}

void Print(const std::vector<Figures>& columns) {
  for (size_t row = 0; row < columns.front().size(); ++row) {
    fmt::print("| {} |", columns.front()[row].first);
    for (const Figures& column : columns) fmt::print(" {} |", column[row].second);
    fmt::print("\n");
    if (row > 0) continue;
    fmt::print("|---|");
    for (size_t i = 0; i < columns.size(); ++i) fmt::print("--:|");
    fmt::print("\n");
  }
}

}  // namespace
}  // namespace varve::bench

int main(int argc, char** argv) {
  using varve::bench::Figures;
  varve::bench::Flags flags;
  CLI::App app("Simulates compaction of large trees, tables as counters");
  flags.AddTo(app);
  CLI11_PARSE(app, argc, argv);
  fmt::print("rows of {} bytes, memtables of {} MiB, tables compressed to {:g}\n\n",
             flags.row_bytes, flags.write_buffer_mb, flags.compression);
  std::vector<Figures> columns;
  for (const double gigabytes : flags.gigabytes) {
    fmt::print(stderr, "  {:g} GB\n", gigabytes);
    columns.push_back(varve::bench::Simulate(gigabytes, flags));
  }
  varve::bench::Print(columns);
  return 0;
}
