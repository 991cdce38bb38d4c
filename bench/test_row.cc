#include "test_row.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace varve::bench {
namespace {

constexpr std::string_view kKeyPrefix = "key:";
constexpr std::string_view kPattern = "varve, a layer of sediment; ";

}  // namespace

void AppendKey(uint64_t number, std::string& out) {
  out += kKeyPrefix;
  const size_t digits = kKeyBytes - kKeyPrefix.size();
  out.append(digits, '0');
  for (auto digit = out.rbegin(); number != 0; ++digit, number /= 10) {
    *digit = static_cast<char>('0' + number % 10);
  }
}

std::optional<uint64_t> ParseKey(std::string_view key) {
  if (key.size() != kKeyBytes || !key.starts_with(kKeyPrefix)) return std::nullopt;
  key.remove_prefix(kKeyPrefix.size());
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), number);
  if (error != std::errc() || end != key.data() + key.size()) return std::nullopt;
  return number;
}

RowValues::RowValues(size_t value_bytes) : random_bytes_(value_bytes / 2) {
  value_.assign(random_bytes_, '\0');
  while (value_.size() < value_bytes) value_ += kPattern;
  value_.resize(value_bytes);
}

std::string_view RowValues::Of(uint64_t number) {
  uint64_t state = number;
  for (size_t offset = 0; offset < random_bytes_; offset += sizeof(state)) {
    state += 0x9e3779b97f4a7c15;  // SplitMix64
    uint64_t word = state;
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9;
    word = (word ^ (word >> 27)) * 0x94d049bb133111eb;
    word ^= word >> 31;
    std::memcpy(value_.data() + offset, &word, std::min(sizeof(word), random_bytes_ - offset));
  }
  return value_;
}

}  // namespace varve::bench
