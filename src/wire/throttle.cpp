#include "wire/throttle.hpp"

#include <algorithm>
#include <limits>

namespace dtrain::wire {

Throttle::Throttle(double bits_per_second, Seconds latency)
    : seconds_per_byte_(bits_per_second > 0 ? 8 / bits_per_second : 0),
      latency_(latency),
      promised_(-std::numeric_limits<double>::infinity()) {}

Seconds Throttle::pass(std::size_t bytes, Seconds earliest, Seconds now) {
  promised_ = std::max(promised_, std::min(earliest, now) - time_of(burst_bytes)) + time_of(bytes);
  return std::max(promised_, now) + latency_;
}

}  // namespace dtrain::wire
