#include "engine/scan_range.h"

#include <algorithm>

#include "engine/merge_cursor.h"

namespace varve::engine {
namespace {

// One read of a table while a SCAN goes on: a page of a few hundred keys of each of a few tables.
constexpr size_t kReadaheadBytes = 64 * 1024;
// A range ends at the first change of token behind this many bytes of keys.
constexpr size_t kKeyBytesMax = 1 << 20;
// The merge runs under the command lock: after so many rows, dead ones too, it ends.
constexpr size_t kVisitedMax = 2 * kScanCountMax;

bool SameToken(Position a, Position b) { return a >> kScanTokenShift == b >> kScanTokenShift; }

// The rows of one ScanRange, as a source of the merge.
class RangeCursor final : public RowCursor {
 public:
  explicit RangeCursor(const ScanRange& range) : range_(range) { Load(); }

  void Seek(Position position) override {
    while (Valid() && row_.position < position) Next();
  }
  void Next() override {
    ++index_;
    Load();
  }
  bool Valid() const override { return index_ < range_.size(); }
  const Row& row() const override { return row_; }
  const Result<void>& status() const override { return status_; }

 private:
  void Load() {
    if (!Valid()) return;
    const ScanRange::Key& key = range_.key(index_);
    row_.position = key.position;
    row_.key = range_.key_bytes(key);
    row_.is_tombstone = key.is_tombstone;
  }

  const ScanRange& range_;
  size_t index_ = 0;
  Row row_;
  Result<void> status_;
};

// All that may hold rows of the range, newest first.
std::vector<std::unique_ptr<RowCursor>> Sources(const ScanRange& range) {
  std::vector<std::unique_ptr<RowCursor>> sources;
  sources.push_back(std::make_unique<RowTable::Cursor>(range.request().tree->rows->table));
  sources.push_back(std::make_unique<RangeCursor>(range));
  return sources;
}

}  // namespace

std::shared_ptr<const ScanRange> ScanRange::Empty(Request request) {
  return std::shared_ptr<const ScanRange>(new ScanRange(std::move(request)));
}

Result<std::shared_ptr<const ScanRange>> ScanRange::Load(Request request,
                                                         const PositionSecret& secret) {
  std::vector<std::unique_ptr<RowCursor>> sources;
  for (int level = 0; level < kLevelCount; ++level) {
    for (const auto& table : request.version->level(level)) {
      if (table->info().largest < request.begin) continue;
      sources.push_back(std::make_unique<TableCursor>(table, &secret, kReadaheadBytes, false));
    }
  }
  std::shared_ptr<ScanRange> range(new ScanRange(std::move(request)));
  MergeCursor merged(std::move(sources));
  for (merged.Seek(range->request_.begin); merged.Valid(); merged.Next()) {
    const Row& row = merged.row();
    const bool full = range->keys_.size() >= range->request_.row_count ||
                      range->key_bytes_.size() >= kKeyBytesMax;
    if (full && !range->keys_.empty() && !SameToken(range->keys_.back().position, row.position)) {
      range->last_ = ((row.position >> kScanTokenShift) << kScanTokenShift) - 1;
      break;
    }
    range->keys_.push_back(
        {row.position, range->key_bytes_.size(), row.key.size(), row.is_tombstone});
    range->key_bytes_.append(row.key);
  }
  TRY(merged.status());
  return std::shared_ptr<const ScanRange>(std::move(range));
}

std::vector<std::string> CollectLiveKeys(const ScanRange& range, size_t count_wanted,
                                         std::optional<Position>* next) {
  std::vector<std::string> keys;
  size_t visited = 0;
  Position last_visited = 0;
  MergeCursor merged(Sources(range));
  merged.Seek(range.request().begin);
  for (; merged.Valid() && merged.row().position <= range.last(); merged.Next()) {
    const Row& row = merged.row();
    const bool full = keys.size() >= count_wanted || visited >= kVisitedMax;
    if (full && !SameToken(last_visited, row.position)) {
      *next = row.position;
      return keys;
    }
    ++visited;
    last_visited = row.position;
    if (!row.is_tombstone) keys.emplace_back(row.key);
  }
  next->reset();
  if (range.last() != ~Position{0}) *next = range.last() + 1;
  return keys;
}

}  // namespace varve::engine
