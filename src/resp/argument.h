#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace varve::resp {

// From this size on an argument or a reply value is held once and shared instead of copied. The
// engine's kSharedValueBytes is the same number (commands assert it).
inline constexpr size_t kSharedBytes = 32 * 1024;

// One argument of a request, any bytes.
// Lifetime: `bytes` lies in the parser's buffer and is valid until Parser::Release(), or in *owner
// when there is one (from kSharedBytes on), which may be kept for as long as one likes.
struct Argument {
  std::string_view bytes;
  std::shared_ptr<const std::string> owner;
};

}  // namespace varve::resp
