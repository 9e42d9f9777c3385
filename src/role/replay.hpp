#pragma once
/// Repeats a recorded run: what a server does with pushes and pulls takes place in the order of the recording, whatever
/// order they come in (ALGORITHMS.md, section 7). One thread, the server's.
///
/// Where steps are in common only the pushes' order can matter, and only to the server that decides for all. Where each
/// push is by itself, the recording says of every server when a rank pulled, and where owners step also when a push was
/// applied (it may have waited for other servers' sums of squares) and when a rank was let go: so the gate is the
/// recording's, and a bound that followed from the time need not follow again.

#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "sync/trace.hpp"

namespace dtrain::role {

class Replay {
 public:
  /// Nothing is in a prescribed order.
  Replay() = default;
  /// One server's order of events.
  Replay(const sync::Traits& traits, const std::vector<sync::Event>& events, int server);

  /// What must happen next; nullopt: the recording is over, and everything may.
  std::optional<sync::Event> next() const { return order_.empty() ? std::nullopt : std::optional(order_.front()); }
  void done() { order_.pop_front(), over_ = order_.empty(); }
  bool over() const { return over_; }
  /// Whether an update with this rank's push may be made now.
  bool allows_apply(sync::Rank rank) const;

  /// Whether updates and releases wait until they are next().
  bool gates() const { return gates_ && !order_.empty(); }
  void hold(const std::vector<sync::Release>& releases);
  /// The rank's, if it is held.
  std::optional<sync::Release> let_go(sync::Rank rank);

 private:
  bool gates_ = false;
  bool over_ = false;  ///< there was a recording, and it is over
  std::deque<sync::Event> order_;
  std::map<sync::Rank, sync::Release> held_;
};

}  // namespace dtrain::role
