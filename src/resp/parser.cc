#include "resp/parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "resp/inline_words.h"
#include "resp/number.h"

namespace varve::resp {
namespace {

constexpr size_t kBufferBytes = 32 * 1024;      // at first, and after a large request
constexpr size_t kBufferBytesKept = 64 * 1024;  // a larger one is given back when it is empty
constexpr size_t kLargeStepBytes = 256 * 1024;  // read into a large argument at once
constexpr size_t kPartialArgumentsKept = 1024;

// Reads "<digits>CR?" of at most five digits behind a type byte; null unless it is a plain number
// in whole and below `limit`. The caller has seen to it that eight bytes are readable.
inline const char* ReadCount(const char* in, uint32_t limit, uint32_t& count) {
  uint32_t value = static_cast<uint32_t>(static_cast<unsigned char>(*in)) - '0';
  if (value > 9) return nullptr;
  const char* const first = in++;
  for (int digit = 0; digit < 4 && *in != '\r'; ++digit, ++in) {
    const uint32_t next = static_cast<uint32_t>(static_cast<unsigned char>(*in)) - '0';
    if (next > 9) return nullptr;
    value = value * 10 + next;
  }
  if (*in != '\r' || value >= limit || (*first == '0' && in != first + 1)) return nullptr;
  count = value;
  return in + 2;
}

}  // namespace

std::span<char> Parser::Prepare() {
  const size_t missing = bulk_bytes_ - large_filled_;
  // Its last part is read through the buffer, so that what follows comes with the same read.
  direct_ = state_ == State::kLargeBody && missing > kReadBytes && begin_ == end_;
  if (direct_) {
    GrowLarge();
    return {large_.data() + large_filled_, large_.size() - large_filled_};
  }
  MakeRoom();
  return {buffer_.get() + end_, capacity_ - end_};
}

void Parser::Commit(size_t size) {
  if (direct_) {
    large_filled_ += size;
  } else {
    end_ += size;
  }
}

Parsed Parser::Next(std::vector<Argument>& args) {
  if (state_ == State::kStart && NextAtOnce(args)) return Parsed::kCommand;
  return NextByState(args);
}

void Parser::Release() {
  kept_ = state_ == State::kStart || state_ == State::kFailed ? begin_ : request_;
}

void Parser::FreeIfEmpty() {
  if (kept_ != end_ || begin_ != end_) return;
  buffer_.reset();
  std::vector<Argument>().swap(partial_);
  capacity_ = kept_ = begin_ = end_ = 0;
}

// The hot path: a whole request of small arguments lies in the buffer. Anything else, be it only
// unusual, is left to the state machine, which starts over: so each request is read at most twice.
bool Parser::NextAtOnce(std::vector<Argument>& args) {
  // No number is looked at unless this many bytes are left: the shortest request with an argument
  // is "*1 CRLF $0 CRLF CRLF", and the shortest argument's rest is made up by what follows it.
  constexpr ptrdiff_t kNumberBytes = 8;
  const char* in = buffer_.get() + begin_;
  const char* const end = buffer_.get() + end_;
  uint32_t count = 0;
  if (end - in < kNumberBytes || *in != '*') return false;
  in = ReadCount(in + 1, 10000, count);
  if (in == nullptr || count == 0) return false;
  const size_t first = args.size();
  for (; count != 0; --count) {
    uint32_t size = 0;
    // Short of eight bytes at the end of the buffer: "$0 CRLF CRLF" to "$1 CRLF x CRLF".
    if (end - in < kNumberBytes) {
      if (end - in < 6 || in[2] != '\r') break;
    }
    if (*in != '$') break;
    const char* const body = ReadCount(in + 1, kSharedBytes, size);
    if (body == nullptr || end - body < static_cast<ptrdiff_t>(size) + 2) break;
    args.push_back(Argument{{body, size}, nullptr});
    in = body + size + 2;
  }
  if (count != 0) {
    args.resize(first);
    return false;
  }
  begin_ = static_cast<size_t>(in - buffer_.get());
  scanned_ = 0;  // the request may have been looked at when it was incomplete
  return true;
}

Parsed Parser::NextByState(std::vector<Argument>& args) {
  complete_ = false;
  bool more = true;
  while (more && !complete_) {
    switch (state_) {
      case State::kStart:
        more = ParseStart();
        break;
      case State::kBulkHeader:
        more = ParseBulkHeader();
        break;
      case State::kBulkBody:
        more = ParseBulkBody();
        break;
      case State::kLargeBody:
        more = ParseLargeBody();
        break;
      case State::kFailed:
        more = false;
        break;
    }
  }
  if (state_ == State::kFailed) return Parsed::kError;
  if (!complete_) return Parsed::kIncomplete;
  args.insert(args.end(), std::make_move_iterator(partial_.begin()),
              std::make_move_iterator(partial_.end()));
  partial_.clear();
  if (partial_.capacity() > kPartialArgumentsKept) std::vector<Argument>().swap(partial_);
  partial_shared_bytes_ = 0;
  state_ = State::kStart;
  return Parsed::kCommand;
}

// The bytes from begin_ up to `mark`. A line that ends with CR needs one more byte, unlooked at.
Parser::Line Parser::FindLine(char mark, std::string_view& line) {
  const char* const begin = buffer_.get() + begin_;
  const size_t size = end_ - begin_;
  const size_t behind = mark == '\r' ? 1 : 0;
  const void* found =
      size == scanned_ ? nullptr : std::memchr(begin + scanned_, mark, size - scanned_);
  if (found == nullptr) {
    scanned_ = size;
    return size > kInlineBytesMax ? Line::kTooLong : Line::kIncomplete;
  }
  const auto length = static_cast<size_t>(static_cast<const char*>(found) - begin);
  if (length + behind >= size) {
    scanned_ = length;
    return Line::kIncomplete;
  }
  scanned_ = 0;
  line = {begin, length};
  return Line::kFound;
}

bool Parser::Fail(std::string text) {
  error_ = "ERR Protocol error: " + std::move(text);
  state_ = State::kFailed;
  partial_.clear();
  partial_shared_bytes_ = 0;
  std::string().swap(large_);
  large_filled_ = 0;
  return false;
}

bool Parser::ParseStart() {
  if (begin_ == end_) return false;
  request_ = begin_;
  return buffer_[begin_] == '*' ? ParseArrayHeader() : ParseInline();
}

bool Parser::ParseArrayHeader() {
  std::string_view line;
  const Line found = FindLine('\r', line);
  if (found == Line::kTooLong) return Fail("too big mbulk count string");
  if (found == Line::kIncomplete) return false;
  const std::optional<int64_t> count = ParseInteger(line.substr(1));
  if (!count || *count > kArgumentsMax) return Fail("invalid multibulk length");
  begin_ += line.size() + 2;
  if (*count <= 0) return true;  // an empty request: on to the next
  arguments_left_ = *count;
  state_ = State::kBulkHeader;
  return true;
}

bool Parser::ParseInline() {
  std::string_view line;
  const Line found = FindLine('\n', line);
  if (found == Line::kTooLong) return Fail("too big inline request");
  if (found == Line::kIncomplete) return false;
  char* const begin = buffer_.get() + begin_;
  begin_ += line.size() + 1;
  if (line.ends_with('\r')) line.remove_suffix(1);
  std::vector<std::string_view> words;
  if (!SplitInlineWords(begin, begin + line.size(), words)) {
    return Fail("unbalanced quotes in request");
  }
  for (const std::string_view word : words) {
    if (word.size() < kSharedBytes) {
      partial_.push_back({word, nullptr});
    } else {
      auto owner = std::make_shared<const std::string>(word);
      partial_.push_back({*owner, std::move(owner)});
    }
  }
  complete_ = !words.empty();
  return true;
}

bool Parser::ParseBulkHeader() {
  std::string_view line;
  const Line found = FindLine('\r', line);
  if (found == Line::kTooLong) return Fail("too big bulk count string");
  if (found == Line::kIncomplete) return false;
  const char type = buffer_[begin_];  // of an empty line: the CR
  if (type != '$') return Fail(fmt::format("expected '$', got '{}'", type));
  const std::optional<int64_t> size = ParseInteger(line.substr(1));
  if (!size || *size < 0 || static_cast<uint64_t>(*size) > bulk_bytes_max_) {
    return Fail("invalid bulk length");
  }
  begin_ += line.size() + 2;
  bulk_bytes_ = static_cast<size_t>(*size);
  state_ = bulk_bytes_ < kSharedBytes ? State::kBulkBody : State::kLargeBody;
  return true;
}

bool Parser::ParseBulkBody() {
  if (end_ - begin_ < bulk_bytes_ + 2) return false;
  partial_.push_back({{buffer_.get() + begin_, bulk_bytes_}, nullptr});
  begin_ += bulk_bytes_ + 2;
  state_ = State::kBulkHeader;
  complete_ = --arguments_left_ == 0;
  return true;
}

bool Parser::ParseLargeBody() {
  while (large_filled_ < bulk_bytes_ && begin_ < end_) {
    GrowLarge();
    const size_t size = std::min(large_.size() - large_filled_, end_ - begin_);
    std::memcpy(large_.data() + large_filled_, buffer_.get() + begin_, size);
    large_filled_ += size;
    begin_ += size;
  }
  if (large_filled_ < bulk_bytes_ || end_ - begin_ < 2) return false;
  begin_ += 2;
  auto owner = std::make_shared<const std::string>(std::exchange(large_, {}));
  partial_.push_back({*owner, owner});
  large_filled_ = 0;
  partial_shared_bytes_ += bulk_bytes_;
  state_ = State::kBulkHeader;
  complete_ = --arguments_left_ == 0;
  return true;
}

// Gives large_ room behind large_filled_. It doubles, so that memory follows the bytes that came
// and not the announced length, and ends at exactly that length.
void Parser::GrowLarge() {
  if (large_filled_ < large_.size()) return;
  if (large_filled_ == large_.capacity() || large_filled_ == 0) {
    std::string grown;
    grown.reserve(std::min(bulk_bytes_, std::max(2 * kSharedBytes, 2 * large_filled_)));
    grown.append(large_);
    large_.swap(grown);
  }
  const size_t room = std::min(large_.capacity(), bulk_bytes_) - large_filled_;
  large_.resize(large_filled_ + std::min(room, kLargeStepBytes));
}

// Room for kReadBytes behind end_. Bytes move only when at least as many are thrown away or added
// in front of or behind them, so that all moves together are O(bytes read).
void Parser::MakeRoom() {
  const size_t live = end_ - kept_;
  if (live == 0 && capacity_ <= kBufferBytesKept) {
    kept_ = begin_ = end_ = request_ = 0;
  }
  if (capacity_ - end_ >= kReadBytes && (live != 0 || capacity_ <= kBufferBytesKept)) return;
  const char* const old_begin = buffer_.get() + kept_;
  std::unique_ptr<char[]> old;
  if (kept_ >= live && live + kReadBytes <= capacity_ && capacity_ <= kBufferBytesKept) {
    std::memmove(buffer_.get(), old_begin, live);
  } else {
    const size_t capacity = std::max(kBufferBytes, 2 * live + kReadBytes);
    auto grown = std::make_unique_for_overwrite<char[]>(capacity);
    if (live != 0) std::memcpy(grown.get(), old_begin, live);
    old = std::exchange(buffer_, std::move(grown));  // lives on while views are moved off it
    capacity_ = capacity;
  }
  for (Argument& argument : partial_) {
    if (argument.owner != nullptr) continue;
    argument.bytes = {buffer_.get() + (argument.bytes.data() - old_begin), argument.bytes.size()};
  }
  begin_ -= kept_;
  end_ -= kept_;
  request_ -= std::min(request_, kept_);
  kept_ = 0;
}

}  // namespace varve::resp
