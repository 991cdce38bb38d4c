#include "reply_tokens.h"

#include <fmt/core.h>

#include <charconv>
#include <cstdlib>
#include <cstring>

namespace varve::bench {
namespace {

constexpr size_t kReadBytes = 256 * 1024;

[[noreturn]] void ExitOn(std::string_view line) {
  fmt::print(stderr, "load_client: no RESP2 reply: '{}'\n", line.substr(0, 100));
  std::exit(1);
}

int64_t ToNumber(std::string_view line) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(line.data() + 1, line.data() + line.size(), number);
  if (error != std::errc() || end != line.data() + line.size()) ExitOn(line);
  return number;
}

}  // namespace

std::span<char> ReplyTokens::Prepare() {
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (buffer_.size() < end_ + kReadBytes) buffer_.resize(2 * end_ + kReadBytes);
  return std::span(buffer_).subspan(end_);
}

std::optional<std::string_view> ReplyTokens::Line(size_t& position) const {
  const char* const begin = buffer_.data() + begin_;
  const void* const newline = end_ == begin_ ? nullptr : std::memchr(begin, '\n', end_ - begin_);
  if (newline == nullptr) return std::nullopt;
  const auto size = static_cast<size_t>(static_cast<const char*>(newline) - begin);
  if (size < 2 || begin[size - 1] != '\r') ExitOn({begin, size});
  position = begin_ + size + 1;
  return std::string_view(begin, size - 1);
}

std::optional<ReplyToken> ReplyTokens::Bulk(size_t position, int64_t size) {
  if (size < 0) {
    begin_ = position;
    return ReplyToken{.kind = ReplyToken::Kind::kNil, .text = {}};
  }
  const auto bytes = static_cast<size_t>(size);
  if (end_ - position < bytes + 2) return std::nullopt;
  begin_ = position + bytes + 2;
  return ReplyToken{.kind = ReplyToken::Kind::kBulk, .text = {buffer_.data() + position, bytes}};
}

std::optional<ReplyToken> ReplyTokens::Next() {
  size_t position = 0;
  const auto line = Line(position);
  if (!line) return std::nullopt;
  if (line->front() == '$') return Bulk(position, ToNumber(*line));
  begin_ = position;
  switch (line->front()) {
    case '+':
      return ReplyToken{.kind = ReplyToken::Kind::kStatus, .text = line->substr(1)};
    case '-':
      return ReplyToken{.kind = ReplyToken::Kind::kError, .text = line->substr(1)};
    case ':':
      return ReplyToken{.kind = ReplyToken::Kind::kInteger, .text = {}, .number = ToNumber(*line)};
    case '*':
      return ReplyToken{.kind = ReplyToken::Kind::kArray, .text = {}, .number = ToNumber(*line)};
    default:
      ExitOn(*line);
  }
}

}  // namespace varve::bench
