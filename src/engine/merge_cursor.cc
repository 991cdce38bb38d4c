#include "engine/merge_cursor.h"

#include <utility>

#include "engine/invariant.h"

namespace varve::engine {

MergeCursor::MergeCursor(std::vector<std::unique_ptr<RowCursor>> sources)
    : sources_(std::move(sources)) {
  heads_.reserve(sources_.size());
}

// Rows of one key stand one behind the other, the newest first.
bool MergeCursor::Before(const Head& a, const Head& b) const {
  if (a.position != b.position) return a.position < b.position;
  const int order = sources_[a.source]->row().key.compare(sources_[b.source]->row().key);
  return order != 0 ? order < 0 : a.source < b.source;
}

bool MergeCursor::TakeHead(size_t source, Head& head) {
  const RowCursor& cursor = *sources_[source];
  if (cursor.Valid()) [[likely]] {
    head = {cursor.row().position, source};
    return true;
  }
  if (!cursor.status()) Fail(cursor.status());
  return false;
}

void MergeCursor::Fail(const Result<void>& status) {
  status_ = status;
  current_ = kNone;
  heads_.clear();
}

void MergeCursor::SiftDown(size_t index) {
  const Head moved = heads_[index];
  for (size_t child; (child = 2 * index + 1) < heads_.size(); index = child) {
    if (child + 1 < heads_.size() && Before(heads_[child + 1], heads_[child])) ++child;
    if (!Before(heads_[child], moved)) break;
    heads_[index] = heads_[child];
  }
  heads_[index] = moved;
}

void MergeCursor::RemoveTop() {
  heads_.front() = heads_.back();
  heads_.pop_back();
  if (!heads_.empty()) SiftDown(0);
}

void MergeCursor::AdvanceTop() {
  const size_t source = heads_.front().source;
  sources_[source]->Next();
  Head head;
  if (TakeHead(source, head)) {
    heads_.front() = head;
    SiftDown(0);
  } else if (status_) {
    RemoveTop();
  }
}

void MergeCursor::Seek(Position position) {
  status_ = {};
  current_ = kNone;
  heads_.clear();
  hidden_rows_ = 0;
  hidden_references_.clear();
  for (size_t source = 0; source < sources_.size() && status_; ++source) {
    sources_[source]->Seek(position);
    Head head;
    if (TakeHead(source, head)) heads_.push_back(head);
  }
  if (heads_.empty()) return;
  for (size_t index = heads_.size() / 2; index-- > 0;) SiftDown(index);
  const size_t first = heads_.front().source;
  RemoveTop();
  current_ = first;
  SkipHidden();
}

// Older rows of the current key go while its row still stands: a row that could turn out to be
// hidden by one behind an error must not have been shown, and its key need not be copied.
void MergeCursor::SkipHidden() {
  const Row& row = sources_[current_]->row();
  while (!heads_.empty() && heads_.front().position == row.position) {
    const Row& hidden = sources_[heads_.front().source]->row();
    if (hidden.key != row.key) break;
    if (hidden.reference) hidden_references_.push_back(hidden.reference);
    AdvanceTop();
    ++hidden_rows_;
  }
}

void MergeCursor::Next() {
  INVARIANT(Valid());
  sources_[current_]->Next();
  Head head;
  if (TakeHead(current_, head)) {
    if (!heads_.empty() && Before(heads_.front(), head)) {
      std::swap(heads_.front(), head);
      SiftDown(0);
    }
    current_ = head.source;
  } else {
    if (!status_) return;
    current_ = kNone;
    if (heads_.empty()) return;
    current_ = heads_.front().source;
    RemoveTop();
  }
  SkipHidden();
}

const Row& MergeCursor::row() const {
  INVARIANT(Valid());
  return sources_[current_]->row();
}

}  // namespace varve::engine
