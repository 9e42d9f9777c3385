/// Subset of k drawn for each step.
///
/// gate: a rank starts step t+1 when step t is folded.  fold: the k ranks that are drawn for step t from those active
/// when it begins, the same everywhere, in rank order; the others compute nothing in that step.  update: one optimizer
/// step on their row-weighted mean gradient; every worker gets the result.

#include <algorithm>

#include "base/random.hpp"
#include "sync/policies.hpp"
#include "sync/rounds.hpp"

namespace dtrain::sync {
namespace {

/// The draw with memory of its own, so that a step allocates nothing.
class Lots {
 public:
  Lots(const job::Sync& sync, const Setup& setup)
      : Lots(setup.seed, static_cast<std::size_t>(sync.size.value()), setup.clocks.size()) {}
  Lots(std::uint64_t seed, std::size_t size, std::size_t ranks)
      : seed_(seed), size_(size), ranks_(ranks), drawn_(ranks, false) {}

  /// `active`: whether a rank may be drawn.
  template <class Active>
  void draw(Clock clock, Active active) {
    permutation(seed_ + (clock >> 32), Purpose::subset, static_cast<std::uint32_t>(clock), static_cast<Index>(ranks_),
                order_);
    std::fill(drawn_.begin(), drawn_.end(), false);
    std::size_t left = size_;
    for (auto rank = order_.begin(); rank != order_.end() && left > 0; ++rank)
      if (active(*rank)) drawn_[*rank] = true, --left;
  }
  bool drawn(Rank rank) const { return drawn_.at(static_cast<std::size_t>(rank)); }

 private:
  std::uint64_t seed_;
  std::size_t size_, ranks_;
  std::vector<std::uint32_t> order_;
  std::vector<bool> drawn_;
};

class Subset final : public Rounds {
 public:
  Subset(const job::Sync& sync, const Setup& setup) : Rounds(setup), lots_(sync, setup) { open(farthest()); }
  void undo(Rank lost, Actions& out) override { take_back(lost, out); }

 private:
  bool owes(Rank rank) const override { return lots_.drawn(rank); }
  void begun() override {
    lots_.draw(due(), [this](std::size_t rank) { return seats()[rank].state == State::active; });
  }
  Lots lots_;
};

class SubsetRhythm final : public Rhythm {
 public:
  SubsetRhythm(const job::Sync& sync, const Setup& setup, Rank rank)
      : lots_(sync, setup), rank_(rank), active_(setup.clocks.size(), true) {
    for (const Rank absent : setup.absent) active_.at(static_cast<std::size_t>(absent)) = false;
  }

  Turn turn(Clock clock, Clock /*due*/) const override {
    lots_.draw(clock, [this](std::size_t rank) { return active_[rank]; });
    if (lots_.drawn(rank_)) return {true, Turn::Exchange::gradient};
    return {false, Turn::Exchange::none};
  }

  void set_active(const std::vector<Rank>& active) override {
    std::fill(active_.begin(), active_.end(), false);
    for (const Rank rank : active) active_.at(static_cast<std::size_t>(rank)) = true;
  }

 private:
  mutable Lots lots_;  ///< scratch: a draw depends on nothing drawn before
  Rank rank_;
  std::vector<bool> active_;
};

}  // namespace

std::vector<Rank> subset_of(std::uint64_t seed, Clock clock, std::int64_t size, const std::vector<Rank>& active,
                            std::size_t ranks) {
  std::vector<bool> present(ranks, false);
  for (const Rank rank : active) present.at(static_cast<std::size_t>(rank)) = true;
  Lots lots(seed, static_cast<std::size_t>(size), ranks);
  lots.draw(clock, [&](std::size_t rank) { return present[rank]; });
  std::vector<Rank> drawn;
  for (Rank rank = 0; rank < static_cast<Rank>(ranks); ++rank)
    if (lots.drawn(rank)) drawn.push_back(rank);
  return drawn;
}

std::unique_ptr<Policy> make_subset(const job::Sync& sync, const Setup& setup) {
  return std::make_unique<Subset>(sync, setup);
}

std::unique_ptr<Rhythm> make_subset_rhythm(const job::Sync& sync, const Setup& setup, Rank rank) {
  return std::make_unique<SubsetRhythm>(sync, setup, rank);
}

}  // namespace dtrain::sync
