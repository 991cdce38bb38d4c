#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "engine/block_compressor.h"
#include "engine/position.h"

namespace varve::engine {

// The first blocks of a table, kept back to find out what to compress them and all others with, and
// to make the dictionary for that. They are a fair sample of the whole table, since rows are
// ordered by a hash of their key. Threads: one at a time. Limits:  kKeptShare times the dictionary,
// and the block that goes beyond it.
class DictionarySample {
 public:
  struct Block {
    Position first_position;
    std::string rows;
  };
  // The dictionary is to have at most `dictionary_bytes`, which is not 0.
  explicit DictionarySample(size_t dictionary_bytes) : dictionary_bytes_(dictionary_bytes) {}

  void Add(Position first_position, std::string rows);
  bool full() const {
    return useful_bytes_ >= kUsefulShare * dictionary_bytes_ ||
           bytes_ >= kKeptShare * dictionary_bytes_;
  }
  size_t bytes() const { return bytes_; }

  // Snappy, where zstd at `level` would not save much more; else zstd, with a dictionary if that
  // pays. `is_whole_table`: these are all of its blocks.
  struct Choice {
    bool is_zstd = false;
    std::string dictionary = {};  // empty: none
  };
  Choice Choose(int level, bool is_whole_table) const;
  std::vector<Block>& blocks() { return blocks_; }

 private:
  // More makes a dictionary no better.
  static constexpr size_t kUsefulShare = 5;
  // Huge rows in between, which are of no use, may be kept back up to this.
  static constexpr size_t kKeptShare = 20;

  std::string MakeDictionary(int level) const;
  // What the whole sample would take, as blocks say of which no dictionary is made.
  size_t StoredBytes(BlockCompressor compressor) const;

  const size_t dictionary_bytes_;
  std::vector<Block> blocks_;
  size_t bytes_ = 0;
  size_t useful_bytes_ = 0;
};

}  // namespace varve::engine
