#pragma once
/// Rounds of `period` steps: the gate and the fold of local, bmuf and adaptive periods.
///
/// Every step before `single_until` is a block of its own; the last block ends with the run.

#include "sync/rounds.hpp"

namespace dtrain::sync {

class Blocks : public Rounds {
 public:
  /// Blocks of `period`, counted from `single_until`. 1 or more.
  Blocks(const Setup& setup, Clock period);

 protected:
  struct Begin {
    Clock clock;
  };
  /// The block in flight began there, unless it is over: then one begins where the ranks are.
  Blocks(const Setup& setup, Clock period, Begin begin);

  Clock due_of(Clock first) const override;
  Clock period() const { return period_; }
  /// From the next block on.
  void set_period(Clock period) { period_ = period; }

 private:
  Clock period_, single_until_;
};

}  // namespace dtrain::sync
