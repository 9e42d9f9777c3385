/// Majority votes by sign, and gossip between pairs: their kernels, and what they promise a run.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <functional>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "math/fold.hpp"
#include "math/signs.hpp"
#include "sync/gossip.hpp"
#include "sync/vote.hpp"

using namespace dtrain;
using namespace dtrain::sync;

namespace {

using Floats = std::vector<float>;

/// Some of them zero, of either sign.
Floats random_values(std::size_t count, std::uint32_t seed) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> any(-1, 1);
  Floats out(count);
  for (float& x : out) x = engine() % 5 == 0 ? (engine() % 2 == 0 ? 0.0f : -0.0f) : any(engine);
  return out;
}

float expected_sign(float value, std::uint64_t step, std::uint64_t index) {
  if (value > 0) return 1;
  if (value < 0) return -1;
  return (step + index) % 2 == 0 ? 1.0f : -1.0f;
}

Floats signs(const Floats& values, SignPlace place) {
  Floats out(values.size());
  signs_of(values, place, out);
  return out;
}

Floats sum_of(const std::vector<Floats>& votes) {
  std::vector<Share> shares;
  for (const Floats& each : votes) shares.push_back({each.data(), 1});
  Floats sum(votes.front().size());
  fold(shares, sum);
  return sum;
}

/// The step that an owner takes by the sum of the votes.
void step_by(const Floats& sum, std::uint64_t step, float rate, Floats& weights) {
  step_vote(signs(sum, {step, 0}), rate, 0, weights, weights);
}

/// A logistic problem: rows of a plane, and the side of a line on which each lies.
struct Logistic {
  std::vector<Floats> rows;
  Floats sides;
  explicit Logistic(std::size_t count) : sides(count) {
    std::mt19937 engine(3);
    std::normal_distribution<float> any;
    for (std::size_t r = 0; r < count; ++r) {
      rows.push_back({any(engine), any(engine), any(engine), 1});
      sides[r] = 2 * rows[r][0] - rows[r][1] + 0.5f * rows[r][2] + 0.3f > 0 ? 1.0f : 0.0f;
    }
  }
  double loss(const Floats& w) const {
    double sum = 0;
    for (std::size_t r = 0; r < rows.size(); ++r) {
      const double z = std::inner_product(w.begin(), w.end(), rows[r].begin(), 0.0);
      sum += std::max(z, 0.0) - z * static_cast<double>(sides[r]) + std::log1p(std::exp(-std::abs(z)));
    }
    return sum / static_cast<double>(rows.size());
  }
  /// Over every `of`-th row from `part` on.
  Floats gradient(const Floats& w, std::size_t part, std::size_t of) const {
    Floats g(w.size());
    for (std::size_t r = part; r < rows.size(); r += of) {
      const double z = std::inner_product(w.begin(), w.end(), rows[r].begin(), 0.0);
      const double error = 1 / (1 + std::exp(-z)) - static_cast<double>(sides[r]);
      for (std::size_t k = 0; k < g.size(); ++k) g[k] += static_cast<float>(error) * rows[r][k];
    }
    return g;
  }
};

/// The loss after some steps of nine workers, four of whom send -100 times their gradient.
double loss_among_liars(const Logistic& problem, bool votes) {
  Floats w(4);
  for (std::uint64_t step = 0; step < 200; ++step) {
    std::vector<Floats> sent;
    for (std::size_t rank = 0; rank < 9; ++rank) {
      Floats g = problem.gradient(w, rank, 9);
      for (float& x : g) x *= rank < 4 ? -100.0f : 1.0f;
      sent.push_back(votes ? signs(g, {step, 0}) : g);
    }
    const Floats sum = sum_of(sent);
    if (votes)
      step_by(sum, step, 0.02f, w);
    else
      for (std::size_t k = 0; k < w.size(); ++k) w[k] -= 0.02f / 9 * sum[k];
  }
  return problem.loss(w);
}

std::vector<Rank> ranks(int n) {
  std::vector<Rank> out(static_cast<std::size_t>(n));
  std::iota(out.begin(), out.end(), 0);
  return out;
}

