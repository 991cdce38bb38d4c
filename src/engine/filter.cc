#include "engine/filter.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "engine/invariant.h"

namespace varve::engine {
namespace {

// Odd constants of splitmix64: the top bits of a product depend on all bits of the position.
constexpr uint64_t kBitsMultiplier = 0xbf58476d1ce4e5b9;
constexpr uint64_t kNextMultiplier = 0x94d049bb133111eb;

uint64_t FirstBits(Position position) { return (position ^ (position >> 31)) * kBitsMultiplier; }

// How many top bits all of them share, at most 63.
int SharedBits(const std::vector<Position>& positions) {
  Position different = 1;
  for (const Position position : positions) different |= position ^ positions.front();
  return std::countl_zero(different);
}

}  // namespace

size_t Filter::LineOf(Position position) const {
  return ((position << shared_bits_) >> 32) * lines_.size() >> 32;
}

std::string Filter::Build(const std::vector<Position>& positions, int bits_per_key) {
  INVARIANT(bits_per_key >= 1 && bits_per_key <= 24);
  const uint64_t bits = positions.size() * static_cast<uint64_t>(bits_per_key);
  constexpr uint64_t kLineBits = kLineBytes * 8;
  Filter filter;
  filter.lines_.resize(std::clamp<uint64_t>((bits + kLineBits - 1) / kLineBits, 1, kLinesMax));
  filter.shared_bits_ = SharedBits(positions);
  // ln 2 = 0.69 a bit would be best in one large filter; lines are filled unevenly, so it is less.
  filter.probe_count_ = std::clamp(bits_per_key * 6 / 10, 1, kProbesMax);
  for (const Position position : positions) {
    Line& line = filter.lines_[filter.LineOf(position)];
    uint64_t mixed = FirstBits(position);
    for (int i = 0; i < filter.probe_count_; ++i, mixed *= kNextMultiplier) {
      const uint64_t bit = mixed >> 55;
      line.words[bit / 64] |= uint64_t{1} << (bit % 64);
    }
  }
  std::string payload(reinterpret_cast<const char*>(filter.lines_.data()), filter.memory_bytes());
  payload.push_back(static_cast<char>(filter.shared_bits_));
  payload.push_back(static_cast<char>(filter.probe_count_));
  return payload;
}

bool Filter::Decode(std::string_view payload) {
  if (payload.size() <= kLineBytes || payload.size() % kLineBytes != kTrailerBytes) return false;
  if (payload.size() / kLineBytes > kLinesMax) return false;
  shared_bits_ = static_cast<uint8_t>(payload[payload.size() - 2]);
  probe_count_ = static_cast<uint8_t>(payload.back());
  if (shared_bits_ > 63 || probe_count_ < 1 || probe_count_ > kProbesMax) return false;
  lines_.resize(payload.size() / kLineBytes);
  std::memcpy(lines_.data(), payload.data(), lines_.size() * kLineBytes);
  return true;
}

bool Filter::MayContain(Position position) const {
  const Line& line = lines_[LineOf(position)];
  uint64_t mixed = FirstBits(position);
  for (int i = 0; i < probe_count_; ++i, mixed *= kNextMultiplier) {
    const uint64_t bit = mixed >> 55;
    if ((line.words[bit / 64] >> (bit % 64) & 1) == 0) return false;
  }
  return true;
}

}  // namespace varve::engine
