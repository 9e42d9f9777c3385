#pragma once
/// When a contribution is folded in, and who may go on: the gate and the fold of ALGORITHMS.md, section 1.
///
/// Pure: no sockets, no threads, no time. One instance per server, fed by its event loop only. The same object runs
/// under ZeroMQ and in tests with random schedules. No event allocates; each costs amortised O(1) or O(ranks folded).
/// clock: steps completed by a rank, counted from 0; a push of clock c is the gradient of step c.
/// Sources: Valiant 1990 (bsp), Dean et al. 2012 (asp).

#include <cstdint>
#include <memory>
#include <vector>

#include "job/job.hpp"

namespace dtrain::sync {

using Rank = int;
using Clock = std::uint64_t;

/// What a server must do, in this order. Cleared and filled by each event.
struct Actions {
  std::vector<Rank> fold;     ///< ranks whose pushes of `fold_clock` make one update, ascending; empty: no update
  Clock fold_clock = 0;       ///< bsp: the step; asp: the pusher's clock
  std::vector<Rank> release;  ///< ranks that get the weights and may start their next step
  void clear() { fold.clear(), release.clear(); }
};

class Policy {
 public:
  virtual ~Policy() = default;
  /// A rank takes part from `clock` on (its next push), also to begin with. It is released at once or when the gate
  /// opens.
  virtual void join(Rank rank, Clock clock, Actions& out) = 0;
  /// All of a rank's push for `clock` is here; `rows` = 0: it has nothing to contribute to that step.
  /// Anything but the rank's next clock is ignored (false): a duplicate or a leftover.
  virtual bool push(Rank rank, Clock clock, std::uint64_t rows, Actions& out) = 0;
  /// A rank takes no further part, from the step in flight on: what waited for it goes on without.
  virtual void leave(Rank rank, Actions& out) = 0;
};

/// The one exhaustive visit from a job's policy to its behaviour.
std::unique_ptr<Policy> make_policy(const job::Sync& sync, int ranks);

}  // namespace dtrain::sync
