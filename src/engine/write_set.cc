#include "engine/write_set.h"

#include <utility>

namespace varve::engine {

void WriteSet::Put(int db, Position position, std::string_view key, Value value, ValueType type) {
  Add({Kind::kPut, db, position, key, std::move(value), type});
}

void WriteSet::Delete(int db, Position position, std::string_view key) {
  Add({Kind::kDelete, db, position, key, {}, ValueType::kString});
}

void WriteSet::ClearDatabase(int db) {
  Add({Kind::kClearDatabase, db, 0, {}, {}, ValueType::kString});
  last_clear_[db] = writes_.size();
  has_clears_ = true;
}

void WriteSet::Clear() {
  writes_.clear();
  payload_bytes_ = 0;
  if (indexed_ != 0) by_position_.clear();
  indexed_ = 0;
  if (has_clears_) last_clear_.fill(0);
  has_clears_ = false;
}

void WriteSet::Add(Write write) {
  payload_bytes_ += write.key.size() + write.value.bytes.size();
  writes_.push_back(std::move(write));
}

WriteSet::Found WriteSet::Find(int db, Position position, std::string_view key,
                               const Write** write) {
  if (writes_.empty()) return Found::kNothing;
  const auto matches = [&](const Write& candidate) {
    return candidate.kind != Kind::kClearDatabase && candidate.db == db &&
           candidate.position == position && candidate.key == key;
  };
  size_t newest = 0;  // index + 1
  if (writes_.size() <= kScannedMax) {
    for (newest = writes_.size(); newest > 0 && !matches(writes_[newest - 1]);) --newest;
  } else {
    for (; indexed_ < writes_.size(); ++indexed_) {
      by_position_.emplace(writes_[indexed_].position, indexed_);
    }
    const auto [begin, end] = by_position_.equal_range(position);
    for (auto it = begin; it != end; ++it) {
      if (it->second + 1 > newest && matches(writes_[it->second])) newest = it->second + 1;
    }
  }
  if (newest <= last_clear_[db]) return last_clear_[db] == 0 ? Found::kNothing : Found::kDeleted;
  *write = &writes_[newest - 1];
  return (*write)->kind == Kind::kPut ? Found::kPut : Found::kDeleted;
}

}  // namespace varve::engine
