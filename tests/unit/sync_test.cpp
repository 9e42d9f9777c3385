/// What the policies are told apart by, the draw of subset, and the kernels of the third question. Their promises over
/// random schedules are in tests/law.

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <new>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "job/catalogue.hpp"
#include "sync/policy.hpp"
#include "sync/update.hpp"

namespace job = dtrain::job;
using namespace dtrain::sync;
using job::PolicyName;

// Counts allocations, so that a test can say that there are none. Not inlined: g++ would see malloc meet delete.
static long allocations = 0;
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

using Ranks = std::vector<Rank>;
using Releases = std::vector<Release>;
using Floats = std::vector<float>;

job::Sync sync_of(PolicyName policy) {
  job::Sync sync;
  sync.policy = policy;
  sync.quorum = 2;
  sync.size = 2;
  sync.alpha = 0.25;
  sync.block_momentum = 0.75;
  return sync;
}

job::Sync ssp(std::int64_t staleness, bool eager = false) {
  job::Sync sync = sync_of(PolicyName::ssp);
  sync.staleness = staleness;
  sync.eager = eager;
  return sync;
}

job::Sync periodic(PolicyName policy, std::int64_t period) {
  job::Sync sync = sync_of(policy);
  sync.period = period;
  return sync;
}

job::Sync adaptive(job::Adapts what, std::int64_t low, std::int64_t high, std::int64_t period = 10) {
  job::Sync sync = periodic(PolicyName::adaptive, period);
  sync.adapt = what;
  sync.low = low;
  sync.high = high;
  return sync;
}

/// Each policy once, with small numbers.
std::vector<job::Sync> all_policies() {
  return {sync_of(PolicyName::bsp),
          sync_of(PolicyName::asp),
          ssp(2),
          ssp(2, true),
          sync_of(PolicyName::quorum),
          sync_of(PolicyName::subset),
          periodic(PolicyName::local, 3),
          periodic(PolicyName::easgd, 3),
          periodic(PolicyName::bmuf, 3),
          sync_of(PolicyName::sign_vote),
          sync_of(PolicyName::gossip),
          adaptive(job::Adapts::staleness, 0, 4),
          adaptive(job::Adapts::period, 1, 4)};
}

Setup setup_of(std::size_t ranks, Clock total_steps, Clock clock = 0) {
  Setup setup;
  setup.total_steps = total_steps;
  setup.clocks.assign(ranks, clock);
  return setup;
}

/// A policy and what its last event asked for.
struct Driven {
  Driven(const job::Sync& sync, const Setup& setup) : policy(make_policy(sync, setup)) {}
  Verdict push(Rank rank, Clock clock, std::uint64_t rows = 1, double loss = 0, double now = 0) {
    return policy->push({rank, clock, rows, loss, now}, out);
  }
  /// What the rank owes.
  Verdict push(Rank rank) { return push(rank, policy->released(rank).due); }
  void lose(Rank rank, bool keep = false) { policy->lose(rank, keep, out); }
  void join(Rank rank) { policy->join(rank, out); }
  bool nothing() const { return out.fold.empty() && out.release.empty() && out.refresh.empty() && !out.change; }

  std::unique_ptr<Policy> policy;
  Actions out;
};

Floats random_floats(std::size_t count, std::uint32_t seed) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> any(-1, 1);
  Floats out(count);
  for (float& x : out) x = any(engine);
  return out;
}

bool same_bits(const Floats& a, const Floats& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](float x, float y) {
    return std::bit_cast<std::uint32_t>(x) == std::bit_cast<std::uint32_t>(y);
  });
}

/// ssp said in the plainest way: by looking at all ranks whenever anything happens.
class SspOracle {
 public:
  SspOracle(std::size_t ranks, Clock staleness, Clock total) : ranks_(ranks), staleness_(staleness), total_(total) {}

  bool owes(Rank r) const { return at(r).active && !at(r).parked && at(r).clock < total_; }
  bool active(Rank r) const { return at(r).active; }
  Clock clock(Rank r) const { return at(r).clock; }
  Actions push(Rank r) {
    const Clock before = least();
    ++at(r).clock, at(r).parked = true;
    return settle(before);
  }
  Actions lose(Rank r) {
    const Clock before = least();
    at(r).active = false;
    return settle(before);
  }
  Actions join(Rank r) {
    const bool alone = std::none_of(ranks_.begin(), ranks_.end(), [](const Part& p) { return p.active; });
    const Clock before = least();
    if (!alone) at(r).clock = std::max(at(r).clock, std::min(before, total_));
    at(r).active = at(r).parked = true;
    return settle(before);
  }

