#pragma once
/// What messages carry where gradients are real. Without it only the timing is simulated.

#include <cstdint>
#include <span>
#include <vector>

#include "sync/ledger.hpp"
#include "sync/policy.hpp"

namespace dtrain::sim {

using sync::Clock;
using sync::Rank;

/// Called by the engine, in the order in which things happen in virtual time. One thread.
class Freight {
 public:
  virtual ~Freight() = default;

  /// The rank begins anew, with the weights that it is sent next.
  virtual void come(Rank rank) = 0;
  /// The rank begins a step with the weights that it was sent: makes what it will push.
  virtual void compute(Rank rank, Clock clock, const sync::Turn& turn) = 0;
  /// Of the rank's newest push: rows, 0 if it has nothing to contribute, and mean loss.
  virtual std::uint64_t rows(Rank rank) const = 0;
  virtual double loss(Rank rank) const = 0;

  struct Update {
    int server = 0;
    std::span<const Rank> ranks;  ///< whose pushes are folded; empty: a step that nobody had rows for
    Clock clock = 0;              ///< of the step or, of a block, its last
    double now = 0;
    const sync::Ledger& ledger;  ///< as before the update
  };
  virtual void apply(const Update& update) = 0;
  virtual void undo(int server) = 0;

  /// A slice of weights leaves for the rank, which uses it in the next step that it begins. `folded`: the server has
  /// just made an update of what the rank pushed.
  virtual void send(int server, Rank rank, bool folded) = 0;
  /// Of the steps after `step`, or where ranks go on alone of all that begin from now on, these ranks share the rows.
  virtual void set_active(const std::vector<Rank>& active, Clock step) = 0;
  /// Whether a rank that is released into this step has done its work.
  virtual bool finished(Clock clock) const = 0;
};

}  // namespace dtrain::sim