double distance_to_mean(const std::vector<Floats>& all) {
  double sum = 0;
  for (std::size_t k = 0; k < all.front().size(); ++k) {
    double mean = 0;
    for (const Floats& each : all) mean += static_cast<double>(each[k]) / static_cast<double>(all.size());
    for (const Floats& each : all) sum += (static_cast<double>(each[k]) - mean) * (static_cast<double>(each[k]) - mean);
  }
  return sum;
}

}  // namespace

TEST_CASE("a vote is the same whatever the order of the votes, and its step is the rate and the decay") {
  std::mt19937 engine(1);
  for (const std::size_t voters : {1u, 2u, 5u, 8u, 64u}) {
    std::vector<Floats> votes;
    for (std::uint32_t v = 0; v < voters; ++v) votes.push_back(signs(random_values(3001, 100 + v), {9, 40}));
    const Floats sum = sum_of(votes), weights = random_values(3001, 5);
    for (int k = 0; k < 5; ++k) {
      std::shuffle(votes.begin(), votes.end(), engine);
      CHECK(sum_of(votes) == sum);
    }
    Floats next = signs(sum, {9, 40});
    step_vote(next, 0.1f, 0.01f, weights, next);
    for (std::size_t k = 0; k < sum.size(); ++k)
      REQUIRE(next[k] == weights[k] - 0.1f * (expected_sign(sum[k], 9, 40 + k) + 0.01f * weights[k]));
  }
}

TEST_CASE("a weight without gradient, or with tied votes, does not drift") {
  const Floats nothing(33);
  Floats by_zero(33, 0.5f), by_tie(33, 0.5f);
  const Floats all = random_values(33, 2);
  Floats against = all;
  for (float& x : against) x = -x;
  for (std::uint64_t step = 0; step < 1000; ++step) {
    step_by(sum_of({signs(nothing, {step, 0}), signs(nothing, {step, 0})}), step, 0.125f, by_zero);
    Floats one = all, other = against;
    for (std::size_t k = 0; k < one.size(); ++k)
      if (one[k] == 0) one[k] = 1, other[k] = -1;
    step_by(sum_of({signs(one, {step, 0}), signs(other, {step, 0})}), step, 0.125f, by_tie);
    for (const Floats* w : {&by_zero, &by_tie})
      for (const float x : *w) REQUIRE(std::abs(x - 0.5f) <= 0.125f);
  }
  CHECK(by_zero == Floats(33, 0.5f));
  CHECK(by_tie == Floats(33, 0.5f));
}

TEST_CASE("a vote learns though four of nine send -100 times their gradient, and an average does not") {
  const Logistic problem(900);
  const double before = problem.loss(Floats(4));
  CHECK(loss_among_liars(problem, true) < 0.5 * before);
  CHECK(loss_among_liars(problem, false) > 10 * before);
}

TEST_CASE("an even rank asks an odd one that takes part, another in another step, and each is asked alike") {
  for (int n = 1; n <= 9; ++n) {
    std::vector<int> asked(static_cast<std::size_t>(n));
    constexpr int steps = 4000;
    for (Clock clock = 0; clock < steps; ++clock)
      for (Rank rank = 0; rank < n; ++rank) {
        const auto partner = partner_of(11, rank, clock, ranks(n));
        CHECK(partner.has_value() == (rank % 2 == 0 && n > 1));
        if (!partner) continue;
        REQUIRE(*partner % 2 == 1);
        REQUIRE(*partner < n);
        CHECK(partner == partner_of(11, rank, clock, ranks(n)));
        ++asked[static_cast<std::size_t>(*partner)];
      }
    const int odd = n / 2, even = n - odd;
    for (Rank rank = 1; rank < n; rank += 2)
      CHECK(asked[static_cast<std::size_t>(rank)] == doctest::Approx(double(steps) * even / odd).epsilon(0.1));
  }
  for (Clock clock = 0; clock < 100; ++clock) CHECK(partner_of(1, 0, clock, {0, 2, 5}) == 5);
  CHECK_FALSE(partner_of(1, 0, 0, {0, 2, 4}));
}