 private:
  struct Part {
    bool active = true, parked = false;
    Clock clock = 0;
  };
  static constexpr Clock none = ~Clock{0};
  Part& at(Rank r) { return ranks_[static_cast<std::size_t>(r)]; }
  const Part& at(Rank r) const { return ranks_[static_cast<std::size_t>(r)]; }
  Clock least() const {
    Clock least = none;
    for (const Part& p : ranks_)
      if (p.active && p.clock < total_) least = std::min(least, p.clock);
    return least;
  }
  Actions settle(Clock before) {
    Actions out;
    const Clock least = this->least();
    for (Rank r = 0; r < static_cast<Rank>(ranks_.size()); ++r) {
      Part& p = at(r);
      if (!p.active) continue;
      if (p.parked && (p.clock >= total_ || p.clock - least <= staleness_)) {
        p.parked = false;
        out.release.push_back({r, p.clock, p.clock});
      } else if (!p.parked && p.clock < total_ && least != before && before != none) {
        out.refresh.push_back(r);
      }
    }
    return out;
  }

  std::vector<Part> ranks_;
  Clock staleness_, total_;
};

}  // namespace

TEST_CASE("a spec names the policy and its numbers") {
  CHECK(spec(sync_of(PolicyName::bsp)) == "bsp");
  CHECK(spec(sync_of(PolicyName::asp)) == "asp");
  CHECK(spec(ssp(3)) == "ssp:3");
  CHECK(spec(ssp(3, true)) == "ssp:3:eager");
  CHECK(spec(sync_of(PolicyName::quorum)) == "quorum:2");
  CHECK(spec(sync_of(PolicyName::subset)) == "subset:2");
  CHECK(spec(periodic(PolicyName::local, 10)) == "local:10");
  CHECK(spec(periodic(PolicyName::easgd, 11)) == "easgd:11");
  CHECK(spec(periodic(PolicyName::bmuf, 12)) == "bmuf:12");
  CHECK(spec(sync_of(PolicyName::sign_vote)) == "sign_vote");
  CHECK(spec(sync_of(PolicyName::gossip)) == "gossip");
  CHECK(spec(adaptive(job::Adapts::staleness, 0, 10)) == "adaptive:0-10");
  CHECK(spec(adaptive(job::Adapts::period, 1, 10)) == "adaptive:period:1-10");
}

TEST_CASE("a policy's traits fit what its update is and begin its spec") {
  for (const job::Sync& sync : all_policies()) {
    const Traits its = traits(sync);
    CAPTURE(spec(sync));
    CHECK(spec(sync).starts_with(job::policy_name(sync.policy)));
    const Update update = update_of(sync);
    CHECK(its.weights == !(std::holds_alternative<OptimizerStep>(update) || std::holds_alternative<Vote>(update)));
    CHECK(its.votes == std::holds_alternative<Vote>(update));
    const bool blocks = its.weights && sync.policy != PolicyName::easgd && sync.policy != PolicyName::gossip;
    CHECK(its.decided == (blocks || sync.policy == PolicyName::quorum));
    CHECK(its.abandons == (sync.policy == PolicyName::quorum));
    CHECK(its.folds_some == (sync.policy == PolicyName::quorum || sync.policy == PolicyName::subset));
    const bool steps = sync.policy == PolicyName::bsp || its.votes || its.folds_some;
    CHECK(its.gated == (blocks || steps));
  }
}

TEST_CASE("every rank starts released at its own clock, and an absent one owes nothing") {
  for (const job::Sync& sync : all_policies()) {
    CAPTURE(spec(sync));
    Setup setup = setup_of(4, 60, 6);
    setup.absent = {3};
    setup.clocks[3] = 2;
    Driven run(sync, setup);
    for (Rank rank = 0; rank < 4; ++rank) CHECK(run.policy->released(rank).clock == (rank == 3 ? 2 : 6));
    CHECK(run.push(3) == Verdict::stray);
    CHECK(run.nothing());
  }
}

TEST_CASE("only bsp, sign_vote and subset take an update back") {
  for (const job::Sync& sync : all_policies()) {
    CAPTURE(spec(sync));
    Driven run(sync, setup_of(3, 30));
    for (int i = 0; i < 9; ++i) run.push(i % 3);
    if (sync.policy == PolicyName::bsp || traits(sync).votes || sync.policy == PolicyName::subset)
      CHECK_NOTHROW(run.policy->undo(0, run.out));
    else
      CHECK_THROWS_AS(run.policy->undo(0, run.out), std::logic_error);
  }
}

