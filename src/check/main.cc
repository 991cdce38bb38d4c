// The program varve-check: says whether a database is whole. Exit code 0: it is; 1: something is
// damaged; 2: it could not be looked at.

#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <string_view>

#include "check/check.h"
#include "engine/posix_env.h"

namespace {

constexpr std::string_view kUsage =
    "usage: varve-check <directory>            reads every file of a stopped server's database\n"
    "       varve-check --cut-log <directory>  ends a damaged log before its first damaged "
    "record:\n"
    "                                          what was written after that is lost\n";

void Print(std::string_view line) { fmt::print("{}\n", line); }

}  // namespace

int main(int argc, char** argv) {
  const bool cut = argc == 3 && std::string_view(argv[1]) == "--cut-log";
  if (!cut && (argc != 2 || argv[1][0] == '-')) {
    fmt::print(stderr, "{}", kUsage);
    return 2;
  }
  const std::string directory = argv[argc - 1];
  const varve::engine::PosixEnv env(1);
  if (cut) {
    if (const auto done = varve::check::CutLog(env.env(), directory, Print); !done) {
      fmt::print(stderr, "varve-check: {}\n", done.error().context);
      return 2;
    }
    return 0;
  }
  const auto findings = varve::check::CheckDatabase(env.env(), directory, Print);
  if (!findings) {
    fmt::print(stderr, "varve-check: {}\n", findings.error().context);
    return 2;
  }
  fmt::print("{} tables with {} rows, {} value files, {} records in the log: {} damaged files\n",
             findings->tables, findings->rows, findings->value_files, findings->wal_records,
             findings->damaged);
  return findings->damaged == 0 ? 0 : 1;
}
