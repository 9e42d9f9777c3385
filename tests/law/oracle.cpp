#include "law/oracle.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace dtrain::law {
namespace {

using sync::Actions;

constexpr Clock unbounded = Clock{1} << 62;

/// asp, ssp, easgd, adaptive by staleness.
class FreeOracle final : public Oracle {
 public:
  explicit FreeOracle(const Schedule& schedule) : end_(schedule.total_steps) {
    const job::Sync& sync = schedule.sync;
    if (sync.policy == job::PolicyName::ssp) lead_ = static_cast<Clock>(sync.staleness);
    if (sync.policy == job::PolicyName::adaptive) lead_ = static_cast<Clock>(sync.low);
    if (sync.policy == job::PolicyName::easgd) period_ = static_cast<Clock>(sync.period);
    eager_ = sync.policy == job::PolicyName::ssp && sync.eager;
    for (const Clock clock : schedule.clocks) parts_.push_back({true, false, clock});
    for (const Rank rank : schedule.absent) parts_[static_cast<std::size_t>(rank)].active = false;
  }

  Actions push(const sync::Push& push) override {
    Actions out;
    const std::optional<Clock> least_before = least();
    if (push.rows > 0) out.fold = {push.rank};
    at(push.rank).waits = true;
    at(push.rank).clock = push.clock + 1;
    settle(out, least_before);
    return out;
  }

  Actions lose(Rank rank, bool /*keep*/) override {
    Actions out;
    const std::optional<Clock> least_before = least();
    at(rank).active = false;
    settle(out, least_before);
    return out;
  }

  Actions join(Rank rank) override {
    Actions out;
    const bool alone = std::none_of(parts_.begin(), parts_.end(), [](const Part& part) { return part.active; });
    if (!alone) at(rank).clock = std::max(at(rank).clock, least().value_or(end_));
    at(rank).active = at(rank).waits = true;
    settle(out, least());
    return out;
  }

  Actions undo(Rank /*lost*/) override { return {}; }
  void set_bound(std::int64_t bound) override { lead_ = static_cast<Clock>(bound); }

 private:
  struct Part {
    bool active, waits;
    Clock clock;
  };
  Part& at(Rank rank) { return parts_[static_cast<std::size_t>(rank)]; }

  std::optional<Clock> least() const {
    std::optional<Clock> out;
    for (const Part& part : parts_)
      if (part.active && part.clock < end_) out = std::min(part.clock, out.value_or(part.clock));
    return out;
  }

  Clock due(Clock clock) const {
    while (clock + 1 < end_ && (clock + 1) % period_ != 0) ++clock;
    return clock;
  }

  void settle(Actions& out, std::optional<Clock> least_before) {
    const std::optional<Clock> now = least();
    for (Rank rank = 0; rank < static_cast<Rank>(parts_.size()); ++rank) {
      Part& part = at(rank);
      if (!part.active) continue;
      if (part.waits && (part.clock >= end_ || part.clock - *now <= lead_)) {
        part.waits = false;
        out.release.push_back({rank, part.clock, due(part.clock)});
      } else if (eager_ && !part.waits && part.clock < end_ && now && least_before && *now != *least_before) {
        out.refresh.push_back(rank);
      }
    }
  }

  Clock end_, lead_ = unbounded, period_ = 1;
  bool eager_ = false;
  std::vector<Part> parts_;
};

/// bsp, sign_vote, quorum, subset, local, bmuf, adaptive by period: sets of ranks, and a step.
class GatedOracle final : public Oracle {
 public:
  explicit GatedOracle(const Schedule& schedule) : schedule_(schedule) {
    for (Rank rank = 0; rank < static_cast<Rank>(schedule.clocks.size()); ++rank) active_.insert(rank);
    for (const Rank rank : schedule.absent) active_.erase(rank);
    const job::Sync& sync = schedule.sync;
    const bool blocks = sync.policy == job::PolicyName::local || sync.policy == job::PolicyName::bmuf;
    const bool adapts = sync.policy == job::PolicyName::adaptive;
    if (blocks || adapts) period_ = static_cast<Clock>(sync.period);
    if (adapts) period_ = std::clamp(period_, std::max<Clock>(1, low()), std::max<Clock>(1, high()));
    for (const Rank rank : active_) first_ = std::max(first_, schedule.clocks[static_cast<std::size_t>(rank)]);
    if (blocks && first_ >= schedule.single_until) first_ -= (first_ - schedule.single_until) % period_;
    begin(first_);
  }

