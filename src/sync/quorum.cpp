/// Quorum of k, "backup workers" (Chen et al. 2016).
///
/// gate: a rank starts step t+1 when the quorum of step t is in, whether it has finished its own step t or not.
/// fold: the first k distinct ranks that have rows, or all who have if they are fewer, in rank order; what comes later
/// for that step is late and changes nothing.  update: one optimizer step on the row-weighted mean gradient of the k.

#include "sync/policies.hpp"
#include "sync/rounds.hpp"

namespace dtrain::sync {
namespace {

class Quorum final : public Rounds {
 public:
  Quorum(const Setup& setup, std::size_t quorum) : Rounds(setup), quorum_(quorum) { open(farthest()); }

 private:
  bool enough() const override { return filled() >= quorum_ || awaited() == 0; }
  Verdict refusal(const Push& push) const override { return push.clock < due() ? Verdict::late : Verdict::stray; }
  std::size_t quorum_;
};

}  // namespace

std::unique_ptr<Policy> make_quorum(const job::Sync& sync, const Setup& setup) {
  return std::make_unique<Quorum>(setup, static_cast<std::size_t>(sync.quorum.value()));
}

}  // namespace dtrain::sync
