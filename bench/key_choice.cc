#include "key_choice.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace varve::bench {
namespace {

// A product with a prime above all counts, modulo the count, meets each index once. It need not mix
// well: the server orders keys by a hash.
constexpr uint64_t kScatterPrime = (uint64_t{1} << 61) - 1;

uint64_t Scatter(uint64_t index, uint64_t count) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<uint64_t>(static_cast<Wide>(index) * kScatterPrime % count);
}

class InTurn : public KeyChoice {
 public:
  InTurn(KeyRange range, uint64_t skip, bool scattered)
      : range_(range), index_(skip % range.count), scattered_(scattered) {}

  uint64_t Next() override {
    const uint64_t index = index_;
    index_ = index_ + 1 == range_.count ? 0 : index_ + 1;
    return range_.first + (scattered_ ? Scatter(index, range_.count) : index);
  }

 private:
  const KeyRange range_;
  uint64_t index_;
  const bool scattered_;
};

class Uniform : public KeyChoice {
 public:
  Uniform(KeyRange range, uint64_t seed)
      : random_(seed), number_(range.first, range.first + range.count - 1) {}
  uint64_t Next() override { return number_(random_); }

 private:
  std::mt19937_64 random_;
  std::uniform_int_distribution<uint64_t> number_;
};

// Source: W. Hörmann, G. Derflinger: "Rejection-inversion to generate variates from monotone
// discrete distributions", ACM TOMACS 6 (1996); constant time and memory for any count. Names as
// there: h(x) = x^-exponent, H its integral, which log1p and expm1 keep exact around exponent 1.
class Zipf : public KeyChoice {
 public:
  Zipf(KeyRange range, double exponent, uint64_t seed)
      : range_(range),
        exponent_(exponent),
        random_(seed),
        integral_first_(Integral(1.5) - 1),
        integral_last_(Integral(static_cast<double>(range.count) + 0.5)),
        accept_below_(2 - InverseIntegral(Integral(2.5) - Density(2))) {}

  uint64_t Next() override { return range_.first + Scatter(Rank() - 1, range_.count); }

 private:
  uint64_t Rank() {
    for (;;) {
      const double u = integral_last_ + unit_(random_) * (integral_first_ - integral_last_);
      const double x = InverseIntegral(u);
      const double rank = std::clamp(std::floor(x + 0.5), 1.0, static_cast<double>(range_.count));
      if (rank - x <= accept_below_ || u >= Integral(rank + 0.5) - Density(rank)) {
        return static_cast<uint64_t>(rank);
      }
    }
  }
  double Density(double x) const { return std::exp(-exponent_ * std::log(x)); }
  double Integral(double x) const {
    const double log_x = std::log(x);
    const double t = (1 - exponent_) * log_x;
    return (std::abs(t) > 1e-8 ? std::expm1(t) / t : 1 + t / 2) * log_x;
  }
  double InverseIntegral(double x) const {
    const double t = std::max(x * (1 - exponent_), -1.0);
    return std::exp((std::abs(t) > 1e-8 ? std::log1p(t) / t : 1 - t / 2) * x);
  }

  const KeyRange range_;
  const double exponent_;
  std::mt19937_64 random_;
  std::uniform_real_distribution<double> unit_;
  const double integral_first_;
  const double integral_last_;
  const double accept_below_;
};

}  // namespace

std::unique_ptr<KeyChoice> NewKeyChoice(const std::string& distribution, KeyRange range,
                                        uint64_t skip, double exponent, uint64_t seed) {
  if (distribution == "sequential") return std::make_unique<InTurn>(range, skip, false);
  if (distribution == "once") return std::make_unique<InTurn>(range, skip, true);
  if (distribution == "uniform") return std::make_unique<Uniform>(range, seed);
  if (distribution == "zipf") return std::make_unique<Zipf>(range, exponent, seed);
  return nullptr;
}

}  // namespace varve::bench
