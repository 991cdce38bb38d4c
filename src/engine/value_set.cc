#include "engine/value_set.h"

#include <algorithm>
#include <map>

#include "engine/invariant.h"

namespace varve::engine {

ValueSet::ValueSet(const ValueRuns& runs, const ValueSet& before, const Files& added)
    : totals_(runs.totals()) {
  std::map<uint64_t, std::shared_ptr<ValueFile>> open;
  for (const Files* files : {&before.files_, &added}) {
    for (const auto& file : *files) open.emplace(file->info().number, file);
  }
  for (const auto& [number, info] : runs.files) {
    const auto found = open.find(number);
    INVARIANT(found != open.end());
    files_.push_back(found->second);
  }
  runs_.reserve(runs.runs.size());
  for (const auto& [number, run] : runs.runs) {
    runs_.push_back({number, open.at(run.file).get()});
  }
}

const ValueFile* ValueSet::Find(uint64_t run) const {
  const auto found = std::lower_bound(runs_.begin(), runs_.end(), run,
                                      [](const Run& a, uint64_t b) { return a.number < b; });
  return found == runs_.end() || found->number != run ? nullptr : found->file;
}

ValueSet::Files ValueSet::FilesNotIn(const ValueSet& after) const {
  Files gone;
  std::set_difference(files_.begin(), files_.end(), after.files_.begin(), after.files_.end(),
                      std::back_inserter(gone), [](const auto& a, const auto& b) {
                        return a->info().number < b->info().number;
                      });
  return gone;
}

}  // namespace varve::engine