TEST_CASE("a rhythm of gossip offers weights on even ranks in each step, while there is somebody to ask") {
  job::Sync sync;
  sync.policy = job::PolicyName::gossip;
  Setup setup;
  setup.clocks = {0, 0, 0};
  using Exchange = Turn::Exchange;
  for (Rank rank = 0; rank < 3; ++rank) {
    const auto rhythm = make_rhythm(sync, setup, rank);
    const Exchange wanted = rank == 1 ? Exchange::none : Exchange::weights_before;
    for (Clock clock = 0; clock < 5; ++clock) CHECK(rhythm->turn(clock, clock).exchange == wanted);
    rhythm->set_active({0, 2});
    CHECK(rhythm->turn(7, 7).exchange == Exchange::none);
  }
  setup.clocks = {0};
  CHECK(make_rhythm(sync, setup, 0)->turn(0, 0).exchange == Exchange::none);
}

TEST_CASE("an average of a pair keeps their sum, has the same bits on both sides, and takes no detour to infinity") {
  const Floats a = random_values(1003, 1), b = random_values(1003, 2);
  Floats mine = a, theirs(1003);
  average_pair(mine, b, mine);
  average_pair(b, a, theirs);
  CHECK(mine == theirs);
  for (std::size_t k = 0; k < a.size(); ++k) REQUIRE(std::abs(2 * mine[k] - a[k] - b[k]) < 1e-6f);
  const Floats most{std::numeric_limits<float>::max()};
  Floats out(1);
  average_pair(most, most, out);
  CHECK(out == most);
}

TEST_CASE("without gradients gossip brings all together: the distance to the mean never grows and ends at none") {
  for (int n = 2; n <= 9; ++n) {
    CAPTURE(n);
    std::mt19937 engine(static_cast<std::uint32_t>(n));
    std::vector<Floats> all;
    for (int rank = 0; rank < n; ++rank) all.push_back(random_values(17, static_cast<std::uint32_t>(100 + rank)));
    const double first = distance_to_mean(all);
    double before = first;
    std::vector<Clock> clocks(static_cast<std::size_t>(n));
    // Any rank may be any number of steps ahead.
    for (int event = 0; event < 400 * n; ++event) {
      const auto rank = static_cast<Rank>(engine() % static_cast<unsigned>(n));
      const auto partner = partner_of(5, rank, clocks[static_cast<std::size_t>(rank)]++, ranks(n));
      if (!partner) continue;
      Floats& mine = all[static_cast<std::size_t>(rank)];
      Floats& theirs = all[static_cast<std::size_t>(*partner)];
      average_pair(mine, theirs, mine);
      theirs = mine;
      const double now = distance_to_mean(all);
      REQUIRE(now <= before + 1e-9);
      before = now;
    }
    CHECK(before < 1e-6 * first);
  }
}

TEST_CASE("whoever waits for a partner's answer gets it: no order of events stops everybody") {
  constexpr Clock steps = 30;
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    CAPTURE(seed);
    std::mt19937 engine(seed);
    const int n = 2 + static_cast<int>(engine() % 8);
    std::vector<Clock> clocks(static_cast<std::size_t>(n));
    std::vector<bool> waits(static_cast<std::size_t>(n));
    std::vector<std::deque<Rank>> offers_to(static_cast<std::size_t>(n));
    // What may happen next: a rank that does not wait does a step, or an odd one answers its oldest offer.
    for (;;) {
      std::vector<std::function<void()>> possible;
      for (Rank rank = 0; rank < n; ++rank) {
        const auto r = static_cast<std::size_t>(rank);
        if (!waits[r] && clocks[r] < steps)
          possible.push_back([&, rank, r] {
            if (const auto partner = partner_of(seed, rank, clocks[r], ranks(n)))
              offers_to[static_cast<std::size_t>(*partner)].push_back(rank), waits[r] = true;
            else
              ++clocks[r];
          });
        if (!offers_to[r].empty())
          possible.push_back([&, r] {
            const auto asker = static_cast<std::size_t>(offers_to[r].front());
            offers_to[r].pop_front();
            waits[asker] = false;
            ++clocks[asker];
          });
      }
      if (possible.empty()) break;
      possible[engine() % possible.size()]();
    }
    CHECK(clocks == std::vector<Clock>(static_cast<std::size_t>(n), steps));
  }
}
