#pragma once
/// One direction of a link that is slow on purpose: a token bucket, and the time that a message is under way.
///
/// Pure: time is an argument, in seconds since any moment, the same for all calls. The bucket is the virtual scheduling
/// form of the generic cell rate algorithm (ITU-T I.371): what it keeps is the time at which the tokens that have been
/// promised will have come.

#include <cstddef>

#include "base/time.hpp"

namespace dtrain::wire {

class Throttle {
 public:
  /// What may pass at once after a silence.
  static constexpr std::size_t burst_bytes = std::size_t{64} << 10;

  /// `bits_per_second` 0: no limit.
  Throttle(double bits_per_second, Seconds latency);

  /// When the last byte of a message has passed, `latency` included: not before `now`, when it is offered, nor before
  /// the messages that were offered earlier. Of all bytes that begin and end to pass in some stretch of time t there
  /// are never more than burst_bytes + rate * t.
  Seconds pass(std::size_t bytes, Seconds now) { return pass(bytes, now, now); }

  /// The same for a message that is there at `now`, and whose first byte may have come to the link at `earliest`
  /// already: what it had to wait for it may have waited for meanwhile.
  Seconds pass(std::size_t bytes, Seconds earliest, Seconds now);

  /// How long so many bytes take without a burst.
  Seconds time_of(std::size_t bytes) const { return seconds_per_byte_ * static_cast<double>(bytes); }

 private:
  Seconds seconds_per_byte_;
  Seconds latency_;
  Seconds promised_;  ///< until when all tokens are given away
};

}  // namespace dtrain::wire
