#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "engine/tree.h"

namespace varve::engine {

// What the tables of a tree have between two positions: loaded outside the lock for a SCAN, then
// merged with the rows in memory, under it. Keys only. Constant once it is loaded.
//
// The request holds on to the version of its moment. What was not in it is in memory, and so is all
// that was written since, so the merge (rows in memory first, then this range) sees everything as
// long as no row that is newer than the version has been evicted: IsCurrent().
class ScanRange {
 public:
  struct Request {
    std::shared_ptr<Tree> tree;
    std::shared_ptr<const Version> version;
    uint64_t flushed_generation;  // this and all older ones are in the version
    Position begin;
    size_t row_count;  // about so many rows are wanted
  };
  struct Key {
    Position position;
    size_t offset;  // in key_bytes_
    size_t size;
    bool is_tombstone;
  };

  // Reads the range from `request.begin` on. Blocks: never under the command lock. It ends where a
  // ScanToken changes, so keys that share a token are all in it.
  static Result<std::shared_ptr<const ScanRange>> Load(Request request,
                                                       const PositionSecret& secret);
  // Without tables: the whole rest of the space, empty.
  static std::shared_ptr<const ScanRange> Empty(Request request);

  const Request& request() const { return request_; }
  // All rows of the tables with positions in [request().begin, last()] are in it.
  Position last() const { return last_; }
  size_t size() const { return keys_.size(); }
  const Key& key(size_t index) const { return keys_[index]; }
  std::string_view key_bytes(const Key& key) const {
    return std::string_view(key_bytes_).substr(key.offset, key.size);
  }
  // Under the command lock: whether the merge described above sees everything.
  bool IsCurrent() const {
    return request_.tree->rows->evicted_generation <= request_.flushed_generation;
  }

 private:
  explicit ScanRange(Request request) : request_(std::move(request)) {}

  Request request_;
  Position last_ = ~Position{0};
  std::vector<Key> keys_;
  std::string key_bytes_;
};

// The SCAN token that stands for a position, and the first position that a token stands for.
inline constexpr int kScanTokenShift = 16;

// Live keys of the range's tree from the range's begin on, the newest row of each key deciding:
// about `count_wanted` of them (fewer among many dead rows), and all that share a token. `*next` is
// where to go on, or nothing at the end of the space. Under the command lock.
std::vector<std::string> CollectLiveKeys(const ScanRange& range, size_t count_wanted,
                                         std::optional<Position>* next);

}  // namespace varve::engine
