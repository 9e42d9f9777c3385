/// bsp, sign_vote, quorum, subset, local, bmuf, and adaptive by period: steps or blocks in common. The pushes of a
/// block's last step make one update, and then all go on.

#include <algorithm>

#include <fmt/format.h>

#include "base/random.hpp"
#include "sync/promise.hpp"

namespace dtrain::sync {
namespace {

/// Which step ends a block.
struct Period {
  Clock least = 1, most = 1;  ///< steps of a block
  Clock single_until = 0;     ///< every step before it is a block by itself
};

Period period_of(const TraceHead& head, const job::Sync& sync) {
  const auto steps = [](std::int64_t n) { return static_cast<Clock>(std::max<std::int64_t>(n, 1)); };
  switch (sync.policy) {
    case job::PolicyName::local:
    case job::PolicyName::bmuf: return {steps(sync.period), steps(sync.period), head.single_until};
    case job::PolicyName::adaptive: return {steps(sync.low), steps(sync.high), head.single_until};
    default: return {};
  }
}

class GatedWitness final : public Witness {
 public:
  GatedWitness(const TraceHead& head, const job::Sync& sync, std::uint64_t seed)
      : total_(end_of(head)), seed_(seed), period_(period_of(head, sync)), parts_(head.clocks.size()) {
    const std::size_t workers = parts_.size();
    if (sync.policy == job::PolicyName::quorum)
      quorum_ =
          static_cast<std::size_t>(sync.quorum.value_or(workers > 1 ? static_cast<std::int64_t>(workers) - 1 : 1));
    if (sync.policy == job::PolicyName::subset)
      drawn_ = static_cast<std::size_t>(sync.size.value_or(workers > 1 ? static_cast<std::int64_t>(workers) / 2 : 1));
    takes_back_ = sync.policy == job::PolicyName::bsp || sync.policy == job::PolicyName::sign_vote ||
                  sync.policy == job::PolicyName::subset;
    for (std::size_t r = 0; r < workers; ++r) parts_[r].clock = head.clocks[r];
    agrees_ = head.servers > 1 && !takes_back_;
    for (const Rank rank : head.absent) at(rank).is = Part::Is::lost, at(rank).released = false;
    Clock first = farthest(head);
    least_steps_ = sync.policy == job::PolicyName::adaptive ? 1 : period_.least;
    // A run that goes on may do so within a block; where an adaptive one began, a trace does not tell.
    if (first >= period_.single_until && sync.policy != job::PolicyName::adaptive)
      first -= (first - period_.single_until) % period_.most;
    begin(first);
  }

 private:
  struct Part {
    enum class Is { active, joining, lost } is = Is::active;
    bool released = true;                 ///< into the block in flight
    Clock clock = 0;                      ///< of that release
    bool drawn = true;                    ///< it owes a push
    std::optional<std::uint64_t> pushed;  ///< rows of its push; perhaps forgotten since, if the rank was lost
    bool stays = false;                   ///< lost or not, that push counts
    bool folded = false;
  };
  struct Step {
    Clock first = 0;
    std::optional<Clock> due;
    std::vector<std::optional<std::uint64_t>> pushed;  ///< of the pushes that counted
    bool updated = false;
  };

  Part& at(Rank rank) { return parts_[static_cast<std::size_t>(rank)]; }
  const Part& at(Rank rank) const { return parts_[static_cast<std::size_t>(rank)]; }
  bool anyone(Part::Is is) const {
    return std::any_of(parts_.begin(), parts_.end(), [is](const Part& part) { return part.is == is; });
  }

  /// The farthest clock of those who take part.
  Clock farthest(const TraceHead& head) const {
    Clock clock = 0;
    for (std::size_t r = 0; r < parts_.size(); ++r)
      if (parts_[r].is == Part::Is::active || !anyone(Part::Is::active)) clock = std::max(clock, head.clocks[r]);
    return clock;
  }

  bool is_active(Rank rank) const override { return at(rank).is != Part::Is::lost; }

  bool owes(Rank rank, Clock clock) const override { return due_ && is_active(rank) && may_owe(rank, clock); }
  bool may_owe(Rank rank, Clock clock) const override {
    const Part& part = at(rank);
    // Where servers agree first, a push is told when that is done, and its rank may have been lost meanwhile.
    const bool counted = part.is == Part::Is::active || (agrees_ && part.is == Part::Is::lost);
    if (!counted || !part.released || !part.drawn || part.pushed || clock >= total_) return false;
    if (due_) return clock == *due_;
    const Clock steps = clock - first_ + 1;
    return clock >= first_ && steps <= period_.most && (steps >= least_steps_ || clock + 1 == total_);
  }

