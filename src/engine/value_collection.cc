#include "engine/value_collection.h"

#include <algorithm>
#include <map>

namespace varve::engine {
namespace {

// The bound on space is to hold while writers are fast, too: a quarter more than what there may be
// is as urgent as an L0 of twice its depth.
constexpr double kPressureOfExcess = 4;

struct Candidate {
  uint64_t file = 0;
  uint64_t record_bytes = 0;
  uint64_t live_bytes = 0;
  uint64_t newest_run = 0;
  double score = 0;
};

uint64_t OutputBytes(const ValueRuns::Totals& totals, const CollectionLimits& limits) {
  return std::min(totals.live_bytes / limits.output_part, limits.output_bytes_max);
}

// Dead bytes that there may be, at least those that are never worth the work.
double DeadBytesMax(const ValueRuns::Totals& totals, uint64_t hidden_bytes_max,
                    const CollectionLimits& limits) {
  const auto live = static_cast<double>(totals.live_bytes);
  const double surely_live = live - static_cast<double>(hidden_bytes_max);
  const auto output = static_cast<double>(OutputBytes(totals, limits));
  return std::max(limits.space_max * surely_live - output - live, limits.dead_share_min * live);
}

std::vector<Candidate> Candidates(const ValueRuns& values) {
  std::map<uint64_t, Candidate> by_number;
  for (const auto& [number, file] : values.files) {
    by_number[number] = {number, file.record_bytes, 0, 0, 0};
  }
  for (const auto& [number, run] : values.runs) {
    Candidate& candidate = by_number.at(run.file);
    candidate.live_bytes += run.live_bytes;
    candidate.newest_run = std::max(candidate.newest_run, number);
  }
  std::vector<Candidate> candidates;
  for (const auto& [number, candidate] : by_number) candidates.push_back(candidate);
  return candidates;
}

// By their age, which is how many files have newer records: the clock of what is written.
void Score(std::vector<Candidate>& candidates) {
  std::sort(candidates.begin(), candidates.end(),
            [](const auto& a, const auto& b) { return a.newest_run > b.newest_run; });
  for (size_t newer = 0; newer < candidates.size(); ++newer) {
    Candidate& candidate = candidates[newer];
    const double live =
        static_cast<double>(candidate.live_bytes) / static_cast<double>(candidate.record_bytes);
    candidate.score = (1 - live) * static_cast<double>(newer + 1) / (1 + live);
  }
}

}  // namespace

std::vector<uint64_t> PickCollection(const ValueRuns& values, uint64_t hidden_bytes_max,
                                     const CollectionLimits& limits, bool idle) {
  std::vector<uint64_t> picked;
  const ValueRuns::Totals totals = values.totals();
  const double dead_max = idle ? limits.dead_share_min * static_cast<double>(totals.live_bytes)
                               : DeadBytesMax(totals, hidden_bytes_max, limits);
  if (static_cast<double>(totals.dead_bytes()) <= dead_max) return picked;
  std::vector<Candidate> candidates = Candidates(values);
  Score(candidates);
  std::erase_if(candidates, [&](const Candidate& candidate) {
    const uint64_t dead = candidate.record_bytes - candidate.live_bytes;
    return static_cast<double>(dead) <
           limits.file_dead_share_min * static_cast<double>(candidate.record_bytes);
  });
  std::sort(candidates.begin(), candidates.end(),
            [](const auto& a, const auto& b) { return a.score > b.score; });
  uint64_t live_bytes = 0;
  for (const Candidate& candidate : candidates) {
    live_bytes += candidate.live_bytes;
    if (!picked.empty() && live_bytes > OutputBytes(totals, limits)) break;
    picked.push_back(candidate.file);
  }
  return picked;
}

double CollectionPressure(const ValueRuns::Totals& totals, uint64_t hidden_bytes_max,
                          const CollectionLimits& limits) {
  if (totals.live_bytes == 0) return 0;
  const double ratio =
      static_cast<double>(totals.dead_bytes()) / DeadBytesMax(totals, hidden_bytes_max, limits);
  return ratio <= 1 ? ratio : 1 + (ratio - 1) * kPressureOfExcess;
}

}  // namespace varve::engine
