#include "timeline.h"

#include <fmt/os.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <system_error>

namespace varve::bench {
namespace {

constexpr uint64_t kSecondNs = 1'000'000'000;

double Us(uint64_t ns) { return static_cast<double>(ns) / 1e3; }

template <typename Write>
void WriteFile(const std::string& path, const Write& write) {
  if (path.empty()) return;
  try {
    auto out = fmt::output_file(path);
    write(out);
  } catch (const std::system_error& error) {
    fmt::print(stderr, "{}: {}\n", path, error.what());
    std::exit(1);
  }
}

}  // namespace

uint64_t NowNs() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::nanoseconds(now).count());
}

void Timeline::Add(uint64_t now_ns, uint64_t latency_ns) {
  const uint64_t second = (now_ns - started_ns_) / kSecondNs;
  if (second >= seconds_.size()) {
    EndSecond();
    seconds_.resize(second + 1);
  }
  all_.Add(latency_ns);
  last_.Add(latency_ns);
}

void Timeline::EndSecond() {
  if (last_.count() == 0) return;
  seconds_.back() = {last_.count(), last_.Quantile(0.99), last_.max_ns()};
  last_ = {};
}

void Timeline::Merge(const Timeline& other) {
  all_.Merge(other.all_);
  seconds_.resize(std::max(seconds_.size(), other.seconds_.size()));
  for (size_t i = 0; i < other.seconds_.size(); ++i) {
    seconds_[i].requests += other.seconds_[i].requests;
    seconds_[i].p99_ns = std::max(seconds_[i].p99_ns, other.seconds_[i].p99_ns);
    seconds_[i].max_ns = std::max(seconds_[i].max_ns, other.seconds_[i].max_ns);
  }
}

void Timeline::WriteSeconds(const std::string& path) const {
  WriteFile(path, [this](fmt::ostream& out) {
    out.print("second,requests,p99_us,max_us\n");
    for (size_t i = 0; i < seconds_.size(); ++i) {
      const Second& second = seconds_[i];
      out.print("{},{},{:.1f},{:.1f}\n", i, second.requests, Us(second.p99_ns), Us(second.max_ns));
    }
  });
}

void Timeline::WriteHistogram(const std::string& path) const {
  WriteFile(path, [this](fmt::ostream& out) {
    out.print("up_to_us,requests\n");
    all_.ForEachBucket(
        [&](uint64_t up_to_ns, uint64_t count) { out.print("{:.3f},{}\n", Us(up_to_ns), count); });
  });
}

}  // namespace varve::bench