  bool is_at(Rank rank, Clock clock) const override {
    const Part& part = at(rank);
    return part.is == Part::Is::active && part.released && !part.pushed && clock == part.clock;
  }

  void push(const Event& event) override {
    at(event.rank).pushed = event.rows;
    due_ = event.clock;
  }

  Why apply(const Event& event) override {
    if (Why why = opening_ ? Why() : too_early(); !why.empty()) return "an update is made, though " + why;
    opening_ = true;
    Part& part = at(event.rank);
    if (part.folded) return fmt::format("rank {}'s push of step {} is in this update already", event.rank, event.clock);
    if (!part.pushed || event.clock != due_)
      return fmt::format(
          "rank {}'s push of step {} is applied, but no such push waits to be: it never came, or it is "
          "in an update already",
          event.rank, event.clock);
    if (*part.pushed == 0)
      return fmt::format("rank {}'s push of step {} is applied, but it has no rows", event.rank, event.clock);
    part.folded = true;
    return {};
  }

  Why close(const Fold& fold) override {
    opening_ = false;
    for (Rank rank = 0; rank < static_cast<Rank>(parts_.size()); ++rank)
      if (const Part& part = at(rank); counts(part) && *part.pushed > 0 && !part.folded)
        return fmt::format("the update of step {} lacks rank {}'s push, which was taken", fold.clock, rank);
    if (quorum_ > 0 && fold.ranks.size() > quorum_)
      return fmt::format("the update of step {} holds {} pushes, where the quorum is {}", fold.clock, fold.ranks.size(),
                         quorum_);
    if (quorum_ > 0 && fold.ranks.size() < quorum_ && !complete_ && first_awaited() >= 0)
      return fmt::format("the update of step {} holds {} pushes, where the quorum is {} and rank {} has not pushed",
                         fold.clock, fold.ranks.size(), quorum_, first_awaited());
    end_step(true);
    return {};
  }

  Why release(const Event& event) override {
    Part& part = at(event.rank);
    if (part.is == Part::Is::joining || part.released || (part.pushed && event.clock != first_)) {
      if (Why why = too_early(); !why.empty())
        return fmt::format("rank {} is released into step {}, though {}", event.rank, event.clock, why);
      const Rank unfolded = first_unfolded();
      if (unfolded >= 0)
        return fmt::format("rank {} is released into step {} before rank {}'s push was applied", event.rank,
                           event.clock, unfolded);
      end_step(false);
    }
    if (event.clock != first_)
      return fmt::format("rank {} is released into step {}, but step {} is next", event.rank, event.clock, first_);
    part.released = true;
    part.clock = event.clock;
    part.pushed.reset();
    return {};
  }

  void lose(Rank rank) override {
    at(rank).is = Part::Is::lost;
    admitted_.clear();
    admit();
  }

  void join(const Event& event) override {
    at(event.rank).is = Part::Is::joining;
    admitted_.clear();
    admit();
  }

  Why undo(Rank lost, bool& updated) override {
    if (!takes_back_) return "an update is taken back, which this policy never does";
    if (!last_) return "an update is taken back, but there is none before it that could be";
    for (const Rank rank : admitted_) at(rank).is = Part::Is::joining;
    updated = last_->updated;
    first_ = last_->first;
    due_ = last_->due;
    for (std::size_t r = 0; r < parts_.size(); ++r) {
      Part& part = parts_[r];
      part.pushed = last_->pushed[r];
      part.stays = part.pushed.has_value();
      part.released = true;
    }
    at(lost).pushed.reset();
    last_.reset();
    complete_ = anyone(Part::Is::active);
    admit();
    return {};
  }

  Why missing() const override {
    if (const Rank parked = first_parked(); parked >= 0)
      return fmt::format("rank {} may do step {}, and is never released into it", parked, first_);
    if (!anyone(Part::Is::active) || first_ >= total_ || !surely_enough()) return {};
    return fmt::format("all that step {} waits for was pushed, but it is never taken", due_.value_or(first_));
  }

  /// Whether a push that came is certain to be in the update.
  static bool counts(const Part& part) { return part.pushed && (part.is == Part::Is::active || part.stays); }
  bool is_awaited(const Part& part) const {
    return part.is == Part::Is::active && part.drawn && !part.pushed && (part.released || !agrees_);
  }

