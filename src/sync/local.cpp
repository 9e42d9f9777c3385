/// Local SGD (Stich 2019; post-local: Lin et al. 2020) and block momentum (bmuf: Chen and Huo 2016).
///
/// gate: a rank does the steps of its block freely; the next block starts when this one is folded.  fold: when all have
/// pushed their weights at the end of the block, in rank order.  update: local: the row-weighted average; bmuf: a
/// filtered step towards it (sync/update.hpp).

#include <algorithm>

#include "sync/blocks.hpp"
#include "sync/policies.hpp"

namespace dtrain::sync {

Blocks::Blocks(const Setup& setup, Clock period) : Rounds(setup), period_(period), single_until_(setup.single_until) {
  const Clock clock = farthest();
  open(clock < single_until_ ? clock : clock - (clock - single_until_) % period_);
}

Blocks::Blocks(const Setup& setup, Clock period, Begin begin)
    : Rounds(setup), period_(period), single_until_(setup.single_until) {
  const Clock clock = farthest();
  open(begin.clock <= clock && clock <= due_of(begin.clock) ? begin.clock : clock);
}

Clock Blocks::due_of(Clock first) const {
  if (first < single_until_ || first >= end()) return first;
  return std::min(first + period_ - 1, end() - 1);
}

namespace {

class LocalRhythm final : public Rhythm {
 public:
  Turn turn(Clock clock, Clock due) const override {
    return {true, clock == due ? Turn::Exchange::weights_after : Turn::Exchange::none};
  }
};

}  // namespace

std::unique_ptr<Policy> make_local(const job::Sync& sync, const Setup& setup) {
  return std::make_unique<Blocks>(setup, static_cast<Clock>(sync.period));
}

std::unique_ptr<Rhythm> make_local_rhythm() { return std::make_unique<LocalRhythm>(); }

}  // namespace dtrain::sync
