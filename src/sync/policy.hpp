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

/// What a server must do, in this order: one update from these pushes (none if empty), then let these ranks go on.
struct Actions {
  std::vector<Rank> fold;     ///< ascending; their pushes of their current clocks
  std::vector<Rank> release;  ///< ascending; each may start its next step with the weights as they now are
  void clear() { fold.clear(), release.clear(); }
};

class Policy {
 public:
  virtual ~Policy() = default;

  /// All of `rank`'s push for `clock` is here; `rows` = 0: it contributes nothing to that step.
  /// False, and no action, if that is not what the rank has to push next: a duplicate, a leftover, a stranger.
  virtual bool push(Rank rank, Clock clock, std::uint64_t rows, Actions& out) = 0;

  /// `rank` is lost: it pushes no more, and what waited for it goes on without. If it had pushed for the step in
  /// flight, that push stays in when `keep_pending`, and is forgotten otherwise.
  virtual void lose(Rank rank, bool keep_pending, Actions& out) = 0;

  /// Forgets the last update: the step before the one in flight is in flight again, with all that was pushed for it
  /// but by `lost`. A rank lost earlier stays in if its push was. Only policies whose servers must agree on each step
  /// have this; others throw std::logic_error.
  virtual void undo(Rank lost, Actions& out) = 0;

  /// The clock that `rank` has to push next.
  virtual Clock next(Rank rank) const = 0;
};

/// The one exhaustive visit from a job's policy to its behaviour. `clocks`: what each rank has to push first.
std::unique_ptr<Policy> make_policy(const job::Sync& sync, const std::vector<Clock>& clocks);

}  // namespace dtrain::sync
