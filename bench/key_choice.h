#pragma once

#include <cstdint>
#include <memory>
#include <string>

// Which key a client asks for next, as a number in [first, first + count).
namespace varve::bench {

class KeyChoice {
 public:
  virtual ~KeyChoice() = default;
  virtual uint64_t Next() = 0;
};

struct KeyRange {
  uint64_t first = 0;
  uint64_t count = 1;  // 1 or more
};

// `distribution`:
//   sequential  in order, from `skip` on, again from the start after the last
//   once        the same, but in the order of a fixed permutation: no key twice in `count`
//   uniform     each equally often
//   zipf        the key of rank r in proportion to r to the power of -exponent; which key has which
//               rank is a fixed permutation, so that runs with different seeds share their hot keys
// Null for other words.
std::unique_ptr<KeyChoice> NewKeyChoice(const std::string& distribution, KeyRange range,
                                        uint64_t skip, double exponent, uint64_t seed);

}  // namespace varve::bench
