#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace varve::engine {

// What a key holds. The number is stored in rows and never changes.
enum class ValueType : uint8_t { kString = 0 };

// From this size on a value is held once, shared and unchanging, wherever it goes (memtable, WAL
// buffer, cached row, reply), instead of being copied.
inline constexpr size_t kSharedValueBytes = 32 * 1024;

struct Value {
  std::string_view bytes;                    // within *owner when there is one
  std::shared_ptr<const std::string> owner;  // null: a plain view, copied by whoever keeps it
};

}  // namespace varve::engine