TEST_CASE("no event allocates once the vectors have grown") {
  for (const job::Sync& sync : all_policies()) {
    CAPTURE(spec(sync));
    Driven run(sync, setup_of(32, 5000));
    std::mt19937 engine(5);
    Ranks order(32);
    std::iota(order.begin(), order.end(), 0);
    // In rounds, so that under asp too the clocks stay as near to each other as they were.
    const auto drive = [&](int rounds) {
      for (int round = 0; round < rounds; ++round) {
        std::shuffle(order.begin(), order.end(), engine);
        for (const Rank rank : order) {
          const auto kind = engine() % 50;
          if (kind == 0 && rank > 16) run.lose(rank, round % 2 == 0);
          if (kind == 1) run.join(rank);
          run.push(rank, run.policy->released(rank).due, engine() % 4, 1 + round % 7, round + rank * 0.01);
        }
      }
    };
    drive(1000);
    const long before = allocations;
    drive(1000);
    CHECK(allocations == before);
  }
}

TEST_CASE("under bsp who joins is released with the others when the step in flight is over") {
  Driven run(sync_of(PolicyName::bsp), setup_of(3, 10));
  run.lose(2);
  run.push(0);
  run.join(2);
  CHECK(run.nothing());
  CHECK(run.push(2, 0) == Verdict::stray);
  run.push(1);
  CHECK(run.out.fold == Ranks{0, 1});
  CHECK(run.out.release == Releases{{0, 1, 1}, {1, 1, 1}, {2, 1, 1}});
}

TEST_CASE("under bsp who joins when nobody is left takes over the step in flight") {
  Driven run(sync_of(PolicyName::bsp), setup_of(3, 10, 4));
  run.push(0);
  run.lose(0, true);
  run.lose(1);
  run.lose(2);
  CHECK(run.nothing());
  run.join(1);
  CHECK(run.out.release == Releases{{1, 4, 4}});
  run.push(1);
  CHECK(run.out.fold == Ranks{0, 1});
  CHECK(run.out.release == Releases{{1, 5, 5}});
}

TEST_CASE("under bsp a push that was kept counts for the rank that comes back") {
  Driven run(sync_of(PolicyName::bsp), setup_of(2, 10));
  run.push(0);
  run.lose(0, true);
  run.lose(1);
  run.join(0);
  CHECK(run.out.fold == Ranks{0});
  CHECK(run.out.release == Releases{{0, 1, 1}});
}

TEST_CASE("under bsp a step that is taken back waits for nobody who has joined since") {
  Driven run(sync_of(PolicyName::bsp), setup_of(3, 10));
  run.lose(2);
  run.push(0);
  run.join(2);
  run.push(1);
  run.policy->undo(1, run.out);
  CHECK(run.out.fold == Ranks{0});
  CHECK(run.out.release == Releases{{0, 1, 1}, {2, 1, 1}});
}

TEST_CASE("who joins at the greatest of several owners' entries starts there under each of them") {
  for (const job::Sync& sync : {sync_of(PolicyName::asp), ssp(2), ssp(0), periodic(PolicyName::easgd, 3),
                                adaptive(job::Adapts::staleness, 0, 4)})
    for (unsigned seed = 0; seed < 200; ++seed) {
      CAPTURE(spec(sync));
      CAPTURE(seed);
      std::mt19937 engine(seed);
      std::vector<Driven> owners;
      for (int m = 0; m < 3; ++m) owners.emplace_back(sync, setup_of(4, 40));
      const auto drive = [&](Driven& owner, std::uint64_t pushes) {
        for (std::uint64_t i = 0; i < pushes; ++i) owner.push(static_cast<Rank>(engine() % 4));
      };
      for (Driven& owner : owners) drive(owner, engine() % 60), owner.lose(3), drive(owner, engine() % 20);
      Clock first = 0;
      for (const Driven& owner : owners) first = std::max(first, owner.policy->entry(3));
      if (first >= 40) continue;
      for (Driven& owner : owners) {
        owner.policy->join_from(3, first, owner.out);
        const auto is_in = [&] {
          return std::any_of(owner.out.release.begin(), owner.out.release.end(),
                             [](const Release& release) { return release.rank == 3; });
        };
        for (int i = 0; i < 300 && !is_in(); ++i) owner.push(i % 3);
        REQUIRE(is_in());
        CHECK(owner.policy->released(3).clock == first);
      }
    }
}

