#include "engine/value_runs.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "engine/invariant.h"

namespace varve::engine {
namespace {

Result<void> CheckRun(uint64_t number, const ValueRun& run) {
  const auto live = std::count(run.live.begin(), run.live.end(), true);
  if (run.live.size() == run.record_count && live == run.live_count && live > 0 &&
      run.live_bytes > 0) {
    return {};
  }
  return Fail(Errc::kCorruption, "edit adds value run {} with {} of {} records live", number, live,
              run.record_count);
}

Result<void> CheckDead(const ValueRun& run, const ValueEdit::Dead& dead) {
  uint64_t next = 0;
  for (const uint32_t ordinal : dead.ordinals) {
    if (ordinal < next || ordinal >= run.record_count || !run.live[ordinal]) {
      return Fail(Errc::kCorruption, "edit takes record {} of value run {}, which is not live",
                  ordinal, dead.run);
    }
    next = uint64_t{ordinal} + 1;
  }
  const bool all = dead.ordinals.size() == run.live_count;
  if (dead.bytes > run.live_bytes || all != (dead.bytes == run.live_bytes)) {
    return Fail(Errc::kCorruption, "edit takes {} bytes of value run {}, {} are live", dead.bytes,
                dead.run, run.live_bytes);
  }
  return {};
}

}  // namespace

ValueRun ValueRun::AllLive(uint64_t file, uint32_t record_count, uint64_t bytes) {
  return {file, record_count, record_count, bytes, std::vector<bool>(record_count, true)};
}

ValueRuns::Totals ValueRuns::totals() const {
  Totals totals;
  for (const auto& [number, file] : files) {
    totals.file_bytes += file.file_bytes;
    totals.record_bytes += file.record_bytes;
  }
  for (const auto& [number, run] : runs) {
    totals.live_bytes += run.live_bytes;
    totals.live_count += run.live_count;
  }
  return totals;
}

Result<void> ValueRuns::Check(const ValueEdit& edit, uint64_t number_end) const {
  std::set<uint64_t> added;
  std::set<uint64_t> filled;  // those of the added files that a run is in
  for (const ValueFileInfo& file : edit.files) {
    if (file.number == 0 || file.number >= number_end || files.contains(file.number) ||
        !added.insert(file.number).second) {
      return Fail(Errc::kCorruption, "edit adds value file {}, which cannot be new", file.number);
    }
  }
  std::set<uint64_t> named;
  for (const auto& [number, run] : edit.runs) {
    if (number == 0 || number >= number_end || runs.contains(number) ||
        !named.insert(number).second || !added.contains(run.file)) {
      return Fail(Errc::kCorruption, "edit adds value run {} in file {}, which cannot be new",
                  number, run.file);
    }
    TRY(CheckRun(number, run));
    filled.insert(run.file);
  }
  for (const ValueEdit::Move& move : edit.moved) {
    if (!runs.contains(move.run) || !named.insert(move.run).second || !added.contains(move.file)) {
      return Fail(Errc::kCorruption, "edit moves value run {} to file {}, which cannot be",
                  move.run, move.file);
    }
    filled.insert(move.file);
  }
  if (filled != added) return Fail(Errc::kCorruption, "edit adds a value file without a run");
  for (const ValueEdit::Dead& dead : edit.dead) {
    const auto run = runs.find(dead.run);
    if (run == runs.end() || !named.insert(dead.run).second || dead.ordinals.empty()) {
      return Fail(Errc::kCorruption, "edit takes records of value run {}, which is not there",
                  dead.run);
    }
    TRY(CheckDead(run->second, dead));
  }
  return {};
}

void ValueRuns::Apply(const ValueEdit& edit) {
  for (const ValueFileInfo& file : edit.files) files[file.number] = file;
  for (const auto& [number, run] : edit.runs) runs[number] = run;
  for (const ValueEdit::Move& move : edit.moved) runs.at(move.run).file = move.file;
  for (const ValueEdit::Dead& dead : edit.dead) {
    ValueRun& run = runs.at(dead.run);
    for (const uint32_t ordinal : dead.ordinals) run.live[ordinal] = false;
    run.live_count -= static_cast<uint32_t>(dead.ordinals.size());
    run.live_bytes -= dead.bytes;
    if (run.live_count == 0) runs.erase(dead.run);
  }
  if (edit.moved.empty() && edit.dead.empty()) return;
  std::set<uint64_t> filled;
  for (const auto& [number, run] : runs) filled.insert(run.file);
  std::erase_if(files, [&](const auto& file) { return !filled.contains(file.first); });
}

std::vector<ValueEdit::Dead> DeadRecords(std::vector<ValueReference> references) {
  std::sort(references.begin(), references.end(), [](const auto& a, const auto& b) {
    return std::tie(a.run, a.ordinal) < std::tie(b.run, b.ordinal);
  });
  std::vector<ValueEdit::Dead> dead;
  for (const ValueReference& reference : references) {
    if (dead.empty() || dead.back().run != reference.run) dead.push_back({reference.run, 0, {}});
    dead.back().bytes += reference.record_bytes;
    dead.back().ordinals.push_back(reference.ordinal);
  }
  return dead;
}

}  // namespace varve::engine
