#include "engine/collector.h"

#include <spdlog/logger.h>

#include <algorithm>
#include <utility>

namespace varve::engine {
namespace {

constexpr uint64_t kStepBytes = 256 << 10;  // between two yields: less than a millisecond

// So much of what the manifest takes for live is hidden by newer rows that no merge has met yet.
uint64_t HiddenBytes(const Version& version, const ManifestState::Tree& state,
                     const ValueRuns::Totals& totals) {
  uint64_t puts = 0;
  for (const auto& level : version.shape().levels) {
    for (const TableInfo* table : level) puts += table->row_count - table->tombstone_count;
  }
  if (state.live_key_count == kKeyCountUnknown || puts <= state.live_key_count) return 0;
  // As if each of these rows had a value: at most all of them.
  const uint64_t hidden = std::min(puts - state.live_key_count, totals.live_count);
  return totals.live_count == 0 ? 0 : totals.live_bytes / totals.live_count * hidden;
}

uint64_t BytesOf(const std::vector<std::shared_ptr<ValueFile>>& files) {
  uint64_t bytes = 0;
  for (const auto& file : files) bytes += file->info().file_bytes;
  return bytes;
}

}  // namespace

void Collector::Start() {
  UpdatePressure();
  if (!running_.done()) return;
  running_ = RunJobs();
  running_.Start();
}

bool Collector::has_idle_work() const { return !running_.done() || PickNext(true).has_value(); }

CollectionLimits Collector::limits() const {
  CollectionLimits limits;
  limits.output_bytes_max = context_.store().compaction_limits().write_buffer_bytes;
  return limits;
}

std::vector<Collector::TreeState> Collector::TreesNow() const {
  std::vector<TreeState> trees;
  {
    std::lock_guard lock(context_.store().mutex().background());
    for (const auto& tree : context_.store().LiveTrees()) {
      trees.push_back({tree, tree->version, nullptr, {}, 0});
    }
  }
  const auto& known = context_.manifest_state().trees;
  std::erase_if(trees, [&](TreeState& tree) {
    const auto state = known.find(tree.tree->id);
    if (tree.tree->drop_persisted || state == known.end()) return true;
    if (state->second.values.files.empty()) return true;
    tree.values = &state->second.values;
    tree.totals = tree.values->totals();
    tree.hidden_bytes = HiddenBytes(*tree.version, state->second, tree.totals);
    return false;
  });
  return trees;
}

void Collector::UpdatePressure() {
  double pressure = 0;
  for (const TreeState& tree : TreesNow()) {
    pressure = std::max(pressure, CollectionPressure(tree.totals, tree.hidden_bytes, limits()));
  }
  std::lock_guard lock(context_.store().mutex().background());
  context_.store().SetCollectionPressure(pressure);
}

// The tree that has the most dead bytes goes first.
std::optional<Collector::Job> Collector::PickNext(bool idle) const {
  std::optional<Job> job;
  uint64_t most_dead = 0;
  for (const TreeState& tree : TreesNow()) {
    if (tree.totals.dead_bytes() <= most_dead) continue;
    const std::vector<uint64_t> picked =
        PickCollection(*tree.values, tree.hidden_bytes, limits(), idle);
    if (picked.empty()) continue;
    most_dead = tree.totals.dead_bytes();
    job = Job{tree.tree, {}};
    for (const auto& file : tree.version->values().files()) {
      const uint64_t number = file->info().number;
      if (std::find(picked.begin(), picked.end(), number) == picked.end()) continue;
      job->files.push_back(file);
    }
  }
  return job;
}

Task<bool> Collector::RunJobs() {
  return context_.RunRewrites("collection of values",
                              [this]() -> std::optional<Task<Result<void>>> {
                                std::optional<Job> job = PickNext(tidies_up_);
                                if (!job) return std::nullopt;
                                return RunJob(*std::move(job));
                              });
}

Task<Result<void>> Collector::RunJob(Job job) {
  is_copying_ = true;
  Result<void> done = co_await Run(job);
  is_copying_ = false;
  UpdatePressure();
  co_return done;
}

// Begins and ends on the strand; between, it is on the threads that merge.
Task<Result<void>> Collector::Run(const Job& job) {
  const uint64_t began_us = context_.env().clock->MonotonicUs();
  CO_TRY_ASSIGN(std::unique_ptr<ValueFileBuilder> builder, context_.NewValueFile());
  ValueCollector collector(job.files, context_.manifest_state().trees.at(job.tree->id).values,
                           std::move(builder));
  co_await Yield{*context_.env().workers};
  const Result<void> copied = co_await Copy(collector);
  co_await Yield{*context_.env().background};
  CO_TRY(copied);
  if (context_.ended()) co_return context_.Stopped();
  if (job.tree->drop_persisted) co_return Result<void>();  // a FLUSHDB overtook: the output goes
  CO_TRY(Install(job, collector));
  context_.log().info("collection: {} value files, {} bytes, {} of them live, {} ms",
                      job.files.size(), BytesOf(job.files), collector.file_bytes(),
                      (context_.env().clock->MonotonicUs() - began_us) / 1000);
  co_return Result<void>();
}

Task<Result<void>> Collector::Copy(ValueCollector& collector) {
  uint64_t charged = 0;
  for (bool done = false; !done;) {
    CO_TRY_ASSIGN(done, collector.Step(kStepBytes));
    const uint64_t bytes = collector.bytes_read() + collector.file_bytes();
    const uint64_t new_bytes = bytes - std::exchange(charged, bytes);
    co_await context_.WaitOnWorkers(context_.pace().Charge(new_bytes));
    if (context_.stopping()) co_return context_.Stopped();
    if (context_.flush_needs_room()) {
      co_return Fail(Errc::kNoSpace, "collection: a flush needs the room");
    }
  }
  co_return context_.env().files->SyncDirectory(context_.options().directory);
}

Result<void> Collector::Install(const Job& job, ValueCollector& collector) {
  const ValueRuns& now = context_.manifest_state().trees.at(job.tree->id).values;
  VersionEdit::Tree changed{.id = job.tree->id};
  changed.values = collector.Edit(now);
  if (changed.values.empty()) return {};  // all of it has died meanwhile
  TRY_ASSIGN(std::shared_ptr<ValueFile> file, collector.Open());
  VersionEdit edit;
  edit.trees.push_back(std::move(changed));
  const Result<void> appended = context_.AppendEdit(std::move(edit));
  if (appended || context_.manifest_failed()) collector.Release();
  TRY(appended);
  Store::Change change{.tree = job.tree, .bytes_read = collector.bytes_read()};
  change.value_bytes_written = collector.file_bytes();
  change.version =
      job.tree->version->Edited({}, {}, context_.ValuesNow(*job.tree, std::move(file)));
  const uint64_t before = BytesOf(job.files);
  std::lock_guard lock(context_.store().mutex().background());
  context_.store().InstallCollection(change, before - std::min(before, collector.file_bytes()));
  return {};
}

}  // namespace varve::engine
