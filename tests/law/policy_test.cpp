/// The laws of the sync policies, over thousands of random schedules: pushes in any order, some twice, some late, some
/// by strangers, and ranks that are lost on the way. A failure prints its seed and the schedule up to there;
/// DTRAIN_LAW_SEED=n begins with seed n.

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "sync/policy.hpp"

using namespace dtrain;
using sync::Actions;
using sync::Clock;
using sync::Rank;

namespace {

constexpr std::uint64_t schedules = 4000;

std::uint64_t first_seed() {
  const char* given = std::getenv("DTRAIN_LAW_SEED");
  return given == nullptr ? 1 : std::strtoull(given, nullptr, 10);
}

class Chance {
 public:
  explicit Chance(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t below(std::uint64_t n) { return engine_() % n; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  template <class T>
  const T& of(const std::vector<T>& choices) {
    return choices[below(choices.size())];
  }

 private:
  std::mt19937_64 engine_;
};

struct Push {
  Rank rank = 0;
  Clock clock = 0;
};

std::unique_ptr<sync::Policy> make(job::PolicyName name, std::size_t ranks, Clock clock) {
  job::Sync sync;
  sync.policy = name;
  return sync::make_policy(sync, std::vector<Clock>(ranks, clock));
}

/// What both policies are driven by: the policy, the schedule so far in words, and pushes that have been sent before.
struct Drive {
  Drive(job::PolicyName name, std::uint64_t seed)
      : chance(seed),
        ranks(1 + chance.below(8)),
        start(chance.below(3) * chance.below(1000)),
        policy(make(name, ranks, start)) {
    schedule = "seed " + std::to_string(seed) + ", " + std::to_string(ranks) + " ranks from clock " +
               std::to_string(start) + ":";
  }

  bool push(const Push& push, std::uint64_t rows) {
    schedule +=
        " push(" + std::to_string(push.rank) + ", " + std::to_string(push.clock) + ", " + std::to_string(rows) + ")";
    sent.push_back(push);
    return policy->push(push.rank, push.clock, rows, actions);
  }

  void lose(Rank rank, bool keep) {
    schedule += " lose(" + std::to_string(rank) + (keep ? ", kept)" : ", forgotten)");
    policy->lose(rank, keep, actions);
  }

  Chance chance;
  std::size_t ranks;
  Clock start;
  std::unique_ptr<sync::Policy> policy;
  Actions actions;
  std::string schedule;
  std::vector<Push> sent;
};

/// What bsp must do, said in the plainest way: sets of ranks, and a step.
class BspOracle {
 public:
  BspOracle(std::size_t ranks, Clock start) : ranks_(ranks), step(start) {}

  bool expects(const Push& push) const {
    const Part& rank = ranks_[static_cast<std::size_t>(push.rank)];
    return rank.active && !rank.pushed && push.clock == step;
  }
  void push(Rank r, std::uint64_t rows) { at(r).pushed = true, at(r).rows = rows; }
  void lose(Rank r, bool keep) { at(r).active = false, at(r).pushed = at(r).pushed && keep; }
  void undo(Rank r) {
    --step;
    ranks_ = before_;
    for (std::size_t k = 0; k < ranks_.size(); ++k) ranks_[k].active = still_active_[k];
    at(r).active = at(r).pushed = false;
  }

  /// What must be done now; takes the step if it is whole.
  Actions settle() {
    Actions out;
    bool whole = !active().empty();
    for (const Part& rank : ranks_) whole = whole && (rank.pushed || !rank.active);
    if (!whole) return out;
    for (std::size_t r = 0; r < ranks_.size(); ++r)
      if (ranks_[r].pushed && ranks_[r].rows > 0) out.fold.push_back(static_cast<Rank>(r));
    out.release = active();
    before_ = ranks_;
    for (Part& rank : ranks_) rank.pushed = false;
    ++step;
    return out;
  }

  void remember_active() {
    still_active_.clear();
    for (const Part& rank : ranks_) still_active_.push_back(rank.active);
  }
  std::vector<Rank> active() const {
    return where([](const Part& rank) { return rank.active; });
  }
  std::vector<Rank> awaited() const {
    return where([](const Part& rank) { return rank.active && !rank.pushed; });
  }
  bool can_undo() const { return !before_.empty(); }

 private:
  struct Part {
    bool active = true, pushed = false;
    std::uint64_t rows = 0;
  };
  Part& at(Rank r) { return ranks_[static_cast<std::size_t>(r)]; }
  template <class Which>
  std::vector<Rank> where(Which which) const {
    std::vector<Rank> out;
    for (std::size_t r = 0; r < ranks_.size(); ++r)
      if (which(ranks_[r])) out.push_back(static_cast<Rank>(r));
    return out;
  }
  std::vector<Part> ranks_, before_;  ///< now; when the last step was taken
  std::vector<bool> still_active_;

 public:
  Clock step;
};

class BspSchedule : public Drive {
 public:
  explicit BspSchedule(std::uint64_t seed) : Drive(job::PolicyName::bsp, seed), oracle(ranks, start) {}

  /// One event; false when nobody is left.
  bool next() {
    const std::vector<Rank> active = oracle.active();
    if (active.empty()) return false;
    const std::uint64_t kind = chance.below(40);
    if (kind == 0 && ranks > 1)
      lose_one(chance.of(active));
    else if (kind == 1 && ranks > 1 && oracle.can_undo())
      undo_one(chance.of(active));
    else if (kind < 10 && !sent.empty())
      stray(chance.of(sent));
    else if (kind < 13)
      stray({static_cast<Rank>(chance.below(ranks)), oracle.step + 1 + chance.below(3)});
    else
      fresh({chance.of(oracle.awaited()), oracle.step});
    return true;
  }

 private:
  void fresh(const Push& push) {
    const std::uint64_t rows = chance.one_in(5) ? 0 : 1 + chance.below(100);
    REQUIRE(this->push(push, rows));
    oracle.push(push.rank, rows);
    agree();
  }

  /// A duplicate, a leftover of another step, a push from the future or by a lost rank: nothing, if not due anyway.
  void stray(const Push push) {
    if (oracle.expects(push)) return fresh(push);
    REQUIRE_FALSE(this->push(push, 1 + chance.below(100)));
    REQUIRE(actions.fold.empty());
    REQUIRE(actions.release.empty());
  }

  void lose_one(Rank rank) {
    const bool keep = chance.one_in(2);
    lose(rank, keep);
    oracle.lose(rank, keep);
    agree();
  }

  void undo_one(Rank rank) {
    schedule += " undo(" + std::to_string(rank) + ")";
    policy->undo(rank, actions);
    oracle.remember_active();
    oracle.undo(rank);
    agree();
  }

  void agree() {
    const Actions expected = oracle.settle();
    REQUIRE(actions.fold == expected.fold);
    REQUIRE(actions.release == expected.release);
    const std::vector<Rank> awaited = oracle.awaited();
    for (const Rank rank : oracle.active()) {
      const bool due = std::count(awaited.begin(), awaited.end(), rank) > 0;
      REQUIRE(policy->next(rank) == oracle.step + (due ? 0 : 1));
    }
  }

 public:
  BspOracle oracle;
};

/// Speeds that differ up to twenty times; the mean of others' updates between a rank's pull and its push.
double mean_staleness(Drive& drive, std::uint64_t pushes) {
  std::vector<Rank> urn;
  for (std::size_t r = 0; r < drive.ranks; ++r) urn.insert(urn.end(), 1 + drive.chance.below(20), static_cast<Rank>(r));
  std::vector<std::uint64_t> pulled(drive.ranks, 0);
  std::uint64_t version = 0, total = 0;
  while (version < pushes) {
    const Rank rank = drive.chance.of(urn);
    REQUIRE(drive.policy->push(rank, drive.policy->next(rank), 1, drive.actions));
    total += version - pulled[static_cast<std::size_t>(rank)];
    version += drive.actions.fold.size();
    for (const Rank released : drive.actions.release) pulled[static_cast<std::size_t>(released)] = version;
  }
  return static_cast<double>(total) / static_cast<double>(pushes);
}

class AspSchedule : public Drive {
 public:
  explicit AspSchedule(std::uint64_t seed)
      : Drive(job::PolicyName::asp, seed), next_(ranks, start), active_(ranks, true) {}

  void next() {
    const auto rank = static_cast<Rank>(chance.below(ranks));
    const std::uint64_t kind = chance.below(40);
    if (kind == 0 && ranks > 1)
      lose_one(rank);
    else if (kind < 10 && !sent.empty())
      offer(chance.of(sent));
    else if (kind < 13)
      offer({rank, next_[static_cast<std::size_t>(rank)] + 1 + chance.below(3)});
    else
      offer({rank, next_[static_cast<std::size_t>(rank)]});
  }

  std::uint64_t accepted() const { return accepted_; }
  std::uint64_t clocks_passed() const {
    std::uint64_t passed = 0;
    for (const Clock clock : next_) passed += clock - start;
    return passed;
  }

 private:
  void offer(const Push offered) {
    const auto r = static_cast<std::size_t>(offered.rank);
    const std::uint64_t rows = chance.one_in(5) ? 0 : 1;
    const bool due = active_[r] && offered.clock == next_[r];
    REQUIRE(push(offered, rows) == due);
    const std::vector<Rank> alone = {offered.rank};
    REQUIRE(actions.fold == (due && rows > 0 ? alone : std::vector<Rank>{}));
    REQUIRE(actions.release == (due ? alone : std::vector<Rank>{}));
    next_[r] += due;
    accepted_ += due;
    REQUIRE(policy->next(offered.rank) == next_[r]);
  }

  void lose_one(Rank rank) {
    lose(rank, chance.one_in(2));
    active_[static_cast<std::size_t>(rank)] = false;
    REQUIRE(actions.fold.empty());
    REQUIRE(actions.release.empty());
  }

  std::vector<Clock> next_;
  std::vector<bool> active_;
  std::uint64_t accepted_ = 0;
};

}  // namespace

TEST_CASE("under bsp a step folds every push that counts once, in rank order, and lets go of all who are left") {
  std::uint64_t steps = 0;
  for (std::uint64_t seed = first_seed(); seed < first_seed() + schedules; ++seed) {
    BspSchedule run(seed);
    INFO(run.schedule);
    for (int event = 0; event < 150 && run.next();) ++event;
    steps += run.oracle.step - run.start;
  }
  // That the schedules get anywhere at all.
  CHECK(steps > 10 * schedules);
}

TEST_CASE("under bsp a rank that was lost with its push kept is still in when the step is taken again") {
  const auto policy = make(job::PolicyName::bsp, 3, 5);
  Actions actions;
  for (const Rank rank : {0, 1, 2}) REQUIRE(policy->push(rank, 5, 10, actions));
  policy->lose(2, true, actions);
  policy->undo(1, actions);
  CHECK(actions.fold == std::vector<Rank>{0, 2});
  CHECK(actions.release == std::vector<Rank>{0});
  CHECK(policy->next(0) == 6);
}

TEST_CASE("under asp every push is applied by itself, at once and once, whoever else is lost") {
  for (std::uint64_t seed = first_seed(); seed < first_seed() + schedules; ++seed) {
    AspSchedule run(seed);
    INFO(run.schedule);
    for (int event = 0; event < 150; ++event) run.next();
    REQUIRE(run.accepted() == run.clocks_passed());
  }
}

TEST_CASE("under asp the version is the number of accepted pushes, and the mean staleness is N - 1 for any speeds") {
  for (std::uint64_t seed = first_seed(); seed < first_seed() + 50; ++seed) {
    Drive drive(job::PolicyName::asp, seed);
    INFO(drive.schedule);
    const double others = static_cast<double>(drive.ranks) - 1;
    const double mean = mean_staleness(drive, 20000);
    CHECK(mean <= others);
    CHECK(mean > others - 0.25);
  }
}

TEST_CASE("under asp nothing is ever undone") {
  const auto policy = make(job::PolicyName::asp, 2, 0);
  Actions actions;
  CHECK_THROWS_AS(policy->undo(0, actions), std::logic_error);
}