  /// The first rank that satisfies it, or -1.
  template <class Which>
  Rank first_rank(Which which) const {
    const auto found = std::find_if(parts_.begin(), parts_.end(), which);
    return found == parts_.end() ? -1 : static_cast<Rank>(found - parts_.begin());
  }
  Rank first_awaited() const {
    return first_rank([this](const Part& part) { return is_awaited(part); });
  }
  Rank first_parked() const {
    return first_rank([](const Part& part) { return part.is == Part::Is::active && !part.released && !part.pushed; });
  }
  Rank first_unfolded() const {
    return first_rank([](const Part& part) { return counts(part) && *part.pushed > 0; });
  }

  bool surely_enough() const {
    if (complete_ || first_awaited() < 0) return true;
    const auto filled =
        std::count_if(parts_.begin(), parts_.end(), [](const Part& part) { return counts(part) && *part.pushed > 0; });
    return quorum_ > 0 && static_cast<std::size_t>(filled) >= quorum_;
  }

  /// Why the block in flight cannot be over yet.
  Why too_early() const {
    if (first_ >= total_) return fmt::format("all {} steps are done", total_);
    // A quorum does not wait for who is still on the way. Where servers agree first, the news that a rank joins may
    // come before that of steps which were settled without it.
    if (const Rank parked = first_parked(); parked >= 0 && quorum_ == 0 && !agrees_)
      return fmt::format("rank {} was never released into step {}", parked, first_);
    const Rank awaited_rank = first_awaited();
    if (complete_ || awaited_rank < 0) return {};
    const auto filled =
        std::count_if(parts_.begin(), parts_.end(), [](const Part& part) { return part.pushed.value_or(0) > 0; });
    if (quorum_ > 0 && static_cast<std::size_t>(filled) >= quorum_) return {};
    if (quorum_ > 0)
      return fmt::format("of the {} pushes of step {} that make a quorum only {} came, and rank {} has not pushed",
                         quorum_, due_.value_or(first_), filled, awaited_rank);
    return fmt::format("rank {} has not pushed for step {}", awaited_rank, due_.value_or(first_));
  }

  void end_step(bool updated) {
    last_ = Step{first_, due_, {}, updated};
    for (Part& part : parts_) {
      last_->pushed.push_back(part.folded || part.pushed == 0u ? part.pushed : std::nullopt);
      part.pushed.reset();
      part.folded = part.stays = false;
      if (part.is == Part::Is::joining) part.is = Part::Is::active;
      part.released = false;
    }
    complete_ = false;
    least_steps_ = period_.least;
    begin(due_.value_or(first_) + 1);
  }

  void begin(Clock first) {
    first_ = first;
    due_.reset();
    if (first < period_.single_until || period_.most == 1)
      due_ = first;
    else if (least_steps_ == period_.most)
      due_ = std::min(first + period_.most, std::max(total_, first + 1)) - 1;
    draw();
  }

  /// Who takes part in the step: the first that are active in a permutation of all ranks.
  void draw() {
    if (drawn_ == 0) return;
    permutation(seed_ + (first_ >> 32), Purpose::subset, static_cast<std::uint32_t>(first_),
                static_cast<Index>(parts_.size()), order_);
    std::size_t left = drawn_;
    for (const std::uint32_t rank : order_) {
      Part& part = parts_[rank];
      part.drawn = part.is == Part::Is::active && left > 0;
      left -= part.drawn ? 1 : 0;
    }
  }

  /// Nobody is left in this block, or no further one will come: those who wait for the next one enter this one.
  void admit() {
    if ((anyone(Part::Is::active) && first_ < total_) || !anyone(Part::Is::joining)) return;
    complete_ = false;
    for (std::size_t r = 0; r < parts_.size(); ++r) {
      if (parts_[r].is != Part::Is::joining) continue;
      parts_[r].is = Part::Is::active;
      parts_[r].released = false;
      admitted_.push_back(static_cast<Rank>(r));
    }
    draw();
  }

  Clock total_;
  std::uint64_t seed_;
  Period period_;
  std::size_t quorum_ = 0, drawn_ = 0;  ///< 0: all
  bool takes_back_ = false;
  bool agrees_ = false;  ///< several servers settle what is in an update before they make it
  std::vector<Part> parts_;
  Clock first_ = 0, least_steps_ = 1;
  std::optional<Clock> due_;  ///< absent until the first push tells it
  bool complete_ = false;     ///< taken back: it awaits nobody
  bool opening_ = false;      ///< an update is being made
  std::optional<Step> last_;  ///< the one before, unless it was taken back
  std::vector<Rank> admitted_;
  std::vector<std::uint32_t> order_;
};

}  // namespace

std::unique_ptr<Witness> make_gated_witness(const TraceHead& head, const job::Sync& sync, std::uint64_t seed) {
  return std::make_unique<GatedWitness>(head, sync, seed);
}

}  // namespace dtrain::sync
