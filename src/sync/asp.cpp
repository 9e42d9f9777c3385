/// Asynchronous (Dean et al. 2012, Downpour).
///
/// gate: always open, but a rank reads its own: its next weights contain its push.  fold: each push by itself, at once.
/// update: one optimizer step on that push's gradient.

#include <stdexcept>

#include "sync/policies.hpp"

namespace dtrain::sync {
namespace {

class Asp final : public Policy {
 public:
  explicit Asp(const std::vector<Clock>& clocks) : next_(clocks), active_(clocks.size(), true) {}

  bool push(Rank rank, Clock clock, std::uint64_t rows, Actions& out) override {
    out.clear();
    const auto r = static_cast<std::size_t>(rank);
    if (!active_.at(r) || clock != next_[r]) return false;
    ++next_[r];
    if (rows > 0) out.fold.push_back(rank);
    out.release.push_back(rank);
    return true;
  }

  void lose(Rank rank, bool /*keep_pending*/, Actions& out) override {
    out.clear();
    active_.at(static_cast<std::size_t>(rank)) = false;
  }

  void undo(Rank /*lost*/, Actions& /*out*/) override {
    throw std::logic_error("asp applies slices independently; nothing is ever undone");
  }

  Clock next(Rank rank) const override { return next_.at(static_cast<std::size_t>(rank)); }

 private:
  std::vector<Clock> next_;
  std::vector<bool> active_;
};

}  // namespace

std::unique_ptr<Policy> make_asp(const std::vector<Clock>& clocks) { return std::make_unique<Asp>(clocks); }

}  // namespace dtrain::sync