TEST_CASE("under asp who joins starts at the least clock of the others, or its own if that is more") {
  Driven run(sync_of(PolicyName::asp), setup_of(3, 10));
  for (int i = 0; i < 3; ++i) run.push(0);
  for (int i = 0; i < 5; ++i) run.push(1);
  run.lose(2);
  run.join(2);
  CHECK(run.out.release == Releases{{2, 3, 3}});
  run.lose(1);
  run.join(1);
  CHECK(run.out.release == Releases{{1, 5, 5}});
}

TEST_CASE("under ssp events ask for what a look at all ranks would") {
  for (std::uint32_t seed = 1; seed <= 400; ++seed) {
    CAPTURE(seed);
    std::mt19937 engine(seed);
    const std::size_t ranks = 1 + engine() % 7;
    const Clock staleness = engine() % 5, total = 20 + engine() % 40;
    Driven run(ssp(static_cast<std::int64_t>(staleness), true), setup_of(ranks, total));
    SspOracle oracle(ranks, staleness, total);
    for (int event = 0; event < 400; ++event) {
      const auto rank = static_cast<Rank>(engine() % ranks);
      Actions expected;
      if (engine() % 25 == 0) {
        const bool leaves = oracle.active(rank);
        leaves ? run.lose(rank) : run.join(rank);
        expected = leaves ? oracle.lose(rank) : oracle.join(rank);
      } else {
        const bool owes = oracle.owes(rank);
        REQUIRE((run.push(rank, oracle.clock(rank)) == Verdict::taken) == owes);
        if (owes) {
          expected = oracle.push(rank);
          expected.fold = {rank};
        }
      }
      REQUIRE(run.out.fold == expected.fold);
      REQUIRE(run.out.release.size() == expected.release.size());
      for (std::size_t i = 0; i < expected.release.size(); ++i) {
        REQUIRE(run.out.release[i].rank == expected.release[i].rank);
        REQUIRE(run.out.release[i].clock == expected.release[i].clock);
      }
      REQUIRE(run.out.refresh == expected.refresh);
    }
  }
}

