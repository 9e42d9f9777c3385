/// Bulk-synchronous (Valiant 1990).
///
/// gate: a rank starts step t+1 when step t is folded.  fold: when every rank of the run has pushed for step t, in rank
/// order.  update: one optimizer step on the row-weighted mean gradient.
/// Identities are counted, not messages: a slot a rank, filled at most once a step.

#include <algorithm>

#include "sync/policies.hpp"

namespace dtrain::sync {
namespace {

class Bsp final : public Policy {
 public:
  explicit Bsp(const std::vector<Clock>& clocks)
      : slots_(clocks.size()), missing_(static_cast<int>(clocks.size())), step_(clocks.front()) {}

  bool push(Rank rank, Clock clock, std::uint64_t rows, Actions& out) override {
    out.clear();
    Slot& slot = slots_.at(static_cast<std::size_t>(rank));
    if (!slot.active || slot.pushed || clock != step_) return false;
    slot.pushed = true;
    slot.rows = rows;
    --missing_;
    finish_if_complete(out);
    return true;
  }

  void lose(Rank rank, bool keep_pending, Actions& out) override {
    out.clear();
    Slot& slot = slots_.at(static_cast<std::size_t>(rank));
    if (!slot.active) return;
    slot.active = false;
    if (!slot.pushed) --missing_;
    if (!keep_pending) slot.pushed = false;
    finish_if_complete(out);
  }

  void undo(Rank lost, Actions& out) override {
    out.clear();
    --step_;
    missing_ = 0;
    for (Slot& slot : slots_) {
      slot.pushed = slot.last_pushed;
      slot.rows = slot.last_rows;
    }
    Slot& gone = slots_.at(static_cast<std::size_t>(lost));
    gone.active = gone.pushed = false;
    finish_if_complete(out);
  }

  Clock next(Rank rank) const override { return step_ + (slots_.at(static_cast<std::size_t>(rank)).pushed ? 1 : 0); }

 private:
  struct Slot {
    bool active = true;
    bool pushed = false;
    std::uint64_t rows = 0;
    bool last_pushed = false;  ///< in the step before, for undo: also by a rank lost since whose push was kept
    std::uint64_t last_rows = 0;
  };

  void finish_if_complete(Actions& out) {
    const bool anyone = std::any_of(slots_.begin(), slots_.end(), [](const Slot& s) { return s.active; });
    if (missing_ > 0 || !anyone) return;
    for (std::size_t rank = 0; rank < slots_.size(); ++rank) {
      Slot& slot = slots_[rank];
      if (slot.pushed && slot.rows > 0) out.fold.push_back(static_cast<Rank>(rank));
      if (slot.active) out.release.push_back(static_cast<Rank>(rank)), ++missing_;
      slot.last_pushed = slot.pushed;
      slot.last_rows = slot.rows;
      slot.pushed = false;
    }
    ++step_;
  }

  std::vector<Slot> slots_;
  int missing_;  ///< active ranks that have not pushed for step_
  Clock step_;   ///< in flight
};

}  // namespace

std::unique_ptr<Policy> make_bsp(const std::vector<Clock>& clocks) { return std::make_unique<Bsp>(clocks); }

}  // namespace dtrain::sync
