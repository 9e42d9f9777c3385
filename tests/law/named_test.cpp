/// Laws that relate one policy to another, or to a number.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "law/world.hpp"

using namespace dtrain;
using law::Chance;
using law::Clock;
using law::Happening;
using law::Rank;
using law::Schedule;
using law::World;
using What = Happening::What;

namespace {

constexpr std::uint64_t pairs = 400;

Schedule setting_of(std::uint64_t seed, job::PolicyName policy) {
  Schedule out = law::draw_setting(seed, policy);
  out.clocks.assign(out.clocks.size(), out.clocks.front());
  out.total_steps = out.clocks.front() + 40;
  out.single_until = 0;
  return out;
}

/// The same happens under two settings; `same` looks at both afterwards.
template <class Same>
void side_by_side(std::uint64_t seed, const Schedule& one, const Schedule& other, bool with_losses, Same same) {
  World a(one, law::make), b(other, law::make);
  Chance chance(seed);
  INFO(law::describe(one), "\n", law::describe(other));
  for (int event = 0; event < 150; ++event) {
    const auto owing = a.where([&a](Rank rank) { return a.owes(rank); });
    if (owing.empty()) break;
    Happening next{.what = What::owed, .rank = chance.of(owing), .rows = chance.below(4)};
    if (with_losses && chance.one_in(20)) {
      next.what = chance.one_in(2) ? What::lose : What::join;
      next.rank = static_cast<Rank>(chance.below(one.clocks.size()));
      next.keep = chance.one_in(2);
    }
    REQUIRE(a.happen(next) == "");
    REQUIRE(b.happen(next) == "");
    same(a, b);
  }
}

void same_actions(const World& a, const World& b) {
  REQUIRE(a.actions().fold == b.actions().fold);
  REQUIRE(a.actions().release == b.actions().release);
}

/// The setting under another policy.
template <class Set>
Schedule as(Schedule setting, job::PolicyName policy, Set set) {
  setting.sync.policy = policy;
  set(setting.sync);
  return setting;
}

Rank drawn_by_speed(Chance& chance, const World& world, const std::vector<Rank>& urn) {
  for (;;)
    if (const Rank rank = chance.of(urn); world.owes(rank)) return rank;
}

}  // namespace

TEST_CASE("ssp with staleness 0 releases exactly when bsp does") {
  for (std::uint64_t seed = 1; seed <= pairs; ++seed) {
    const Schedule bsp = setting_of(seed, job::PolicyName::bsp);
    const Schedule ssp = as(bsp, job::PolicyName::ssp, [](job::Sync& sync) { sync.staleness = 0; });
    side_by_side(seed, bsp, ssp, false, [&bsp](const World& a, const World& b) {
      // A rank that has done all its steps waits for nobody under ssp.
      if (a.released(0).clock + 1 < bsp.total_steps) REQUIRE(a.actions().release == b.actions().release);
    });
  }
}

TEST_CASE("ssp with a staleness that nobody reaches is asp") {
  for (std::uint64_t seed = 1; seed <= pairs; ++seed) {
    const Schedule asp = setting_of(seed, job::PolicyName::asp);
    const Schedule ssp = as(asp, job::PolicyName::ssp, [](job::Sync& sync) { sync.staleness = 1000000000; });
    side_by_side(seed, asp, ssp, true, same_actions);
  }
}

TEST_CASE("easgd that exchanges in every step waits and folds as asp does") {
  for (std::uint64_t seed = 1; seed <= pairs; ++seed) {
    const Schedule asp = setting_of(seed, job::PolicyName::asp);
    const Schedule easgd = as(asp, job::PolicyName::easgd, [](job::Sync& sync) { sync.period = 1; });
    side_by_side(seed, asp, easgd, true, same_actions);
  }
}

TEST_CASE("a quorum of all workers is bsp, whoever is lost or joins") {
  for (std::uint64_t seed = 1; seed <= pairs; ++seed) {
    const Schedule bsp = setting_of(seed, job::PolicyName::bsp);
    const auto all = static_cast<std::int64_t>(bsp.clocks.size());
    const Schedule quorum = as(bsp, job::PolicyName::quorum, [all](job::Sync& sync) { sync.quorum = all; });
    side_by_side(seed, bsp, quorum, true, same_actions);
  }
}

TEST_CASE("a subset of all workers is bsp, whoever is lost or joins") {
  for (std::uint64_t seed = 1; seed <= pairs; ++seed) {
    const Schedule bsp = setting_of(seed, job::PolicyName::bsp);
    const auto all = static_cast<std::int64_t>(bsp.clocks.size());
    const Schedule subset = as(bsp, job::PolicyName::subset, [all](job::Sync& sync) { sync.size = all; });
    side_by_side(seed, bsp, subset, true, same_actions);
  }
}

TEST_CASE("a vote by sign goes as bsp does, whoever is lost or joins") {
  for (std::uint64_t seed = 1; seed <= pairs; ++seed) {
    const Schedule bsp = setting_of(seed, job::PolicyName::bsp);
    side_by_side(seed, bsp, as(bsp, job::PolicyName::sign_vote, [](job::Sync&) {}), true, same_actions);
  }
}

