// One table of real rows under different compressions: its size, how long it takes to write, and
// how long a lookup takes when its block is in the page cache and when it is not.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "engine/posix_env.h"
#include "engine/table.h"
#include "engine/table_builder.h"

namespace varve::bench {
namespace {

constexpr uint64_t kTableNumber = 1;

struct Flags {
  std::string rows;
  std::string directory = "/tmp/varve-compression";
  size_t reads = 40'000;
  int rounds = 3;
};

struct Case {
  std::string name;
  engine::TableBuilder::Settings settings;
};

// What one table of them cost.
struct Figures {
  double file_bytes = 0;
  double row_bytes = 0;
  double index_bytes = 0;
  double build_cpu_s = 0;
  double warm_us = 0;
  double cold_us = 0;
};

template <typename T>
T OrExit(engine::Result<T> result) {
  if (!result.has_value()) {
    fmt::print(stderr, "compression_bench: {}\n", result.error().context);
    std::exit(1);
  }
  return *std::move(result);
}

engine::PositionSecret Secret() {
  std::array<char, engine::PositionSecret::kBytes> bytes{};
  std::mt19937 random(1);
  for (char& byte : bytes) byte = static_cast<char>(random());
  return engine::PositionSecret(bytes);
}

double CpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

// Views into `bytes`, in the order of a table. The file: rows, each u32 bytes of the key, u32 bytes
// of the value, key, value.
std::vector<engine::Row> ParseRows(const std::string& bytes, const engine::PositionSecret& secret) {
  std::vector<engine::Row> rows;
  for (size_t at = 0; at + 8 <= bytes.size();) {
    std::array<uint32_t, 2> sizes{};
    std::memcpy(sizes.data(), bytes.data() + at, sizeof sizes);
    at += sizeof sizes;
    const std::string_view key(bytes.data() + at, sizes[0]);
    const std::string_view value(bytes.data() + at + sizes[0], sizes[1]);
    rows.push_back({.position = secret.Of(key), .key = key, .value = value});
    at += sizes[0] + sizes[1];
  }
  std::sort(rows.begin(), rows.end(), [](const engine::Row& a, const engine::Row& b) {
    return engine::RowLess(a.position, a.key, b.position, b.key);
  });
  return rows;
}

class TableBench {
 public:
  TableBench(const Flags& flags, const std::vector<engine::Row>& rows,
             const engine::PositionSecret& secret)
      : flags_(flags), rows_(rows), secret_(secret) {
    std::filesystem::remove_all(flags.directory);
    std::filesystem::create_directories(flags.directory);
  }

  // The fastest of several rounds, since other programs only ever make one slower.
  Figures Run(const engine::TableBuilder::Settings& settings) {
    Figures best = RunOnce(settings);
    for (int round = 1; round < flags_.rounds; ++round) {
      const Figures again = RunOnce(settings);
      best.build_cpu_s = std::min(best.build_cpu_s, again.build_cpu_s);
      best.warm_us = std::min(best.warm_us, again.warm_us);
      best.cold_us = std::min(best.cold_us, again.cold_us);
    }
    return best;
  }

 private:
  Figures RunOnce(const engine::TableBuilder::Settings& settings) {
    Figures figures;
    const double began = CpuSeconds();
    const engine::TableInfo info = Build(settings);
    figures.build_cpu_s = CpuSeconds() - began;
    const auto table = OrExit(engine::Table::Open(env_.env().files, flags_.directory, info));
    OrExit(table->LoadIndex());
    figures.file_bytes = static_cast<double>(info.file_bytes);
    figures.row_bytes = static_cast<double>(info.row_bytes);
    figures.index_bytes = static_cast<double>(table->index_bytes());
    table->file().DontNeed(0, info.file_bytes);
    figures.cold_us = Find(*table);
    Find(*table);
    figures.warm_us = Find(*table);
    return figures;
  }

