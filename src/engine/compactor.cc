#include "engine/compactor.h"

#include <spdlog/logger.h>

#include <algorithm>
#include <utility>

#include "engine/merge_cursor.h"

namespace varve::engine {
namespace {

constexpr size_t kMergeStepRows = 512;  // between two yields: less than a millisecond
constexpr size_t kMergeReadaheadBytes = 256 * 1024;

// A tree has some hundred tables or more, so that a step needs room for a few hundredths of it
// only; from 16 GB on they have their full size, a write buffer's.
constexpr uint64_t kTablesMin = 256;
constexpr uint64_t kTableBytesPart = 8;  // of a write buffer, at least

uint64_t TotalRows(const Version::Tables& tables) {
  uint64_t rows = 0;
  for (const auto& table : tables) rows += table->info().row_count;
  return rows;
}

uint64_t TotalBytes(const Version::Tables& tables) {
  uint64_t bytes = 0;
  for (const auto& table : tables) bytes += table->info().file_bytes;
  return bytes;
}

}  // namespace

Compactor::Compactor(MaintenanceContext& context, Work values_died)
    : context_(context),
      values_died_(std::move(values_died)),
      slots_(std::max<size_t>(context.options().background_threads, 1)) {}

void Compactor::Start() {
  UpdateDebt();
  for (Task<bool>& slot : slots_) {
    if (!slot.done()) continue;
    slot = RunJobs();
    slot.Start();
  }
}

bool Compactor::has_idle_work() const {
  return has_idle_work_ || std::any_of(slots_.begin(), slots_.end(),
                                       [](const Task<bool>& slot) { return !slot.done(); });
}

void Compactor::CompactWhole() {
  {
    std::lock_guard lock(context_.store().mutex().background());
    for (const auto& tree : context_.store().LiveTrees()) whole_.insert(tree->id);
  }
  Start();
}

std::optional<Compaction> Compactor::PickFor(const Tree& tree, const CompactionPlan& plan) {
  std::vector<Compaction> running;
  for (const auto& [id, step] : running_) {
    if (id == tree.id) running.push_back(step);
  }
  if (whole_.contains(tree.id)) {
    auto step = plan.Pick(running, CompactionGoal::kWhole);
    if (!step && running.empty()) whole_.erase(tree.id);
    return step;
  }
  if (auto step = plan.Pick(running, CompactionGoal::kKeepPace)) return step;
  auto idle_step = plan.Pick(running, CompactionGoal::kTidyUp);
  has_idle_work_ = has_idle_work_ || idle_step;
  return tidies_up_ ? idle_step : std::nullopt;
}

std::vector<Compactor::TreePlan> Compactor::Plans() const {
  Store& store = context_.store();
  std::vector<std::pair<std::shared_ptr<Tree>, std::shared_ptr<const Version>>> trees;
  {
    std::lock_guard lock(store.mutex().background());
    for (const auto& tree : store.LiveTrees()) trees.emplace_back(tree, tree->version);
  }
  const auto& known_trees = context_.manifest_state().trees;
  std::vector<TreePlan> plans;
  for (auto& [tree, version] : trees) {
    if (tree->drop_persisted || version->empty()) continue;
    std::optional<uint64_t> live_rows;
    const auto known = known_trees.find(tree->id);
    if (known != known_trees.end() && known->second.live_key_count != kKeyCountUnknown) {
      live_rows = known->second.live_key_count;
    }
    CompactionPlan plan(version->shape(), store.compaction_limits(), live_rows);
    plans.push_back({std::move(tree), std::move(version), std::move(plan)});
  }
  return plans;
}

void Compactor::UpdateDebt() {
  CompactionDebt debt;
  for (const TreePlan& tree : Plans()) {
    debt.pressure = std::max(debt.pressure, tree.plan.SmoothPressure());
    debt.bytes += tree.plan.debt_bytes();
  }
  debt.running = running_.size();
  uint64_t table_bytes = 0;
  {
    std::lock_guard lock(context_.store().mutex().background());
    context_.store().SetCompactionDebt(debt);
    table_bytes = context_.store().table_bytes();
  }
  context_.reserve().SetTableBytes(table_bytes);
}

std::optional<Compactor::Job> Compactor::PickNext() {
  std::optional<Job> picked;
  double picked_pressure = -1;
  has_idle_work_ = false;
  for (const auto& [tree, version, plan] : Plans()) {
    if (plan.pressure() <= picked_pressure) continue;
    const std::optional<Compaction> step = PickFor(*tree, plan);
    if (!step) continue;
    picked_pressure = plan.pressure();
    picked = Job{tree, version, *step, version->Overlapping(step->level, step->range),
                 version->Overlapping(step->output_level, step->range)};
  }
  return picked;
}

Task<bool> Compactor::RunJobs() {
  return context_.RunRewrites("compaction", [this]() -> std::optional<Task<Result<void>>> {
    std::optional<Job> job = PickNext();
    if (!job) return std::nullopt;
    return RunJob(*std::move(job));
  });
}

Task<Result<void>> Compactor::RunJob(Job job) {
  running_.emplace_back(job.tree->id, job.step);
  Start();  // the other threads may find something too
  Result<void> done = co_await Run(job);
  std::erase(running_, std::pair(job.tree->id, job.step));
  UpdateDebt();
  co_return done;
}

Task<Result<void>> Compactor::Run(const Job& job) {
  // A table under which nothing lies needs no merge, unless it has tombstones to be dropped or is
  // to be compressed better.
  if (job.lower.empty() && job.upper.size() == 1 && job.upper[0]->info().tombstone_count == 0 &&
      !context_.Recompresses(job.step.output_level)) {
    co_await Yield{*context_.env().background};  // many such steps must not keep a flush waiting
    if (context_.ended()) co_return context_.Stopped();
    if (job.tree->drop_persisted) co_return Result<void>();
    co_return Move(job);
  }
  co_return co_await Rewrite(job);
}

Result<void> Compactor::Move(const Job& job) {
  const auto& table = job.upper[0];
  VersionEdit::Tree changed{.id = job.tree->id, .removed = {table->info().number}};
  changed.added.push_back({job.step.output_level, table->info()});
  return Install(job, std::move(changed), {{job.step.output_level, table}}, 0, 0);
}

uint64_t Compactor::TableBytesMax(const Version& version) const {
  uint64_t bytes = 0;
  for (int level = 0; level < kLevelCount; ++level) bytes += version.level_bytes(level);
  const uint64_t full = context_.store().compaction_limits().write_buffer_bytes;
  return std::clamp(bytes / kTablesMin, full / kTableBytesPart, full);
}

// Begins and ends on the strand; between, it is on the threads that merge.
Task<Result<void>> Compactor::Rewrite(const Job& job) {
  const uint64_t began_us = context_.env().clock->MonotonicUs();
  Version::Tables inputs = job.upper;
  inputs.insert(inputs.end(), job.lower.begin(), job.lower.end());
  co_await Yield{*context_.env().workers};
  std::unique_ptr<RangeWriter> writer;
  std::vector<ValueReference> dead;  // of values that lose their rows
  Result<void> merged;
  Result<std::vector<DyadicRange>> ranges =
      OutputRanges(job.step.range, inputs, TableBytesMax(*job.version));
  if (ranges) {
    writer = context_.NewWriter(*job.tree, job.step.output_level, *std::move(ranges));
    merged = co_await Merge(job, *writer, dead);
  } else {
    merged = Fail(ranges.error());
  }
  co_await Yield{*context_.env().background};
  CO_TRY(merged);
  if (context_.ended()) co_return context_.Stopped();
  if (job.tree->drop_persisted) co_return Result<void>();  // a FLUSHDB overtook: the output goes

  VersionEdit::Tree changed{.id = job.tree->id};
  changed.values.dead = DeadRecords(std::move(dead));
  for (const auto& table : inputs) changed.removed.push_back(table->info().number);
  for (const auto& table : writer->tables()) {
    changed.added.push_back({job.step.output_level, table->info()});
  }
  const uint64_t bytes_read = TotalBytes(inputs);
  const Result<void> installed =
      Install(job, std::move(changed), context_.TablesAt(job.step.output_level, *writer),
              bytes_read, writer->file_bytes());
  if (installed || context_.manifest_failed()) writer->Release();
  CO_TRY(installed);
  for (const auto& table : inputs) table->MarkObsolete();
  context_.log().info(
      "compaction: L{} to L{}, {}+{} tables, {} bytes in, {} tables, {} bytes out, {} ms",
      job.step.level, job.step.output_level, job.upper.size(), job.lower.size(), bytes_read,
      writer->tables().size(), writer->file_bytes(),
      (context_.env().clock->MonotonicUs() - began_us) / 1000);
  co_return Result<void>();
}

// Every input row is accounted for: written, hidden by a newer one of its key, or a tombstone that
// hides nothing any more.
Task<Result<void>> Compactor::Merge(const Job& job, RangeWriter& writer,
                                    std::vector<ValueReference>& dead) {
  std::vector<std::unique_ptr<RowCursor>> sources;
  std::vector<const TableCursor*> cursors;
  for (const Version::Tables* tables : {&job.upper, &job.lower}) {
    for (const auto& table : *tables) {
      auto cursor = std::make_unique<TableCursor>(table, &context_.store().secret(),
                                                  kMergeReadaheadBytes, true);
      cursors.push_back(cursor.get());
      sources.push_back(std::move(cursor));
    }
  }
  uint64_t bytes_charged = 0;
  const auto charge = [&] {
    uint64_t bytes = writer.file_bytes();
    for (const TableCursor* cursor : cursors) bytes += cursor->bytes_read();
    return context_.pace().Charge(bytes - std::exchange(bytes_charged, bytes));
  };
  MergeCursor merged(std::move(sources));
  uint64_t dropped = 0;
  size_t steps = 0;
  for (merged.Seek(0); merged.Valid(); merged.Next()) {
    const Row& row = merged.row();
    bool drop = false;
    if (row.is_tombstone) {
      CO_TRY_ASSIGN(drop, CanDropTombstone(*job.version, job.step.output_level, row.position));
    }
    if (drop) {
      ++dropped;
    } else {
      CO_TRY(writer.Add(row));
    }
    if (++steps % kMergeStepRows != 0) continue;
    co_await context_.WaitOnWorkers(charge());
    if (context_.stopping()) co_return context_.Stopped();
    if (context_.flush_needs_room()) {
      co_return Fail(Errc::kNoSpace, "compaction: a flush needs the room");
    }
  }
  CO_TRY(merged.status());
  dead = merged.TakeHiddenReferences();
  CO_TRY(writer.Finish());
  co_await context_.WaitOnWorkers(charge());
  const uint64_t rows = TotalRows(job.upper) + TotalRows(job.lower);
  const uint64_t accounted = writer.row_count() + dropped + merged.hidden_rows();
  if (accounted != rows) {
    co_return Fail(Errc::kCorruption, "compaction of L{}: {} rows accounted for of {}",
                   job.step.level, accounted, rows);
  }
  co_return Result<void>();
}

Result<void> Compactor::Install(const Job& job, VersionEdit::Tree changed,
                                const std::vector<std::pair<int, std::shared_ptr<Table>>>& added,
                                uint64_t bytes_read, uint64_t bytes_written) {
  const std::vector<uint64_t> removed = changed.removed;
  const bool marks_values = !changed.values.empty();
  VersionEdit edit;
  edit.trees.push_back(std::move(changed));
  TRY(context_.AppendEdit(std::move(edit)));
  // The tree's version of now: others have added to it since the step was planned.
  Store::Change change{.tree = job.tree, .bytes_read = bytes_read, .bytes_written = bytes_written};
  change.version = job.tree->version->Edited(
      removed, added, marks_values ? context_.ValuesNow(*job.tree, nullptr) : nullptr);
  {
    std::lock_guard lock(context_.store().mutex().background());
    context_.store().InstallCompaction(change);
  }
  if (marks_values) values_died_();
  return {};
}

}  // namespace varve::engine
