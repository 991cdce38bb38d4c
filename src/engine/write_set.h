#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/options.h"
#include "engine/position.h"
#include "engine/value.h"

namespace varve::engine {

// The changes of one command, EXEC or script, in their order, until they are applied all at once.
// Lifetime: keys and values are the caller's views, valid until Clear().
// Threads:  one at a time.
class WriteSet {
 public:
  enum class Kind : uint8_t { kPut, kDelete, kClearDatabase };
  struct Write {
    Kind kind;
    int db;
    Position position;
    std::string_view key;
    Value value;
    ValueType type;
  };
  enum class Found { kNothing, kPut, kDeleted };

  void Put(int db, Position position, std::string_view key, Value value, ValueType type);
  void Delete(int db, Position position, std::string_view key);
  void ClearDatabase(int db);
  void Clear();

  bool empty() const { return writes_.empty(); }
  const std::vector<Write>& writes() const { return writes_; }
  bool clears(int db) const { return last_clear_[db] != 0; }
  // A later one of these writes clears its database: it makes no difference.
  bool IsCleared(size_t index) const { return index + 1 < last_clear_[writes_[index].db]; }
  size_t payload_bytes() const { return payload_bytes_; }  // of keys and values

  // What these writes make of a key; on kPut `*write` is the one that counts. O(1) amortized.
  Found Find(int db, Position position, std::string_view key, const Write** write);

 private:
  // From this many writes on they are looked up by position instead of one after the other.
  static constexpr size_t kScannedMax = 8;

  void Add(Write write);

  std::vector<Write> writes_;
  // Index in writes_ by position, of the first indexed_ writes: made when one looks, since most
  // commands of many writes (MSET) never do.
  std::unordered_multimap<Position, size_t> by_position_;
  size_t indexed_ = 0;
  std::array<size_t, kDatabaseCount> last_clear_{};  // index + 1 of it in writes_, 0: none
  bool has_clears_ = false;
  size_t payload_bytes_ = 0;
};

}  // namespace varve::engine