TEST_CASE("local with a period of 1 is bsp, and so is local before the step until which it is single") {
  for (std::uint64_t seed = 1; seed <= pairs; ++seed) {
    const Schedule bsp = setting_of(seed, job::PolicyName::bsp);
    const Schedule local = as(bsp, job::PolicyName::local, [](job::Sync& sync) { sync.period = 1; });
    side_by_side(seed, bsp, local, true, same_actions);
    Schedule post = as(bsp, job::PolicyName::local, [](job::Sync& sync) { sync.period = 10; });
    post.single_until = post.total_steps;
    side_by_side(seed, bsp, post, true, same_actions);
  }
}

TEST_CASE("adaptive with low = high is ssp with that staleness, or local with that period, and changes nothing") {
  for (std::uint64_t seed = 1; seed <= pairs; ++seed) {
    const auto bound = static_cast<std::int64_t>(1 + seed % 4);
    const auto fixed = [bound](job::Adapts what) {
      return [bound, what](job::Sync& sync) {
        sync.adapt = what, sync.low = sync.high = sync.staleness = sync.period = bound, sync.eager = false;
      };
    };
    Schedule setting = setting_of(seed, job::PolicyName::asp);
    setting.clocks.assign(setting.clocks.size(), 0), setting.total_steps = 40;
    const auto unchanged = [](const World& a, const World& b) {
      same_actions(a, b);
      REQUIRE_FALSE(b.actions().change);
    };
    side_by_side(seed, as(setting, job::PolicyName::ssp, fixed(job::Adapts::staleness)),
                 as(setting, job::PolicyName::adaptive, fixed(job::Adapts::staleness)), true, unchanged);
    side_by_side(seed, as(setting, job::PolicyName::local, fixed(job::Adapts::period)),
                 as(setting, job::PolicyName::adaptive, fixed(job::Adapts::period)), true, unchanged);
  }
}

TEST_CASE("adaptive does change its bound, up and down, and never leaves [low, high]") {
  for (const job::Adapts what : {job::Adapts::staleness, job::Adapts::period}) {
    int up = 0, down = 0;
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
      Schedule setting = setting_of(seed, job::PolicyName::adaptive);
      setting.sync.adapt = what, setting.sync.low = 1, setting.sync.high = 9, setting.sync.period = 5;
      World world(setting, law::make);
      Chance chance(seed);
      for (;;) {
        const auto owing = world.where([&world](Rank rank) { return world.owes(rank); });
        if (owing.empty()) break;
        const Happening next{.what = What::owed,
                             .rank = chance.of(owing),
                             .loss = static_cast<double>(1 + chance.below(9)),
                             .pause = static_cast<double>(chance.below(5))};
        REQUIRE(world.happen(next) == "");
        if (const auto& change = world.actions().change) {
          REQUIRE(std::min(change->from, change->to) >= 1);
          REQUIRE(std::max(change->from, change->to) <= 9);
          ++(change->to > change->from ? up : down);
        }
      }
    }
    CHECK(up > 100);
    CHECK(down > 100);
  }
}

TEST_CASE("under ssp a worker that leaves no longer holds the minimum, and those who waited for it go on") {
  Schedule setting = setting_of(1, job::PolicyName::ssp);
  setting.clocks = {5, 5, 5}, setting.total_steps = 30, setting.absent = {};
  setting.sync.staleness = 2, setting.sync.eager = false;
  World world(setting, law::make);
  for (int step = 0; step < 3; ++step)
    for (const Rank rank : {0, 1}) REQUIRE(world.happen({.what = What::owed, .rank = rank}) == "");
  CHECK_FALSE(world.works(0));
  CHECK_FALSE(world.works(1));
  REQUIRE(world.happen({.what = What::lose, .rank = 2}) == "");
  CHECK(world.actions().release == std::vector<sync::Release>{{0, 8, 8}, {1, 8, 8}});
}

TEST_CASE("under asp and easgd the version is the number of pushes that were taken") {
  for (const job::PolicyName policy : {job::PolicyName::asp, job::PolicyName::easgd})
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
      Schedule schedule = law::explore(law::draw_setting(seed, policy), law::make).schedule;
      for (Happening& happening : schedule.happenings) happening.rows = 1;
      World world(schedule, law::make);
      const std::uint64_t start = world.version();
      for (const Happening& happening : schedule.happenings) REQUIRE(world.happen(happening) == "");
      REQUIRE(world.version() - start == world.taken());
    }
}