TEST_CASE("under ssp without a bound worth the name everybody is released at once") {
  Driven run(ssp(1'000'000'000), setup_of(2, 5000));
  for (Clock clock = 0; clock < 5000; ++clock) {
    REQUIRE(run.push(1, clock) == Verdict::taken);
    REQUIRE(run.out.release == Releases{{1, clock + 1, clock + 1}});
  }
}

TEST_CASE("under ssp a rank that has done all its steps is released and holds nobody back") {
  Driven run(ssp(0), setup_of(2, 2));
  run.push(0);
  run.push(1);
  CHECK(run.out.release == Releases{{0, 1, 1}, {1, 1, 1}});
  run.push(0);
  CHECK(run.out.release == Releases{{0, 2, 2}});
  CHECK(run.push(0, 2) == Verdict::stray);
  run.push(1);
  CHECK(run.out.release == Releases{{1, 2, 2}});
}

TEST_CASE("a quorum folds the first ranks that have rows, lets all go, and tells late pushes from strays") {
  Driven run(sync_of(PolicyName::quorum), setup_of(4, 10));
  CHECK(run.push(3) == Verdict::taken);
  CHECK(run.push(3, 0) == Verdict::stray);
  CHECK(run.push(1, 0, 0) == Verdict::taken);
  CHECK(run.out.release.empty());
  run.push(2);
  CHECK(run.out.fold == Ranks{2, 3});
  CHECK(run.out.release == Releases{{0, 1, 1}, {1, 1, 1}, {2, 1, 1}, {3, 1, 1}});
  CHECK(run.push(0, 0) == Verdict::late);
  CHECK(run.nothing());
  CHECK(run.push(0, 2) == Verdict::stray);
}

TEST_CASE("a quorum is all who have rows if they are fewer, and a loss may complete it") {
  Driven run(sync_of(PolicyName::quorum), setup_of(3, 10));
  run.push(0, 0, 0);
  run.push(1, 0, 0);
  CHECK(run.nothing());
  run.push(2);
  CHECK(run.out.fold == Ranks{2});
  run.push(0);
  run.lose(1);
  CHECK(run.nothing());
  run.lose(2);
  CHECK(run.out.fold == Ranks{0});
  CHECK(run.out.release == Releases{{0, 2, 2}});
}

TEST_CASE("under subset a step is its members', wherever it is asked who they are") {
  const job::Sync sync = sync_of(PolicyName::subset);
  Setup setup = setup_of(5, 200);
  setup.absent = {1};
  Driven run(sync, setup);
  std::vector<std::unique_ptr<Rhythm>> workers;
  for (Rank rank = 0; rank < 5; ++rank) workers.push_back(make_rhythm(sync, setup, rank));
  const Ranks active{0, 2, 3, 4};
  for (Clock clock = 0; clock < 200; ++clock) {
    const Ranks members = subset_of(setup.seed, clock, 2, active, 5);
    REQUIRE(members.size() == 2);
    for (const Rank rank : active) {
      const bool member = std::count(members.begin(), members.end(), rank) > 0;
      REQUIRE(workers[static_cast<std::size_t>(rank)]->turn(clock, clock).computes == member);
      if (!member) REQUIRE(run.push(rank, clock) == Verdict::stray);
    }
    REQUIRE(run.push(members[1], clock) == Verdict::taken);
    REQUIRE(run.nothing());
    REQUIRE(run.push(members[0], clock) == Verdict::taken);
    REQUIRE(run.out.fold == members);
    REQUIRE(run.out.release.size() == active.size());
  }
}

TEST_CASE("under subset a step whose members are lost goes on without them") {
  Driven run(sync_of(PolicyName::subset), setup_of(4, 10));
  const Ranks members = subset_of(1, 0, 2, {0, 1, 2, 3}, 4);
  run.push(members[0]);
  run.lose(members[1]);
  CHECK(run.out.fold == Ranks{members[0]});
  CHECK(run.out.release.size() == 3);
}

TEST_CASE("a subset is drawn from the active ranks only, and is all of them if they are few") {
  for (Clock clock = 0; clock < 100; ++clock) {
    const Ranks drawn = subset_of(3, clock, 2, {1, 4, 5}, 7);
    REQUIRE(drawn.size() == 2);
    for (const Rank rank : drawn) REQUIRE((rank == 1 || rank == 4 || rank == 5));
    REQUIRE(drawn[0] < drawn[1]);
    REQUIRE(subset_of(3, clock, 4, {1, 4, 5}, 7) == Ranks{1, 4, 5});
  }
  CHECK(subset_of(3, 5, 2, {}, 7).empty());
}

TEST_CASE("in the long run each rank is drawn k times in N") {
  constexpr int draws = 20000;
  struct Case {
    int ranks, size;
  };
  for (const Case c : {Case{2, 1}, Case{4, 2}, Case{5, 2}, Case{9, 7}}) {
    CAPTURE(c.ranks);
    Ranks all;
    for (Rank rank = 0; rank < c.ranks; ++rank) all.push_back(rank);
    std::vector<int> drawn(all.size(), 0);
    for (Clock clock = 0; clock < draws; ++clock)
      for (const Rank rank : subset_of(11, clock, c.size, all, all.size())) ++drawn[static_cast<std::size_t>(rank)];
    const double share = static_cast<double>(c.size) / c.ranks;
    const double sigma = std::sqrt(draws * share * (1 - share));
    for (const int times : drawn) CHECK(std::abs(times - draws * share) < 4 * sigma);
  }
}

TEST_CASE("every subset is drawn equally often, and their folds' mean is the full gradient") {
  constexpr int draws = 20000;
  const Ranks all{0, 1, 2, 3, 4};
  const double gradient[] = {3, -1, 4, -1, 5};
  std::vector<int> drawn(32, 0);
  for (Clock clock = 0; clock < draws; ++clock) {
    unsigned subset = 0;
    for (const Rank rank : subset_of(2, clock, 2, all, 5)) subset |= 1u << rank;
    ++drawn[subset];
  }
  double mean = 0;
  int subsets = 0;
  for (unsigned subset = 0; subset < 32; ++subset) {
    if (std::popcount(subset) != 2) {
      CHECK(drawn[subset] == 0);
      continue;
    }
    ++subsets;
    for (unsigned rank = 0; rank < 5; ++rank)
      if (subset >> rank & 1) mean += gradient[rank] / 2;
    CHECK(std::abs(drawn[subset] - draws / 10.0) < 4 * std::sqrt(draws * 0.1 * 0.9));
  }
  CHECK(subsets == 10);
  CHECK(mean / subsets == doctest::Approx((3 - 1 + 4 - 1 + 5) / 5.0));
}

TEST_CASE("blocks are of one step until single_until, then of a period, and the last ends with the run") {
  for (const PolicyName name : {PolicyName::local, PolicyName::bmuf}) {
    Setup setup = setup_of(2, 12);
    setup.single_until = 3;
    Driven run(periodic(name, 4), setup);
    std::vector<Clock> ends;
    for (Clock clock = 0; clock < 12;) {
      const Clock due = run.policy->released(0).due;
      ends.push_back(due);
      if (due > clock) REQUIRE(run.push(0, clock) == Verdict::stray);
      REQUIRE(run.push(1, due) == Verdict::taken);
      REQUIRE(run.nothing());
      REQUIRE(run.push(0, due) == Verdict::taken);
      REQUIRE(run.out.fold == Ranks{0, 1});
      clock = due + 1;
      REQUIRE(run.policy->released(1).clock == clock);
    }
    CHECK(ends == std::vector<Clock>{0, 1, 2, 6, 10, 11});
  }
}

TEST_CASE("a run that goes on inside a block ends it where it would have ended") {
  Setup setup = setup_of(3, 100);
  setup.single_until = 2;
  setup.clocks = {23, 25, 31};
  const auto policy = make_policy(periodic(PolicyName::local, 10), setup);
  for (Rank rank = 0; rank < 3; ++rank)
    CHECK(policy->released(rank) == Release{rank, setup.clocks[static_cast<std::size_t>(rank)], 31});
}

TEST_CASE("easgd owes a push in the last step of every period and of the run, and never waits") {
  Driven run(periodic(PolicyName::easgd, 4), setup_of(2, 10, 5));
  CHECK(run.policy->released(0) == Release{0, 5, 7});
  CHECK(run.push(0, 5) == Verdict::stray);
  CHECK(run.push(0, 7) == Verdict::taken);
  CHECK(run.out.fold == Ranks{0});
  CHECK(run.out.release == Releases{{0, 8, 9}});
  CHECK(run.push(0, 9) == Verdict::taken);
  CHECK(run.out.release == Releases{{0, 10, 10}});
  CHECK(run.push(0, 10) == Verdict::stray);
  Driven start(periodic(PolicyName::easgd, 4), setup_of(1, 10));
  CHECK(start.policy->released(0) == Release{0, 0, 3});
}

TEST_CASE("a rhythm exchanges gradients in each step, weights where a push is due") {
  for (const job::Sync& sync : all_policies()) {
    if (sync.policy == PolicyName::subset || sync.policy == PolicyName::gossip) continue;
    CAPTURE(spec(sync));
    const auto rhythm = make_rhythm(sync, setup_of(4, 10), 1);
    const bool elastic = sync.policy == PolicyName::easgd;
    const Turn between = rhythm->turn(4, 6), at = rhythm->turn(6, 6);
    CHECK(between.computes);
    CHECK(at.computes);
    if (traits(sync).weights) {
      CHECK(between.exchange == Turn::Exchange::none);
      CHECK(at.exchange == (elastic ? Turn::Exchange::weights_before : Turn::Exchange::weights_after));
    } else {
      CHECK(at.exchange == Turn::Exchange::gradient);
    }
  }
}

TEST_CASE("an adaptive staleness is raised to what the slowest is expected to take, and stays inside its bounds") {
  // Rank 0 takes 1 s a step, rank 1 takes `slow`.
  for (const double slow : {1.0, 3.0, 4.4, 50.0}) {
    CAPTURE(slow);
    Driven run(adaptive(job::Adapts::staleness, 1, 6), setup_of(2, 1000));
    Clock greatest = 0;
    std::int64_t bound = 1;
    double ready[] = {1, slow};
    for (int event = 0; event < 400; ++event) {
      const auto parked = [&](Rank rank) { return ready[rank] == HUGE_VAL; };
      const Rank rank = ready[0] <= ready[1] ? 0 : 1;
      const double now = ready[rank];
      REQUIRE_FALSE(parked(rank));
      REQUIRE(run.push(rank, run.policy->released(rank).due, 1, 0, now) == Verdict::taken);
      ready[rank] = HUGE_VAL;
      for (const Release& release : run.out.release) {
        ready[release.rank] = now + (release.rank == 0 ? 1 : slow);
        const Clock other = run.policy->released(1 - release.rank).clock;
        if (release.clock > other) greatest = std::max(greatest, release.clock - other);
      }
      if (!run.out.change) continue;
      REQUIRE(run.out.change->what == std::string("staleness"));
      REQUIRE(run.out.change->from == bound);
      bound = run.out.change->to;
      REQUIRE((bound >= 1 && bound <= 6));
    }
    REQUIRE(run.policy->memory() == std::vector<double>{static_cast<double>(bound)});
    CHECK(greatest <= 6);
    if (slow == 1.0) CHECK(bound == 1);
    if (slow == 50.0) CHECK(greatest == 6);
  }
}

TEST_CASE("an adaptive staleness is what the two intervals say") {
  Driven run(adaptive(job::Adapts::staleness, 2, 8), setup_of(2, 1000));
  run.push(1, 0, 1, 0, 0);
  run.push(1, 1, 1, 0, 4.375);  // expected next at 8.75
  for (Clock clock = 0; clock < 4; ++clock) run.push(0, clock, 1, 0, 4.5 + static_cast<double>(clock) / 2);
  CHECK_FALSE(run.out.change);
  run.push(0, 4, 1, 0, 6.5);  // by 8.75 it would do 4.5 steps of half a second: 4 come as near as 5
  REQUIRE(run.out.change);
  CHECK(run.out.change->from == 2);
  CHECK(run.out.change->to == 6);
  CHECK(run.out.release == Releases{{0, 5, 5}});
}

TEST_CASE("an adaptive staleness goes on where it was") {
  Setup setup = setup_of(2, 100, 10);
  setup.memory = {3};
  Driven run(adaptive(job::Adapts::staleness, 0, 5), setup);
  for (Clock clock = 10; clock < 13; ++clock) {
    run.push(0, clock);
    CHECK(run.out.release.size() == 1);
  }
  run.push(0, 13);
  CHECK(run.nothing() == false);
  CHECK(run.out.release.empty());
}

TEST_CASE("an adaptive period follows the root of the loss inside its bounds") {
  Driven run(adaptive(job::Adapts::period, 2, 12, 8), setup_of(2, 1000));
  const auto block = [&](double first, double second) {
    const Clock due = run.policy->released(0).due;
    run.push(0, due, 3, first);
    run.push(1, due, 1, second);
    return run.policy->released(0).due - due;
  };
  CHECK(block(4, 8) == 8);  // the mean by rows is 5
  CHECK_FALSE(run.out.change);
  CHECK(block(5, 5) == 8);
  CHECK(block(1.25, 1.25) == 4);
  REQUIRE(run.out.change);
  CHECK(run.out.change->what == std::string("period"));
  CHECK(run.out.change->from == 8);
  CHECK(run.out.change->to == 4);
  CHECK(run.out.change->clock == run.policy->released(0).clock);
  CHECK(block(0.001, 0.001) == 2);
  CHECK(block(500, 500) == 12);
  CHECK(block(std::nan(""), 1) == 12);
}

TEST_CASE("an adaptive period that is set from its memory ends its block as before, and goes on alike") {
  const job::Sync sync = adaptive(job::Adapts::period, 2, 12, 8);
  Driven run(sync, setup_of(1, 1000));
  run.push(0, 7, 1, 4);
  run.push(0, 15, 1, 2.25);
  const Release released = run.policy->released(0);
  CHECK(released == Release{0, 16, 21});
  Setup setup = setup_of(1, 1000, 19);
  setup.memory = run.policy->memory();
  Driven next(sync, setup);
  CHECK(next.policy->released(0) == Release{0, 19, 21});
  for (Driven* each : {&run, &next}) each->push(0, 21, 1, 1);
  CHECK(next.out.release == run.out.release);
  CHECK(next.policy->memory() == run.policy->memory());
}

TEST_CASE("each policy has its update, and keeps the arenas that it needs") {
  CHECK(std::get<Elastic>(update_of(sync_of(PolicyName::easgd))).alpha == 0.25f);
  CHECK(std::get<Block>(update_of(sync_of(PolicyName::bmuf))).momentum == 0.75f);
  CHECK(std::holds_alternative<Average>(update_of(sync_of(PolicyName::local))));
  CHECK(std::holds_alternative<Average>(update_of(sync_of(PolicyName::gossip))));
  CHECK(std::holds_alternative<Vote>(update_of(sync_of(PolicyName::sign_vote))));
  CHECK(extra_arenas(sync_of(PolicyName::sign_vote)) == 0);
  CHECK(extra_arenas(sync_of(PolicyName::bmuf)) == 2);
  job::Sync delay = sync_of(PolicyName::asp);
  delay.compensation = job::Compensation::delay;
  CHECK(extra_arenas(delay) == 0);
  delay.adaptive_lambda = true;
  CHECK(extra_arenas(delay) == 1);
}

TEST_CASE("an elastic pull moves worker and centre by the same amount, so that their sum stays") {
  const Elastic rule{0.3f};
  const Floats pushed = random_floats(1003, 1), centre = random_floats(1003, 2);
  Floats worker = pushed, next = centre;
  pull_worker(rule, pushed, centre, worker);
  pull_centre(rule, pushed, next, next);
  for (std::size_t k = 0; k < centre.size(); ++k) {
    REQUIRE(std::abs(worker[k] + next[k] - pushed[k] - centre[k]) < 1e-6f);
    REQUIRE(next[k] == centre[k] + 0.3f * (pushed[k] - centre[k]));
  }
}

TEST_CASE("an elastic pull of 0 changes nothing") {
  const Floats pushed = random_floats(100, 1), centre = random_floats(100, 2);
  Floats worker = pushed, next(100);
  pull_worker(Elastic{0}, pushed, centre, worker);
  pull_centre(Elastic{0}, pushed, centre, next);
  CHECK(same_bits(worker, pushed));
  CHECK(same_bits(next, centre));
}

TEST_CASE("a block step without momentum at rate 1 is the average") {
  const Floats average = random_floats(1003, 3), start = random_floats(1003, 4), change = random_floats(1003, 5);
  for (const bool nesterov : {false, true}) {
    Floats next_start(1003), next_change(1003), model(1003);
    step_block({0, 1, nesterov}, average, start, change, start, next_start, next_change, model);
    for (std::size_t k = 0; k < average.size(); ++k) REQUIRE(std::abs(model[k] - average[k]) < 1e-6f);
    CHECK(same_bits(next_start, model));
  }
}

TEST_CASE("a block that always changes by G ends in steps of rate / (1 - momentum) * G, in place") {
  for (const bool nesterov : {false, true}) {
    const Block rule{0.75f, 0.5f, nesterov};
    Floats start(37, 0), change(37, 0), model(37, 0), before;
    for (int block = 0; block < 200; ++block) {
      before = model;
      Floats average = start;
      for (float& x : average) x += 0.125f;
      step_block(rule, average, start, change, model, start, change, model);
      for (std::size_t k = 0; k < model.size(); ++k)
        REQUIRE(start[k] == model[k] + (nesterov ? rule.momentum : 0) * change[k]);
    }
    for (std::size_t k = 0; k < model.size(); ++k) {
      CHECK(change[k] == doctest::Approx(0.5 / (1 - 0.75) * 0.125).epsilon(1e-4));
      CHECK(model[k] - before[k] == doctest::Approx(0.25).epsilon(1e-3));
    }
  }
}

TEST_CASE("a gradient is not corrected by a lambda of 0, nor where its weights have not moved") {
  const Floats gradient = random_floats(1003, 6), weights = random_floats(1003, 7), pulled = random_floats(1003, 8);
  Floats out(1003), squares(1003, 0.5f);
  compensate_delay(0, gradient, weights, pulled, out);
  CHECK(same_bits(out, gradient));
  compensate_delay(0.04f, gradient, weights, weights, out);
  CHECK(same_bits(out, gradient));
  compensate_delay(0.04f, gradient, weights, weights, squares, squares, out);
  CHECK(same_bits(out, gradient));
}

TEST_CASE("a delayed gradient is corrected by lambda * g * g * (w - w_pulled), and adaptively by the mean squares") {
  const Floats gradient = random_floats(1003, 6), weights = random_floats(1003, 7), pulled = random_floats(1003, 8);
  const Floats before = Floats(1003, 0.25f);
  Floats plain(1003), scaled(1003), squares(1003);
  compensate_delay(0.04f, gradient, weights, pulled, plain);
  compensate_delay(0.04f, gradient, weights, pulled, before, squares, scaled);
  for (std::size_t k = 0; k < gradient.size(); ++k) {
    const double g = gradient[k], correction = 0.04 * g * g * (static_cast<double>(weights[k]) - pulled[k]);
    REQUIRE(plain[k] == doctest::Approx(g + correction).epsilon(1e-5));
    const double mean = 0.95 * 0.25 + 0.05 * g * g;
    REQUIRE(squares[k] == doctest::Approx(mean).epsilon(1e-5));
    REQUIRE(scaled[k] == doctest::Approx(g + correction / std::sqrt(mean + 1e-7)).epsilon(1e-5));
  }
}
