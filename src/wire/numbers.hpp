#pragma once
/// Which messages of a connection were sent and which came: what a duplicate and a loss are found by.
///
/// A sender numbers what it sends to each other end 1, 2, 3, ...; ZeroMQ keeps the order of a connection. A number that
/// was here before is a duplicate; one that comes too late for the one after the last means that what lies between was
/// lost. A sender of another incarnation begins anew. Whoever falls silent says how many there were, once: without
/// that, nobody would miss the last. Pure: time is an argument. One thread.

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/time.hpp"

namespace dtrain::wire {

class Numbers {
 public:
  /// How long a sender is silent before it says how many messages there were.
  static constexpr Seconds silence{1};

  struct Arrival {
    bool duplicate = false;
    std::uint64_t missing = 0;  ///< that were sent before it and have not come
  };

  /// The number of the last message to `peer`, for the sender to count on.
  std::uint64_t& sent_to(const std::string& peer) { return lines_[peer].sent; }

  /// A message has come. What is missing is told of once.
  Arrival arrived(const std::string& peer, std::uint64_t incarnation, std::uint64_t number);
  /// Its sender says that it was silent since message `number`: how many have not come.
  std::uint64_t arrived_all(const std::string& peer, std::uint64_t incarnation, std::uint64_t number);

  /// To whom it should now be said how many messages there were, and how many. Call it several times a second.
  struct Tail {
    std::string peer;
    std::uint64_t sent;
  };
  std::vector<Tail> silent(Clock::time_point now);

 private:
  struct Line {
    std::uint64_t incarnation = 0;  ///< of the other end
    std::uint64_t sent = 0, received = 0;
    std::uint64_t told = 0, seen = 0;  ///< of `sent`: what the other end was told, and what it was at the last look
    Clock::time_point since;           ///< when it was last seen to grow
  };
  Line& line_of(const std::string& peer, std::uint64_t incarnation);

  std::unordered_map<std::string, Line> lines_;
};

}  // namespace dtrain::wire
