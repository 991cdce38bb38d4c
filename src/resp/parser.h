#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "resp/argument.h"

namespace varve::resp {

inline constexpr size_t kBulkBytesMax = 512ull << 20;  // proto-max-bulk-len's default
inline constexpr int64_t kArgumentsMax = 1024 * 1024;
inline constexpr size_t kInlineBytesMax = 64 * 1024;  // also of a line that announces a length
inline constexpr size_t kReadBytes = 16 * 1024;       // what one Prepare() makes room for

enum class Parsed {
  kCommand,     // a whole request was appended to the arguments
  kIncomplete,  // read more: Release(), Prepare(), Commit()
  kError,       // not the protocol: reply with error() and close; each later call says it again
};

// Cuts a connection's bytes into requests (arrays of bulk strings, or inline lines), and owns the
// buffer that they are read into:
//
//   span = parser.Prepare(); n = read(socket, span); parser.Commit(n);
//   while (parser.Next(args) == Parsed::kCommand) ... the arguments of a whole batch stay valid
//   run the batch; args.clear(); parser.Release();
//
// Format:   RESP 2 requests as Redis 7.0 takes them: the two bytes behind a bulk string and the one
//           behind a line's CR are not looked at; empty requests are skipped.
// Lifetime: arguments are valid until Release(). Nothing else moves them.
// Limits:   the constants above. Memory grows with the bytes that arrive, at most to a small
//           multiple of them, whatever lengths are announced. The time is O(bytes) however small
//           the reads are.
// Threads:  one at a time.
class Parser {
 public:
  explicit Parser(size_t bulk_bytes_max = kBulkBytesMax) : bulk_bytes_max_(bulk_bytes_max) {}
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  // Where to read to: room for kReadBytes or more, or for the rest of a large argument. The span is
  // valid until the next call of any member. Precondition: Release() since the last kCommand.
  std::span<char> Prepare();
  // The first `size` bytes of the span that Prepare() returned have been read.
  void Commit(size_t size);

  // Appends the arguments (one or more) of the next request to `args`, or appends nothing.
  Parsed Next(std::vector<Argument>& args);

  // The arguments that Next() returned are no longer used.
  void Release();

  // After kError: the reply without its '-' and line end, as "ERR Protocol error: ...".
  const std::string& error() const { return error_; }

  // Frees the buffer if it holds no bytes: for connections that are idle.
  void FreeIfEmpty();

  // Holds for lengths that are announced from now on (CONFIG SET proto-max-bulk-len).
  // Precondition: kSharedBytes or more.
  void set_bulk_bytes_max(size_t bytes) { bulk_bytes_max_ = bytes; }

  // Of requests that are not complete, for limits and CLIENT LIST.
  size_t unparsed_bytes() const {
    const size_t begin = state_ == State::kStart || state_ == State::kFailed ? begin_ : request_;
    return end_ - begin + large_filled_ + partial_shared_bytes_;
  }
  size_t free_bytes() const { return capacity_ - end_; }
  // All memory held, for limits and CLIENT LIST; O(1).
  size_t held_bytes() const {
    return capacity_ + (large_.empty() ? 0 : large_.capacity()) + partial_shared_bytes_ +
           partial_.capacity() * sizeof(Argument);
  }

 private:
  enum class State : uint8_t { kStart, kBulkHeader, kBulkBody, kLargeBody, kFailed };
  enum class Line : uint8_t { kFound, kIncomplete, kTooLong };

  bool NextAtOnce(std::vector<Argument>& args);
  Parsed NextByState(std::vector<Argument>& args);
  Line FindLine(char mark, std::string_view& line);
  // Each takes one step of the state machine: false if more bytes are needed, or on kFailed.
  bool ParseStart();
  bool ParseInline();
  bool ParseArrayHeader();
  bool ParseBulkHeader();
  bool ParseBulkBody();
  bool ParseLargeBody();
  bool Fail(std::string text);
  void GrowLarge();
  void MakeRoom();

  std::unique_ptr<char[]> buffer_;
  size_t capacity_ = 0;
  size_t kept_ = 0;     // before it there is nothing that is still needed
  size_t begin_ = 0;    // of the bytes not parsed yet
  size_t end_ = 0;      // of the bytes read
  size_t scanned_ = 0;  // of the bytes not parsed yet: so many without the line end looked for
  size_t bulk_bytes_max_;

  // The current request, from its first byte at request_ on, if it did not come in one piece.
  State state_ = State::kStart;
  size_t request_ = 0;
  int64_t arguments_left_ = 0;
  bool complete_ = false;
  std::vector<Argument> partial_;
  size_t partial_shared_bytes_ = 0;  // of owners in partial_

  size_t bulk_bytes_ = 0;    // kBulkBody, kLargeBody: size of the current argument
  std::string large_;        // kLargeBody: the argument; its size is ahead of large_filled_
  size_t large_filled_ = 0;  // bytes of it that have arrived
  bool direct_ = false;      // the last Prepare() gave out room in large_

  std::string error_;
};

}  // namespace varve::resp
