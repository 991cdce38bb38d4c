#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "resp/argument.h"

namespace varve::resp {

// The replies of a batch: bytes, and between them large shared values by reference, so that a value
// of 300 MB is sent without being copied.
// Format:   RESP2 or RESP3 by set_protocol(); types that RESP2 lacks are written as the ones that
//           Redis 7 gives RESP2 clients.
// Lifetime: pieces are valid until the next write, TruncateTo() or Clear().
// Threads:  one at a time.
class ReplyBuffer {
 public:
  // A point between two replies, to come back to with TruncateTo().
  struct Mark {
    size_t bytes = 0;
    size_t shared_count = 0;
    size_t shared_bytes = 0;
  };

  ReplyBuffer() = default;
  ReplyBuffer(const ReplyBuffer&) = delete;
  ReplyBuffer& operator=(const ReplyBuffer&) = delete;

  void set_protocol(int protocol) { protocol_ = protocol; }  // 2 or 3
  int protocol() const { return protocol_; }

  // Line types. CR and LF in an error become spaces, since `text` may quote what a client sent.
  void SimpleString(std::string_view text);
  void Error(std::string_view text);  // with its code and without '-': "ERR syntax error"
  void Ok() { Raw("+OK\r\n"); }
  void Integer(int64_t value);
  void Null() { Raw(protocol_ == 3 ? std::string_view("_\r\n") : std::string_view("$-1\r\n")); }
  void NullArray() {
    Raw(protocol_ == 3 ? std::string_view("_\r\n") : std::string_view("*-1\r\n"));
  }
  void Bool(bool value);
  void Double(double value);
  void BigNumber(std::string_view digits);

  void Bulk(std::string_view bytes);
  // From kSharedBytes on, `owner` (if any), which holds `bytes`, is referred to and not copied.
  void Bulk(std::string_view bytes, const std::shared_ptr<const std::string>& owner);
  void Verbatim(std::string_view format, std::string_view text);  // format: 3 letters, "txt"

  // Headers; the elements follow. A map's count is of pairs.
  void Array(size_t count) { Header('*', count); }
  void Map(size_t pair_count);
  void Set(size_t count) { Header(protocol_ == 3 ? '~' : '*', count); }
  void Push(size_t count) { Header(protocol_ == 3 ? '>' : '*', count); }

  // Bytes that are already in the protocol's form.
  void Raw(std::string_view bytes) { Append(bytes.data(), bytes.size()); }
  void RawShared(std::shared_ptr<const std::string> bytes);

  size_t size() const { return size_ + shared_bytes_; }
  bool empty() const { return size() == 0; }
  size_t held_bytes() const { return capacity_ + shared_bytes_; }

  Mark mark() const { return {size_, shared_.size(), shared_bytes_}; }
  void TruncateTo(const Mark& mark);
  // The first byte written after `mark`, 0 if there is none: '-' is an error.
  char FirstByteAfter(const Mark& mark) const {
    return mark.bytes < size_ ? data_[mark.bytes] : '\0';
  }
  // The bytes written after `mark`, up to the first shared value.
  std::string_view BytesAfter(const Mark& mark) const {
    return {data_.get() + mark.bytes, size_ - mark.bytes};
  }

  // Appends the non-empty pieces, in order, for a gather write.
  void AppendPieces(std::vector<std::string_view>& pieces) const;
  std::string ToString() const;  // all pieces, copied: for tests

  // Forgets all replies; memory beyond a small capacity is freed.
  void Clear();

 private:
  struct Shared {
    size_t offset;  // of data_ that comes before it
    std::string_view bytes;
    std::shared_ptr<const std::string> owner;
  };

  // Room for `size` more bytes behind size_.
  char* Room(size_t size) {
    if (capacity_ - size_ < size) [[unlikely]] {
      Grow(size);
    }
    return data_.get() + size_;
  }
  void Append(const char* bytes, size_t size) {
    if (size != 0) {
      std::memcpy(Room(size), bytes, size);
      size_ += size;
    }
  }
  void Grow(size_t size);
  void Header(char type, uint64_t count);

  std::unique_ptr<char[]> data_;
  size_t size_ = 0;
  size_t capacity_ = 0;
  std::vector<Shared> shared_;
  size_t shared_bytes_ = 0;
  int protocol_ = 2;
};

}  // namespace varve::resp
