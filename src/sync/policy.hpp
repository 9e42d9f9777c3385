#pragma once
/// A sync policy answers three questions (ALGORITHMS.md, section 1): when may a worker go on (gate), when is a
/// contribution folded in (fold), and what is exchanged and how is it applied (update).
///
/// Its server half (Policy: gate and fold) and its worker half (Rhythm: what is exchanged when) stand in one file; how
/// an owner applies a fold is sync/update.hpp. All pure: no sockets, no threads, no time but what an event says. The
/// same objects run under ZeroMQ, in virtual time and in tests with random schedules. No event allocates once its
/// vectors have grown; each costs amortised O(1), O(log N) or O(ranks folded or released).
///
/// clock: steps completed by a rank, counted from 0; a push of clock c is what step c gave. A rank pushes in the steps
/// that it was told are due, and in no others.
/// Sources: Valiant 1990 (bsp), Dean et al. 2012 (asp), Ho et al. 2013 (ssp), Dai et al. 2015 (eager), Chen et al. 2016
/// (quorum), Bernstein et al. 2018 (sign_vote), Lian et al. 2018 (gossip), Stich 2019 and Lin et al. 2020 (local),
/// Zhang, Choromanska and LeCun 2015 (easgd), Chen and Huo 2016 (bmuf), Zhao et al. 2019 and Wang and Joshi 2019
/// (adaptive).

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "job/job.hpp"

namespace dtrain::sync {

using Rank = int;
using Clock = std::uint64_t;

/// What all halves of a policy start from, alike in every role.
struct Setup {
  std::uint64_t seed = 1;
  Clock total_steps = 0;       ///< clocks of a rank in the whole run; the last step ends in an exchange. 0: no end
  Clock single_until = 0;      ///< local: exchanges in every step before this one
  std::vector<Clock> clocks;   ///< per rank: the step it does first
  std::vector<double> memory;  ///< Policy::memory() of the run that goes on here; empty at a start
  std::vector<Rank> absent;    ///< lost earlier
};

/// A complete push, as its server sees it.
struct Push {
  Rank rank = 0;
  Clock clock = 0;
  std::uint64_t rows = 0;  ///< 0: it has nothing to contribute to that step
  double loss = 0;         ///< mean over the rows since its last push; adaptive reads it
  double now = 0;          ///< seconds from any fixed time on, never falling; adaptive reads it
};

/// A rank may do step `clock`, and those after it up to and with `due`, in which it pushes next.
struct Release {
  Rank rank = 0;
  Clock clock = 0;
  Clock due = 0;
  bool operator==(const Release&) const = default;
};

/// A bound that a policy set while running.
struct Change {
  const char* what = "";  ///< "staleness" or "period"
  std::int64_t from = 0, to = 0;
  Clock clock = 0;
};

/// What an owner must do, in this order: one update from these pushes (none if empty), then let these ranks go on.
struct Actions {
  std::vector<Rank> fold;        ///< ascending; the pushes that these ranks owed
  std::vector<Release> release;  ///< ascending; with the weights as they now are
  std::vector<Rank> refresh;     ///< ascending; ranks on their way that get the weights too (eager)
  std::optional<Change> change;
  void clear() { fold.clear(), release.clear(), refresh.clear(), change.reset(); }
};

/// taken: it counts. late: its step is over without it (quorum). stray: not what the rank owes: a duplicate, a
/// leftover, a stranger's.
enum class Verdict { taken, late, stray };

/// The server half: gate and fold. One instance per owner of a slice, fed by its event loop only.
class Policy {
 public:
  virtual ~Policy() = default;

  /// All of a rank's push is here. Actions only if it was taken.
  virtual Verdict push(const Push& push, Actions& out) = 0;

  /// `rank` is lost or has left: it pushes no more, and what waited for it goes on without. If it had pushed for the
  /// step in flight, that push stays in when `keep_pending`, and is forgotten otherwise. No effect on an absent rank.
  virtual void lose(Rank rank, bool keep_pending, Actions& out) = 0;

  /// `rank`, which was absent, takes part again: released at once, or, under policies with steps in common, with the
  /// others when the step in flight is over. It starts at the clock of its release.
  void join(Rank rank, Actions& out) { join_from(rank, 0, out); }

  /// The same where several owners go on independently, each with clocks of its own: it starts at `least` at the
  /// earliest, so that it starts alike everywhere when that is the greatest of their entry()s.
  virtual void join_from(Rank rank, Clock least, Actions& out) = 0;

  /// Where `rank`, which is absent, would start if it joined now, under policies without steps in common.
  virtual Clock entry(Rank rank) const { return released(rank).clock; }

  /// Forgets the last update: the step before the one in flight is in flight again, with all that was pushed for it
  /// but by `lost`. A rank lost earlier stays in if its push was. Only where takes_back(); others throw
  /// std::logic_error.
  virtual void undo(Rank lost, Actions& out) = 0;

  /// What the rank was last released into. Lost ranks keep theirs.
  virtual Release released(Rank rank) const = 0;

  /// What a successor needs beside the clocks to go on alike; empty for most.
  virtual std::vector<double> memory() const { return {}; }
};

/// What a worker does in one step.
struct Turn {
  enum class Exchange {
    none,
    gradient,        ///< the step's gradient, layer by layer as it becomes final; waits for its release
    weights_before,  ///< its weights from before the step, which it pulls towards what comes back (easgd, gossip)
    weights_after    ///< its weights after the step, in the place of which it takes what comes back
  };
  bool computes = true;  ///< false: it only waits until it is released into the next step
  Exchange exchange = Exchange::gradient;
};

/// The worker half: what is exchanged when.
class Rhythm {
 public:
  virtual ~Rhythm() = default;
  /// `due`: of the newest release.
  virtual Turn turn(Clock clock, Clock due) const = 0;
  /// From now on these ranks take part, ascending.
  virtual void set_active(const std::vector<Rank>& /*active*/) {}
};

/// What is the same for a policy whatever its numbers.
struct Traits {
  bool gated = false;     ///< steps (or blocks) in common: all owners take the same updates in the same order
  bool weights = false;   ///< workers step by themselves and exchange weights; otherwise gradients, and owners step
  bool decided = false;   ///< several owners must agree before each update, since no one of them may take it back
  bool abandons = false;  ///< a step may end without a worker's push, whose rows are then queued again
  bool folds_some =
      false;           ///< a step applies the rows of some workers, so that the run's clocks are more than its steps
  bool votes = false;  ///< of gradients only the signs are sent, and each rank has one vote whatever its rows
};
Traits traits(const job::Sync& sync);

/// `bsp`, `ssp:3`, `local:10`, ... as --compare takes them and summaries show them.
std::string spec(const job::Sync& sync);

/// The ranks whose step `clock` is folded under subset: the first `size` of a permutation drawn for that step that are
/// active. Ascending.
std::vector<Rank> subset_of(std::uint64_t seed, Clock clock, std::int64_t size, const std::vector<Rank>& active,
                            std::size_t ranks);

/// The exhaustive visits from a job's policy to its behaviour. `sync` is resolved: nothing is `auto`.
std::unique_ptr<Policy> make_policy(const job::Sync& sync, const Setup& setup);
std::unique_ptr<Rhythm> make_rhythm(const job::Sync& sync, const Setup& setup, Rank rank);

}  // namespace dtrain::sync
