#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// Takes a RESP2 server's replies apart as their bytes arrive. An array's header and its elements
// are tokens of their own, so a large reply is never looked at twice.
namespace varve::bench {

struct ReplyToken {
  enum class Kind { kStatus, kError, kInteger, kBulk, kNil, kArray };
  Kind kind = Kind::kNil;
  std::string_view text;  // of a status, an error, a bulk
  int64_t number = 0;     // an integer; the elements of an array
};

// Errors: bytes that are no RESP2 end the process; a benchmark has nothing to do after them.
class ReplyTokens {
 public:
  // Where to read to. Ends the life of the tokens' texts.
  std::span<char> Prepare();
  void Commit(size_t size) { end_ += size; }
  std::optional<ReplyToken> Next();

 private:
  std::optional<std::string_view> Line(size_t& position) const;  // from begin_, without its end
  std::optional<ReplyToken> Bulk(size_t position, int64_t size);

  std::vector<char> buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
};

}  // namespace varve::bench
