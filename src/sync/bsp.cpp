/// Bulk-synchronous (Valiant 1990).
///
/// gate: a rank starts step t+1 when step t is folded.  fold: when every rank of the run has pushed for step t, in rank
/// order.  update: one optimizer step on the row-weighted mean gradient.

#include "sync/policies.hpp"
#include "sync/rounds.hpp"

namespace dtrain::sync {
namespace {

class Bsp final : public Rounds {
 public:
  explicit Bsp(const Setup& setup) : Rounds(setup) { open(farthest()); }
  void undo(Rank lost, Actions& out) override { take_back(lost, out); }
};

}  // namespace

std::unique_ptr<Policy> make_bsp(const Setup& setup) { return std::make_unique<Bsp>(setup); }

}  // namespace dtrain::sync