TEST_CASE("under asp the mean staleness is N - 1 for any speeds") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Schedule setting = setting_of(seed, job::PolicyName::asp);
    setting.absent.clear();
    setting.clocks.resize(std::min<std::size_t>(setting.clocks.size(), 8));
    setting.total_steps = setting.clocks.front() + 1000000;
    Chance chance(seed);
    std::vector<Rank> urn;
    for (std::size_t r = 0; r < setting.clocks.size(); ++r)
      urn.insert(urn.end(), 1 + chance.below(20), static_cast<Rank>(r));
    const auto policy = law::make(setting);
    sync::Ledger ledger(0, setting.clocks.size());
    sync::Actions actions;
    for (int push = 0; push < 20000; ++push) {
      const Rank rank = chance.of(urn);
      REQUIRE(policy->push({rank, policy->released(rank).due, 1, 0, 0}, actions) == sync::Verdict::taken);
      ledger.apply(actions.fold, std::vector<Clock>(actions.fold.size()));
      for (const sync::Release& release : actions.release) ledger.release(release);
    }
    double total = 0, pushes = 0;
    for (std::size_t old = 0; old < ledger.histogram().size(); ++old) {
      total += static_cast<double>(old * ledger.histogram()[old]);
      pushes += static_cast<double>(ledger.histogram()[old]);
    }
    const double others = static_cast<double>(setting.clocks.size()) - 1;
    CHECK(total / pushes <= others);
    CHECK(total / pushes > others - 0.25);
  }
}

TEST_CASE("under ssp no push is staler than (2 s + 1) (N - 1) updates") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    Schedule setting = setting_of(seed, job::PolicyName::ssp);
    setting.absent.clear();
    setting.sync.eager = false;
    World world(setting, law::make);
    Chance chance(seed);
    std::vector<Rank> urn;
    for (std::size_t r = 0; r < setting.clocks.size(); ++r)
      urn.insert(urn.end(), 1 + chance.below(20), static_cast<Rank>(r));
    while (!world.where([&world](Rank rank) { return world.owes(rank); }).empty())
      REQUIRE(world.happen({.what = What::owed, .rank = drawn_by_speed(chance, world, urn)}) == "");
    const auto s = static_cast<std::size_t>(setting.sync.staleness);
    CHECK(world.staleness().size() <= (2 * s + 1) * (setting.clocks.size() - 1) + 1);
  }
}

TEST_CASE(
    "under subset every rank's share of the steps is k / N, and a step's ranks depend on nothing but seed and step") {
  constexpr std::size_t steps = 20000;
  for (const auto& [k, n] : std::vector<std::pair<std::int64_t, std::size_t>>{{1, 4}, {3, 7}, {8, 8}}) {
    std::vector<Rank> all(n);
    std::iota(all.begin(), all.end(), 0);
    std::vector<double> drawn(n, 0);
    for (Clock clock = 0; clock < steps; ++clock) {
      const auto members = sync::subset_of(7, clock, k, all, n);
      REQUIRE(members.size() == static_cast<std::size_t>(k));
      REQUIRE(std::is_sorted(members.begin(), members.end()));
      REQUIRE(members == sync::subset_of(7, clock, k, all, n));
      for (const Rank rank : members) ++drawn[static_cast<std::size_t>(rank)];
    }
    const double share = static_cast<double>(k) / static_cast<double>(n);
    const double deviation = std::sqrt(share * (1 - share) * static_cast<double>(steps));
    for (const double count : drawn) CHECK(std::abs(count - share * static_cast<double>(steps)) <= 5 * deviation);
  }
}

TEST_CASE("under subset a rank that is lost changes no other rank's part, but for the one that takes its place") {
  for (Clock clock = 0; clock < 500; ++clock) {
    const auto whole = sync::subset_of(3, clock, 3, {0, 1, 2, 3, 4, 5}, 6);
    const auto without = sync::subset_of(3, clock, 3, {0, 1, 2, 3, 5}, 6);
    REQUIRE(without.size() == 3);
    for (const Rank rank : whole)
      if (rank != 4) REQUIRE(std::count(without.begin(), without.end(), rank) == 1);
  }
}

TEST_CASE("only bsp, sign_vote and subset take a step back") {
  for (const job::PolicyName policy : law::all_policies) {
    const Schedule setting = setting_of(1, policy);
    const bool takes_back =
        policy == job::PolicyName::bsp || policy == job::PolicyName::sign_vote || policy == job::PolicyName::subset;
    if (takes_back) continue;
    sync::Actions actions;
    CHECK_THROWS_AS(law::make(setting)->undo(0, actions), std::logic_error);
  }
}

TEST_CASE("under bsp a rank that was lost with its push kept is still in when the step is taken again") {
  Schedule setting = setting_of(1, job::PolicyName::bsp);
  setting.clocks = {5, 5, 5}, setting.total_steps = 30, setting.absent = {};
  World world(setting, law::make);
  for (const Rank rank : {0, 1, 2}) REQUIRE(world.happen({.what = What::owed, .rank = rank}) == "");
  REQUIRE(world.happen({.what = What::lose, .rank = 2, .keep = true}) == "");
  REQUIRE(world.happen({.what = What::undo, .rank = 1}) == "");
  CHECK(world.actions().fold == std::vector<Rank>{0, 2});
  CHECK(world.actions().release == std::vector<sync::Release>{{0, 6, 6}});
}
