/// Stale-synchronous with bound s (Ho et al. 2013); eager: Dai et al. 2015.
///
/// gate: a rank starts its step c when c - min <= s, min being the least clock of all.  fold: each push by itself, at
/// once.  update: one optimizer step on that push's gradient; eager: ranks on their way get fresh weights too, whenever
/// the minimum moves.

#include "sync/one_by_one.hpp"
#include "sync/policies.hpp"

namespace dtrain::sync {

std::unique_ptr<Policy> make_ssp(const job::Sync& sync, const Setup& setup) {
  const OneByOne::Terms terms{.bound = static_cast<Clock>(sync.staleness), .eager = sync.eager};
  return std::make_unique<OneByOne>(setup, terms);
}

}  // namespace dtrain::sync
