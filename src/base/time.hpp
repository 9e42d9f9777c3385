#pragma once
/// Clocks and deadlines. Everything that waits takes a Deadline; only durations are ever compared with the wall.

#include <algorithm>
#include <chrono>
#include <string>

namespace dtrain {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

inline double seconds_since(Clock::time_point start) { return Seconds(Clock::now() - start).count(); }

class Deadline {
 public:
  explicit Deadline(Seconds left) : at_(Clock::now() + std::chrono::duration_cast<Clock::duration>(left)) {}
  bool passed() const { return Clock::now() >= at_; }
  /// For poll(): milliseconds left, at least 0, at most `cap`.
  int milliseconds(int cap) const {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(at_ - Clock::now()).count();
    return static_cast<int>(std::clamp<long long>(left, 0, cap));
  }

 private:
  Clock::time_point at_;
};

/// Adds the time between construction and destruction to a total in seconds.
class Lap {
 public:
  explicit Lap(double& total) : total_(total), start_(Clock::now()) {}
  ~Lap() { total_ += seconds_since(start_); }
  Lap(const Lap&) = delete;
  Lap& operator=(const Lap&) = delete;

 private:
  double& total_;
  Clock::time_point start_;
};

/// Wall time as "2026-01-31T12:34:56.789Z", for logs and metrics only.
std::string utc_now();

}  // namespace dtrain
