#include "engine/memtable.h"

#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

namespace varve::engine {
namespace {

// Rows are sorted in parts of about this many: small enough for the CPU's nearest cache.
constexpr size_t kPartRows = 1024;
constexpr int kPartBitsMax = 16;
// How far ahead of the cursor rows are fetched into the CPU's cache.
constexpr size_t kPrefetchRows = 16;

struct Place {
  Position position;
  const MemoryRow* row;
};

bool Less(const Place& a, const Place& b) {
  return a.position != b.position ? a.position < b.position : a.row->key() < b.row->key();
}

class SortedCursor final : public RowCursor {
 public:
  explicit SortedCursor(std::vector<Place> places)
      : places_(std::move(places)), index_(places_.size()) {}

  void Seek(Position position) override {
    const auto found = std::lower_bound(
        places_.begin(), places_.end(), position,
        [](const Place& place, Position wanted) { return place.position < wanted; });
    index_ = static_cast<size_t>(found - places_.begin());
    LoadRow();
  }
  void Next() override {
    ++index_;
    LoadRow();
  }
  bool Valid() const override { return index_ < places_.size(); }
  const Row& row() const override { return row_; }
  const Result<void>& status() const override { return status_; }  // never an error

 private:
  void LoadRow() {
    if (!Valid()) return;
    if (index_ + kPrefetchRows < places_.size()) {
      const char* ahead = reinterpret_cast<const char*>(places_[index_ + kPrefetchRows].row);
      __builtin_prefetch(ahead);
      __builtin_prefetch(ahead + 64);
      __builtin_prefetch(ahead + 128);
    }
    row_ = places_[index_].row->row();
  }

  const std::vector<Place> places_;
  size_t index_;
  Row row_;
  Result<void> status_;
};

// Dealt out by the top bits of the position first, which are as even as a hash.
std::vector<Place> Sorted(const std::vector<Place>& rows) {
  const int bits =
      std::min(static_cast<int>(std::bit_width(rows.size() / kPartRows)), kPartBitsMax);
  const auto part_of = [bits](Position position) {
    return bits == 0 ? size_t{0} : static_cast<size_t>(position >> (64 - bits));
  };
  std::vector<size_t> ends((size_t{1} << bits) + 1);
  for (const Place& place : rows) ++ends[part_of(place.position) + 1];
  for (size_t i = 1; i < ends.size(); ++i) ends[i] += ends[i - 1];
  std::vector<size_t> next(ends.begin(), ends.end() - 1);
  std::vector<Place> sorted(rows.size());
  for (const Place& place : rows) sorted[next[part_of(place.position)]++] = place;
  for (size_t i = 0; i + 1 < ends.size(); ++i) {
    std::sort(sorted.begin() + static_cast<ptrdiff_t>(ends[i]),
              sorted.begin() + static_cast<ptrdiff_t>(ends[i + 1]), Less);
  }
  return sorted;
}

}  // namespace

std::unique_ptr<RowCursor> Memtable::NewCursor() const {
  std::vector<Place> rows;
  rows.reserve(row_count_);
  for (const Segment::Pointer& segment : segments_.segments()) {
    for (MemoryRow* row = segment->first(); row != nullptr; row = segment->After(row)) {
      if (!row->is_replaced()) rows.push_back({row->position(), row});
    }
  }
  return std::make_unique<SortedCursor>(Sorted(rows));
}

}  // namespace varve::engine
