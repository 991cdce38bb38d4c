#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "engine/row_cursor.h"

namespace varve::engine {

// Walks several sorted sources as one: of each key only the newest row, tombstones included. The
// source that comes first in the list is the newest.
// Owns:    the sources.
// Errors:  those of any source, at once: a row that a newer source might hide is never shown.
// Cost:    a comparison or two a row while rows come from one source, log2(sources) at each change.
class MergeCursor final : public RowCursor {
 public:
  explicit MergeCursor(std::vector<std::unique_ptr<RowCursor>> sources);

  void Seek(Position position) override;
  void Next() override;
  bool Valid() const override { return current_ != kNone; }
  const Row& row() const override;
  const Result<void>& status() const override { return status_; }
  // How many older rows of keys that were shown have been passed over since the last Seek().
  uint64_t hidden_rows() const { return hidden_rows_; }
  // The references of those of them whose values are separated; what was taken is not given again.
  std::vector<ValueReference> TakeHiddenReferences() {
    return std::exchange(hidden_references_, {});
  }

 private:
  static constexpr size_t kNone = ~size_t{0};

  // A source that stands at a row. The position spares most virtual calls.
  struct Head {
    Position position;
    size_t source;
  };

  bool Before(const Head& a, const Head& b) const;
  // Checks where the source stands. False: it has no row, or there is an error, which ends it all.
  bool TakeHead(size_t source, Head& head);
  void Fail(const Result<void>& status);
  void SiftDown(size_t index);
  void RemoveTop();
  void AdvanceTop();
  void SkipHidden();

  std::vector<std::unique_ptr<RowCursor>> sources_;
  size_t current_ = kNone;   // the source of row()
  std::vector<Head> heads_;  // of the other sources, a heap: the first row is at the front
  uint64_t hidden_rows_ = 0;
  std::vector<ValueReference> hidden_references_;
  Result<void> status_;
};

}  // namespace varve::engine