  Actions push(const sync::Push& push) override {
    pushed_[push.rank] = push.rows;
    return settle();
  }

  Actions lose(Rank rank, bool keep) override {
    active_.erase(rank), joining_.erase(rank);
    if (!keep) pushed_.erase(rank);
    return settle();
  }

  Actions join(Rank rank) override {
    joining_.insert(rank);
    return settle();
  }

  Actions undo(Rank lost) override {
    active_.erase(lost), joining_.erase(lost);
    pushed_ = last_pushed_;
    pushed_.erase(lost);
    first_ = due_ = last_due_;
    if (!active_.empty()) return finish();
    draw();
    return settle();
  }

  void set_bound(std::int64_t bound) override { period_ = static_cast<Clock>(bound); }

 private:
  Clock low() const { return static_cast<Clock>(schedule_.sync.low); }
  Clock high() const { return static_cast<Clock>(schedule_.sync.high); }

  void begin(Clock first) {
    first_ = first;
    due_ = first_ < schedule_.single_until ? first_ : std::min(first_ + period_, schedule_.total_steps) - 1;
    due_ = std::max(due_, first_);
    draw();
  }

  void draw() {
    owing_ = active_;
    if (schedule_.sync.policy != job::PolicyName::subset) return;
    const std::vector<Rank> drawn = sync::subset_of(schedule_.seed, first_, *schedule_.sync.size,
                                                    {active_.begin(), active_.end()}, schedule_.clocks.size());
    owing_ = {drawn.begin(), drawn.end()};
  }

  bool is_enough() const {
    std::size_t filled = 0;
    for (const auto& [rank, rows] : pushed_) filled += rows > 0 ? 1 : 0;
    const bool whole = std::all_of(owing_.begin(), owing_.end(),
                                   [this](Rank rank) { return active_.count(rank) == 0 || pushed_.count(rank) > 0; });
    const bool quorum = schedule_.sync.policy == job::PolicyName::quorum;
    return whole || (quorum && filled >= static_cast<std::size_t>(*schedule_.sync.quorum));
  }

  Actions settle() {
    Actions out;
    const bool over = first_ >= schedule_.total_steps;
    if ((active_.empty() || over) && !joining_.empty()) {
      active_.insert(joining_.begin(), joining_.end());
      draw();
      for (const Rank rank : joining_)
        if (pushed_.count(rank) == 0) out.release.push_back({rank, first_, due_});
      joining_.clear();
    }
    return !over && !active_.empty() && is_enough() ? finish() : out;
  }

  Actions finish() {
    Actions out;
    for (const auto& [rank, rows] : pushed_)
      if (rows > 0) out.fold.push_back(rank);
    last_pushed_.swap(pushed_);
    pushed_.clear();
    last_due_ = due_;
    active_.insert(joining_.begin(), joining_.end());
    joining_.clear();
    begin(due_ + 1);
    for (const Rank rank : active_) out.release.push_back({rank, first_, due_});
    return out;
  }

  Schedule schedule_;
  std::set<Rank> active_, joining_, owing_;
  std::map<Rank, std::uint64_t> pushed_, last_pushed_;
  Clock first_ = 0, due_ = 0, last_due_ = 0, period_ = 1;
};

}  // namespace

std::unique_ptr<Oracle> make_oracle(const Schedule& schedule) {
  if (sync::traits(schedule.sync).gated) return std::make_unique<GatedOracle>(schedule);
  return std::make_unique<FreeOracle>(schedule);
}

}  // namespace dtrain::law