  engine::TableInfo Build(const engine::TableBuilder::Settings& settings) {
    auto builder = OrExit(engine::TableBuilder::Create(env_.env().files, flags_.directory,
                                                       kTableNumber, {}, settings));
    for (const engine::Row& row : rows_) {
      if (!builder->Add(row).has_value()) break;  // the error is Finish()'s too
    }
    return OrExit(builder->Finish(secret_));
  }

  // Microseconds for each of `reads` random rows, the same in each call.
  double Find(const engine::Table& table) const {
    std::mt19937_64 random(7);
    const auto began = std::chrono::steady_clock::now();
    for (size_t i = 0; i < flags_.reads; ++i) {
      const engine::Row& row = rows_[random() % rows_.size()];
      const auto found = OrExit(table.Find(row.position, row.key));
      if (!found || found->row.value != row.value) {
        fmt::print(stderr, "compression_bench: a wrong value of {}\n", row.key);
        std::exit(1);
      }
    }
    const std::chrono::duration<double, std::micro> elapsed =
        std::chrono::steady_clock::now() - began;
    return elapsed.count() / static_cast<double>(flags_.reads);
  }

  const Flags& flags_;
  const std::vector<engine::Row>& rows_;
  const engine::PositionSecret& secret_;
  engine::PosixEnv env_;
};

std::vector<Case> Cases() {
  std::vector<Case> cases;
  const auto add = [&](std::string name, size_t block_kib, size_t dictionary_kib, int level) {
    engine::TableBuilder::Settings settings;
    settings.block_bytes = block_kib << 10;
    if (level > 0) settings.compression = engine::Compression::kZstd;
    settings.zstd_level = level;
    settings.dictionary_bytes = dictionary_kib << 10;
    cases.push_back({std::move(name), settings});
  };
  for (const size_t block_kib : {4, 8, 16}) {
    add("snappy", block_kib, 0, 0);
    for (const size_t dictionary_kib : {0, 16, 32, 64, 112}) {
      for (const int level : {1, 3, 6}) {
        const bool all = block_kib == 4;
        if (all || (level == 3 && (dictionary_kib == 0 || dictionary_kib == 64))) {
          add(fmt::format("zstd {}", level), block_kib, dictionary_kib, level);
        }
      }
    }
  }
  return cases;
}

void Run(const Flags& flags) {
  std::ifstream file(flags.rows, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  const engine::PositionSecret secret = Secret();
  const std::vector<engine::Row> rows = ParseRows(bytes, secret);
  if (rows.empty()) {
    fmt::print(stderr, "compression_bench: no rows in {}\n", flags.rows);
    std::exit(1);
  }
  fmt::print("{}: {} rows, {:.1f} MB\n", flags.rows, rows.size(),
             static_cast<double>(bytes.size()) / 1e6);
  fmt::print("| compression | block | dictionary | size | written | warm | cold |\n");
  fmt::print("|---|--:|--:|--:|--:|--:|--:|\n");
  TableBench bench(flags, rows, secret);
  for (const Case& one : Cases()) {
    const Figures figures = bench.Run(one.settings);
    fmt::print("| {} | {} KiB | {} KiB | {:.1f} % | {:.0f} MB/s | {:.1f} us | {:.1f} us |\n",
               one.name, one.settings.block_bytes >> 10, one.settings.dictionary_bytes >> 10,
               100 * figures.file_bytes / figures.row_bytes,
               figures.row_bytes / 1e6 / figures.build_cpu_s, figures.warm_us, figures.cold_us);
    std::fflush(stdout);
  }
  std::filesystem::remove_all(flags.directory);
}

}  // namespace
}  // namespace varve::bench

int main(int argc, char** argv) {
  varve::bench::Flags flags;
  CLI::App app("One table of real rows under different compressions");
  app.add_option("--rows", flags.rows,
                 "file: u32 bytes of key, u32 bytes of value, key, value, ...")
      ->required();
  app.add_option("--directory", flags.directory, "for the tables; removed before and afterwards");
  app.add_option("--reads", flags.reads, "lookups of each kind");
  app.add_option("--rounds", flags.rounds, "the fastest counts");
  CLI11_PARSE(app, argc, argv);
  varve::bench::Run(flags);
  return 0;
}
