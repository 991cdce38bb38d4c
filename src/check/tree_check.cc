#include "check/tree_check.h"

#include <algorithm>

#include "engine/table.h"

namespace varve::check {
namespace {

using engine::Errc;
using engine::Fail;
using engine::Result;
using engine::Row;
using engine::Table;

constexpr size_t kReadaheadBytes = 1 << 20;

}  // namespace

void TreeCheck::Check(engine::TreeId id, const engine::ManifestState::Tree& tree) {
  id_ = id;
  tree_ = &tree;
  OpenValueFiles();
  bool tables_whole = true;
  for (const auto& [number, table] : tree.tables) {
    const Result<void> checked = CheckTable(table.info);
    ++findings_.tables;
    findings_.rows += table.info.row_count;
    if (checked) continue;
    tables_whole = false;
    Damaged(engine::TablePath(directory_, number),
            fmt::format("{} (tree {}, level {})", checked.error().context, id, table.level));
  }
  if (tables_whole) CheckCounts();
}

void TreeCheck::OpenValueFiles() {
  for (const auto& [number, info] : tree_->values.files) {
    ++findings_.value_files;
    auto file = engine::ValueFile::Open(&files_, directory_, info);
    Result<void> loaded;
    if (!file) {
      loaded = Fail(file.error());
    } else if (const auto index = (*file)->LoadIndex(); !index) {
      loaded = Fail(index.error());
    }
    if (loaded) {
      value_files_[number] = *file;
    } else {
      Damaged(engine::ValuePath(directory_, number),
              fmt::format("{} (tree {})", loaded.error().context, id_));
    }
  }
}

Result<void> TreeCheck::CheckTable(const engine::TableInfo& info) {
  TRY_ASSIGN(std::shared_ptr<Table> table, Table::Open(&files_, directory_, info));
  TRY(table->LoadIndex());
  engine::TableCursor cursor(table, &secret_, kReadaheadBytes, true);
  uint64_t rows = 0;
  uint64_t references = 0;
  for (cursor.Seek(0); cursor.Valid(); cursor.Next()) {
    const Row& row = cursor.row();
    ++rows;
    if (!table->MayContain(row.position)) {
      return Fail(Errc::kCorruption, "{}: the filter lacks a row", table->path());
    }
    if (!row.reference) continue;
    ++references;
    CheckReference(row);
  }
  if (!cursor.status()) return Fail(cursor.status().error());
  if (rows != info.row_count || references != info.value_count) {
    return Fail(Errc::kCorruption, "{}: {} rows, {} of them with separated values, not {} and {}",
                table->path(), rows, references, info.row_count, info.value_count);
  }
  return {};
}

void TreeCheck::CheckReference(const Row& row) {
  const Result<void> checked = CheckValue(row);
  if (checked) return;
  const auto run = tree_->values.runs.find(row.reference.run);
  // Without a file of its own it is the manifest that does not fit.
  const uint64_t number = run == tree_->values.runs.end() ? 0 : run->second.file;
  Damaged(engine::ValuePath(directory_, number),
          fmt::format("{} (tree {})", checked.error().context, id_));
}

Result<void> TreeCheck::CheckValue(const Row& row) {
  const engine::ValueReference& reference = row.reference;
  const auto run = tree_->values.runs.find(reference.run);
  if (run == tree_->values.runs.end() || reference.ordinal >= run->second.record_count ||
      !run->second.live[reference.ordinal]) {
    return Fail(Errc::kCorruption, "a row refers to record {} of value run {}, which is not live",
                reference.ordinal, reference.run);
  }
  std::vector<bool>& seen = seen_[reference.run];
  seen.resize(run->second.record_count);
  if (seen[reference.ordinal]) {
    return Fail(Errc::kCorruption, "two rows refer to record {} of value run {}", reference.ordinal,
                reference.run);
  }
  seen[reference.ordinal] = true;
  const auto file = value_files_.find(run->second.file);
  if (file == value_files_.end()) return {};  // known to be damaged
  TRY_ASSIGN(const auto found, file->second->Find(reference, row.position, row.key));
  if (found) return {};
  return Fail(Errc::kCorruption, "{}: record {} of run {} is of another key", file->second->path(),
              reference.ordinal, reference.run);
}

// Each record that lives has its row.
void TreeCheck::CheckCounts() {
  for (const auto& [number, run] : tree_->values.runs) {
    const std::vector<bool>& seen = seen_[number];
    const auto count = std::count(seen.begin(), seen.end(), true);
    if (count == run.live_count) continue;
    Damaged(engine::ValuePath(directory_, run.file),
            fmt::format("value run {}: rows refer to {} records, {} live (tree {})", number, count,
                        run.live_count, id_));
  }
}

void TreeCheck::Damaged(const std::string& path, const std::string& what) {
  if (!damaged_.insert(path).second) return;
  ++findings_.damaged;
  report_("damaged: " + what);
}

}  // namespace varve::check
