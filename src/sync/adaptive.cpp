/// Bounds set while running, inside [low, high].
///
/// Staleness (Zhao et al. 2019, DSSP): gate, fold and update of ssp. When the fastest rank would have to wait, the
/// bound becomes low + r, r being the extra steps after which, by its last interval between pushes, it would be done
/// nearest to when the slowest rank is expected to push.
/// Period (Wang and Joshi 2019, AdaComm): gate, fold and update of local. After each block the period becomes
/// ceil(H0 * sqrt(loss / loss0)), H0 and loss0 being those of the first block.

#include <algorithm>
#include <cmath>
#include <limits>

#include "sync/blocks.hpp"
#include "sync/laggards.hpp"
#include "sync/one_by_one.hpp"
#include "sync/policies.hpp"

namespace dtrain::sync {
namespace {

Clock restored(const Setup& setup, std::size_t which, Clock otherwise) {
  return setup.memory.empty() ? otherwise : static_cast<Clock>(setup.memory.at(which));
}

Change change(const char* what, Clock from, Clock to, Clock clock) {
  return {what, static_cast<std::int64_t>(from), static_cast<std::int64_t>(to), clock};
}

class AdaptiveStaleness final : public OneByOne {
 public:
  AdaptiveStaleness(const Setup& setup, Clock low, Clock high)
      : OneByOne(setup, {.bound = std::clamp(restored(setup, 0, low), low, high)}),
        low_(low),
        high_(high),
        paces_(setup.clocks.size()),
        laggards_(setup.clocks.size()) {
    for (std::size_t r = 0; r < setup.clocks.size(); ++r)
      if (setup.clocks[r] < end_of(setup)) AdaptiveStaleness::counted(static_cast<Rank>(r), setup.clocks[r]);
    for (const Rank rank : setup.absent) AdaptiveStaleness::uncounted(rank);
  }

  std::vector<double> memory() const override { return {static_cast<double>(bound())}; }

 private:
  /// When a rank pushed last, and how long after the push before.
  struct Pace {
    int pushes = 0;
    double last = 0, interval = 0;
    bool known() const { return pushes >= 2; }
    double expected() const { return known() ? last + interval : std::numeric_limits<double>::infinity(); }
  };
  Pace& pace(Rank rank) { return paces_[static_cast<std::size_t>(rank)]; }

  void heard(const Push& push) override {
    Pace& p = pace(push.rank);
    p.interval = push.now - p.last;
    p.last = push.now;
    p.pushes = std::min(p.pushes + 1, 2);
  }
  void counted(Rank rank, Clock clock) override { laggards_.put(rank, clock, pace(rank).expected()); }
  void uncounted(Rank rank) override {
    laggards_.erase(rank);
    pace(rank) = {};
  }

  void blocked(Rank rank, Clock clock, Actions& out) override {
    const Pace& fast = pace(rank);
    const Pace& slow = pace(laggards_.first());
    if (!is_fastest(clock) || !fast.known() || !slow.known()) return;
    const Clock to = low_ + extra_steps(slow.expected() - fast.last, fast.interval);
    if (to == bound()) return;
    out.change = change("staleness", bound(), to, clock);
    set_bound(to);
  }

  /// The number of intervals, up to high - low, that comes nearest to `time`.
  Clock extra_steps(double time, double interval) const {
    const auto most = static_cast<double>(high_ - low_);
    if (time <= 0) return 0;
    if (interval <= 0) return high_ - low_;
    return static_cast<Clock>(std::clamp(std::ceil(time / interval - 0.5), 0.0, most));
  }

  Clock low_, high_;
  std::vector<Pace> paces_;
  Laggards laggards_;
};

class AdaptivePeriod final : public Blocks {
 public:
  AdaptivePeriod(const Setup& setup, Clock period, Clock low, Clock high)
      : Blocks(setup, std::clamp(restored(setup, 1, period), low, high), Begin{restored(setup, 2, 0)}),
        first_period_(static_cast<double>(std::clamp(period, low, high))),
        low_(low),
        high_(high),
        first_loss_(setup.memory.empty() ? 0 : setup.memory.at(0)) {}

  std::vector<double> memory() const override {
    return {first_loss_, static_cast<double>(period()), static_cast<double>(first())};
  }

 private:
  void closing(Actions& out) override {
    const double loss = mean_loss(out.fold);
    if (!std::isfinite(loss) || loss < 0) return;
    if (first_loss_ <= 0) first_loss_ = loss;
    if (first_loss_ <= 0) return;
    const double wanted = std::ceil(first_period_ * std::sqrt(loss / first_loss_));
    const auto to = static_cast<Clock>(std::clamp(wanted, static_cast<double>(low_), static_cast<double>(high_)));
    if (to == period()) return;
    out.change = change("period", period(), to, due() + 1);
    set_period(to);
  }

  /// By rows, in rank order; not a number if nobody had any.
  double mean_loss(const std::vector<Rank>& fold) const {
    double sum = 0, rows = 0;
    for (const Rank rank : fold) {
      const Seat& seat = seats()[static_cast<std::size_t>(rank)];
      sum += static_cast<double>(seat.rows) * seat.loss;
      rows += static_cast<double>(seat.rows);
    }
    return sum / rows;
  }

  double first_period_;
  Clock low_, high_;
  double first_loss_;  ///< 0: of no block yet
};

}  // namespace

std::unique_ptr<Policy> make_adaptive(const job::Sync& sync, const Setup& setup) {
  const auto low = static_cast<Clock>(sync.low), high = static_cast<Clock>(sync.high);
  if (sync.adapt == job::Adapts::staleness) return std::make_unique<AdaptiveStaleness>(setup, low, high);
  return std::make_unique<AdaptivePeriod>(setup, static_cast<Clock>(sync.period), std::max<Clock>(low, 1),
                                          std::max<Clock>(high, 1));
}

}  // namespace dtrain::sync
