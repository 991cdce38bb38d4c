#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// The rows that load_client writes and checks, by their number: the key is "key:" and twelve
// digits, as redis-benchmark's are; the value is random to the eye but follows from the number, so
// that a reader can tell whether it belongs to its key.
namespace varve::bench {

inline constexpr size_t kKeyBytes = 16;
inline constexpr uint64_t kKeyNumbersMax = 1'000'000'000'000;  // twelve digits

void AppendKey(uint64_t number, std::string& out);
std::optional<uint64_t> ParseKey(std::string_view key);

// Values of one size that compress to about half: the first half pseudo-random bytes, the second
// the same short pattern in all of them.
class RowValues {
 public:
  explicit RowValues(size_t value_bytes);
  // Valid until the next call.
  std::string_view Of(uint64_t number);
  // What overwrites the row: another value at each call. Valid until the next call.
  std::string_view Fresh(uint64_t number) { return Of(number + ++fresh_ * kKeyNumbersMax); }

 private:
  size_t random_bytes_;
  std::string value_;
  uint64_t fresh_ = 0;
};

}  // namespace varve::bench
