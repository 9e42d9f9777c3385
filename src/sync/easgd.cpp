/// Elastic averaging with period tau (Zhang, Choromanska and LeCun 2015).
///
/// gate: never waits for others.  fold: each push by itself, at once; one is due in the last of every tau steps,
/// and in the last of all.
/// update: worker and centre pull at each other, the worker with its weights from before that step
/// (sync/update.hpp).

#include "sync/one_by_one.hpp"
#include "sync/policies.hpp"

namespace dtrain::sync {
namespace {

class EasgdRhythm final : public Rhythm {
 public:
  Turn turn(Clock clock, Clock due) const override {
    return {true, clock == due ? Turn::Exchange::weights_before : Turn::Exchange::none};
  }
};

}  // namespace

std::unique_ptr<Policy> make_easgd(const job::Sync& sync, const Setup& setup) {
  return std::make_unique<OneByOne>(setup, OneByOne::Terms{.period = static_cast<Clock>(sync.period)});
}

std::unique_ptr<Rhythm> make_easgd_rhythm() { return std::make_unique<EasgdRhythm>(); }

}  // namespace dtrain::sync
