#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <set>
#include <stdexcept>

#include "collective/exchange.hpp"

using namespace dtrain;
using namespace dtrain::collective;

namespace {

using What = Move::What;
using Floats = std::vector<float>;
using Number = std::optional<float>;

constexpr Algorithm algorithms[] = {Algorithm::ring, Algorithm::halving_doubling, Algorithm::tree, Algorithm::direct};
constexpr float nobody = -7;

std::size_t at(Index k) { return static_cast<std::size_t>(k); }

struct Case {
  Algorithm algorithm;
  int ranks;
  std::vector<Index> borders;
  std::vector<Floats> values;   ///< per rank
  std::vector<Number> factors;  ///< per rank; none: it has nothing
  std::vector<std::uint32_t> flags;
  Index begin() const { return borders.front(); }
  Index end() const { return borders.back(); }
};

/// The sum that moves.hpp declares, one element at a time. `term(r)`: f_r g_r.
namespace reference {

Number plus(Number a, Number b) {
  if (!a || !b) return a ? a : b;
  return *a + *b;
}

template <class Term>
Number in_turn(int first, int ranks, const Term& term) {
  Number sum;
  for (int k = 0; k < ranks; ++k) sum = plus(sum, term((first + k) % ranks));
  return sum;
}

template <class Term>
Number below(int rank, int ranks, const Term& term) {
  Number sum = term(rank);
  for (int step = 1; rank + step < ranks && rank % (2 * step) == 0; step *= 2)
    sum = plus(sum, below(rank + step, ranks, term));
  return sum;
}

template <class Term>
Number by_bits(int ranks, const Term& term) {
  int power = 1;
  while (2 * power <= ranks) power *= 2;
  std::vector<Number> sums;
  for (int r = 0; r < power; ++r) sums.push_back(r + power < ranks ? plus(term(r), term(r + power)) : term(r));
  for (int bit = power / 2; bit > 0; bit /= 2) {
    const std::vector<Number> before = sums;
    for (int r = 0; r < power; ++r) sums[at(r)] = plus(before[at(r)], before[at(r ^ bit)]);
  }
  return sums.front();
}

int part_of(const Case& one, Index k) {
  int part = 0;
  while (k >= one.borders[at(part + 1)]) ++part;
  return part;
}

float sum(const Case& one, Index k) {
  const auto term = [&](int r) -> Number {
    const Number& factor = one.factors[at(r)];
    return factor ? Number(*factor * one.values[at(r)][at(k)]) : std::nullopt;
  };
  const auto of = [&]() -> Number {
    switch (one.algorithm) {
      case Algorithm::ring: return in_turn(part_of(one, k), one.ranks, term);
      case Algorithm::halving_doubling: return by_bits(one.ranks, term);
      case Algorithm::tree: return below(0, one.ranks, term);
      case Algorithm::direct: return in_turn(0, one.ranks, term);
    }
    return {};
  };
  return of().value_or(nobody);
}

}  // namespace reference

/// Ranks of one process, which see each other's memory: nothing is copied when it is sent, and it is read when the
/// reader gets to it. Round after round, each as soon as its rank is done with the last. Who acts next is drawn.
class World {
 public:
  World(const std::vector<Case>& rounds, std::uint64_t seed);
  /// Until nobody can go on. True if all are done with all rounds.
  bool run();

  const Floats& result(int rank, std::size_t round) const { return peers_[at(rank)]->results[round]; }
  std::uint32_t flags(int rank, std::size_t round) const { return peers_[at(rank)]->flags.at(round); }
  Index sent() const { return sent_; }
  /// Sums and results that did not stay as they were when they were sent.
  std::ptrdiff_t overwritten() const;

 private:
  using Act = std::function<void()>;
  /// What was sent, and what it was.
  struct Sent {
    const float* values;
    Floats copy;
  };
  struct Peer : Port {
    Peer(World& in, int of);
    void send_sum(int to, const Range& range, const Share& sum, std::uint32_t with) override {
      world.post(rank, to, {range, sum.data, sum.factor, with, nullptr});
    }
    bool finish(const Range& range, std::span<const Share> shares) override;
    void send_result(int to, const Range& range, std::uint32_t with) override {
      world.post(rank, to, {range, result().data() + range.begin, 1, with, nullptr});
    }
    void take_result(const Range& range, const Parcel& taken) override {
      std::copy_n(taken.values, range.count(), result().begin() + range.begin);
    }
    void make_result();
    void begin() {
      const Case& one = world.rounds_[round()];
      exchange.begin(owns[round()].data(), one.factors[at(rank)], one.flags[at(rank)]);
    }
    void end() { flags.push_back(exchange.flags()), exchange.reset(); }
    std::size_t round() const { return flags.size(); }
    Floats& result() { return results[round()]; }

    World& world;
    int rank;
    std::vector<Floats> owns, results;  ///< of all rounds: what was sent is looked at in the end
    std::vector<std::uint32_t> flags;   ///< of the rounds that are done
    Range finishing;
    std::span<const Share> shares;
    bool holds = false;
    Exchange exchange;
  };
  void post(int from, int to, Parcel parcel);
  void deliver(std::size_t link);
  std::vector<Act> choices();

  const std::vector<Case>& rounds_;
  int ranks_;
  std::mt19937_64 random_;
  std::vector<std::unique_ptr<Peer>> peers_;
  std::vector<std::deque<Parcel>> links_;
  std::vector<Sent> log_;
  Index sent_ = 0;
};

World::Peer::Peer(World& in, int of)
    : world(in), rank(of), exchange(in.rounds_[0].algorithm, of, in.ranks_, in.rounds_[0].borders, *this) {
  for (const Case& one : in.rounds_) {
    owns.push_back(one.values[at(of)]);
    results.emplace_back(owns.back().size(), std::numeric_limits<float>::quiet_NaN());
  }
}

bool World::Peer::finish(const Range& range, std::span<const Share> from) {
  finishing = range, shares = from;
  holds = world.random_() % 2 == 0;
  if (!holds) make_result();
  return !holds;
}

void World::Peer::make_result() {
  const std::span<float> out(result().data() + finishing.begin, at(finishing.count()));
  if (shares.empty())
    std::fill(out.begin(), out.end(), nobody);
  else
    fold(shares, out);
}

World::World(const std::vector<Case>& rounds, std::uint64_t seed)
    : rounds_(rounds), ranks_(rounds[0].ranks), random_(seed), links_(at(ranks_ * ranks_)) {
  for (int r = 0; r < ranks_; ++r) peers_.push_back(std::make_unique<Peer>(*this, r));
}

void World::post(int from, int to, Parcel parcel) {
  REQUIRE(to != from);
  sent_ += parcel.range.count();
  if (parcel.values != nullptr) log_.push_back({parcel.values, {parcel.values, parcel.values + parcel.range.count()}});
  links_[at(from * ranks_ + to)].push_back(std::move(parcel));
}

void World::deliver(std::size_t link) {
  Parcel parcel = std::move(links_[link].front());
  links_[link].pop_front();
  peers_[link % at(ranks_)]->exchange.receive(static_cast<int>(link) / ranks_, std::move(parcel));
}

/// What may happen next: a rank begins or ends a round, a message arrives, a result gets ready.
std::vector<World::Act> World::choices() {
  std::vector<Act> all;
  for (auto& peer : peers_) {
    if (!peer->exchange.begun() && peer->round() < rounds_.size()) all.emplace_back([&peer] { peer->begin(); });
    if (peer->exchange.done()) all.emplace_back([&peer] { peer->end(); });
    if (peer->holds) all.emplace_back([&peer] { peer->holds = false, peer->make_result(), peer->exchange.finished(); });
  }
  for (std::size_t link = 0; link < links_.size(); ++link)
    if (!links_[link].empty()) all.emplace_back([this, link] { deliver(link); });
  return all;
}

bool World::run() {
  for (auto next = choices(); !next.empty(); next = choices()) next[random_() % next.size()]();
  return std::all_of(peers_.begin(), peers_.end(), [this](auto& peer) { return peer->round() == rounds_.size(); });
}

std::ptrdiff_t World::overwritten() const {
  return std::count_if(log_.begin(), log_.end(), [](const Sent& sent) {
    return !sent.copy.empty() && std::memcmp(sent.values, sent.copy.data(), 4 * sent.copy.size()) != 0;
  });
}

/// How often ranks have nothing, of ten times.
Case random_case(Algorithm algorithm, int ranks, Index elements, Index begin, std::mt19937_64& random,
                 unsigned absent) {
  const Index units[] = {1, 16, 4096};
  Case one{algorithm, ranks, even_borders(algorithm, ranks, {begin, begin + elements}, units[random() % 3]),
           {},        {},    {}};
  std::uniform_real_distribution<float> number(-1, 1);
  for (int r = 0; r < ranks; ++r) {
    Floats& values = one.values.emplace_back(at(begin + elements));
    for (float& value : values) value = number(random);
    const bool has = random() % 10 >= absent;
    one.factors.push_back(has ? Number(random() % 2 == 0 ? 1 : number(random)) : std::nullopt);
    one.flags.push_back(random() % 4 == 0 ? 1u << r : 0);
  }
  return one;
}

/// The declared sum of all elements, after it was compared with the plain one in double.
Floats expected_sums(const Case& one) {
  Floats sums(at(one.end()), std::numeric_limits<float>::quiet_NaN());
  int beyond = 0;
  for (Index k = one.begin(); k < one.end(); ++k) {
    sums[at(k)] = reference::sum(one, k);
    double sum = 0, size = 0;
    bool any = false;
    for (int r = 0; r < one.ranks; ++r) {
      if (!one.factors[at(r)]) continue;
      const double term = static_cast<double>(*one.factors[at(r)]) * static_cast<double>(one.values[at(r)][at(k)]);
      sum += term, size += std::abs(term), any = true;
    }
    const double tolerance = one.ranks * size * static_cast<double>(std::numeric_limits<float>::epsilon());
    if (any && !(std::abs(static_cast<double>(sums[at(k)]) - sum) <= tolerance)) ++beyond;
  }
  CHECK(beyond == 0);
  return sums;
}

void check_all(const std::vector<Case>& rounds, std::uint64_t seed) {
  const Case& first = rounds.front();
  CAPTURE(name(first.algorithm));
  CAPTURE(first.ranks);
  CAPTURE(seed);
  World world(rounds, seed);
  REQUIRE(world.run());
  CHECK(world.overwritten() == 0);
  CHECK(world.sent() == 2 * (first.ranks - 1) * (first.end() - first.begin()) * static_cast<Index>(rounds.size()));
  for (std::size_t round = 0; round < rounds.size(); ++round) {
    const Floats expected = expected_sums(rounds[round]);
    std::uint32_t flags = 0;
    for (const std::uint32_t some : rounds[round].flags) flags |= some;
    for (int r = 0; r < first.ranks; ++r) {
      CHECK(world.flags(r, round) == flags);
      if (first.end() == first.begin()) continue;
      CHECK(std::memcmp(world.result(r, round).data() + first.begin(), expected.data() + first.begin(),
                        4 * at(first.end() - first.begin())) == 0);
    }
  }
}

/// A world in which messages are carried by hand, and every result waits to be called finished.
struct Recorder : Port {
  void send_sum(int to, const Range& range, const Share& sum, std::uint32_t) override {
    moves.push_back({What::send_sum, to, range});
    sums.push_back(sum);
  }
  bool finish(const Range& range, std::span<const Share> from) override {
    moves.push_back({What::finish, -1, range});
    shares.assign(from.begin(), from.end());
    return !later;
  }
  void send_result(int to, const Range& range, std::uint32_t) override {
    moves.push_back({What::send_result, to, range});
  }
  void take_result(const Range& range, const Parcel&) override { moves.push_back({What::take_result, -1, range}); }
  bool later = false;
  std::vector<Move> moves;
  std::vector<Share> sums, shares;
};

}  // namespace

TEST_CASE("every rank gets the bits of the declared fold, for 2(N-1)n elements, and no sum that was sent changes") {
  std::mt19937_64 random(20240607);
  for (const Algorithm algorithm : algorithms)
    for (int ranks = 1; ranks <= 9; ++ranks)
      for (const Index elements : {0, 1, ranks - 1, ranks, 2, 13, 127, 1009, 20011})
        for (int again = 0; again < 4; ++again) {
          const Index begin = static_cast<Index>(random() % 50);
          check_all({random_case(algorithm, ranks, elements, begin, random, again == 0 ? 0 : 3)}, random());
        }
}

TEST_CASE("where hardly anybody has something, or nobody, the same holds") {
  std::mt19937_64 random(99);
  for (const Algorithm algorithm : algorithms)
    for (int ranks = 1; ranks <= 9; ++ranks)
      for (const unsigned absent : {8u, 10u})
        for (int again = 0; again < 10; ++again)
          check_all({random_case(algorithm, ranks, 37, 5, random, absent)}, random());
}

TEST_CASE("round follows round, though some ranks are ahead of others") {
  std::mt19937_64 random(11);
  for (const Algorithm algorithm : algorithms)
    for (int ranks = 1; ranks <= 9; ++ranks)
      for (int again = 0; again < 10; ++again) {
        std::vector<Case> rounds;
        for (int round = 0; round < 6; ++round) {
          rounds.push_back(random_case(algorithm, ranks, 200, 3, random, 3));
          rounds.back().borders = rounds.front().borders;
        }
        check_all(rounds, random());
      }
}

TEST_CASE("a sum or a result of another range than the one that is due is refused") {
  Recorder port;
  Floats own(4, 1), theirs(4, 2);
  for (const Range& wrong : {Range{0, 1}, Range{1, 2}, Range{0, 4}, Range{2, 4}}) {
    Exchange exchange(Algorithm::ring, 0, 2, {0, 2, 4}, port);
    exchange.begin(own.data(), 1, 0);
    exchange.receive(1, {{2, 4}, theirs.data(), 1, 0, nullptr});
    CHECK_THROWS_AS(exchange.receive(1, {wrong, theirs.data(), 1, 0, nullptr}), std::invalid_argument);
  }
}

TEST_CASE("millions of elements are summed as a few are") {
  std::mt19937_64 random(5);
  for (const Algorithm algorithm : algorithms)
    for (const auto& [ranks, elements] : {std::pair(2, 3'000'017), {3, 1'000'003}, {8, 1'048'576}})
      check_all({random_case(algorithm, ranks, elements, 0, random, 1)}, random());
}

TEST_CASE("parts cover the range once, end on units, are nearly equal, and every one has its owner") {
  for (const Algorithm algorithm : algorithms)
    for (int ranks = 1; ranks <= 17; ++ranks)
      for (const Index elements : {0, 1, 15, 16, 4097, 669'706})
        for (const Index unit : {1, 16, 4096}) {
          const auto borders = even_borders(algorithm, ranks, {7, 7 + elements}, unit);
          const int count = parts(algorithm, ranks);
          REQUIRE(borders.size() == at(count + 1));
          CHECK(borders.front() == 7);
          CHECK(borders.back() == 7 + elements);
          CHECK(std::is_sorted(borders.begin(), borders.end()));
          std::set<int> owners;
          for (int c = 0; c < count; ++c) {
            const Index size = borders[at(c + 1)] - borders[at(c)];
            CHECK(size <= (elements / unit / count + 2) * unit);
            if (c + 1 < count && borders[at(c + 1)] < borders.back()) CHECK((borders[at(c + 1)] - 7) % unit == 0);
            owners.insert(owner(algorithm, c, ranks));
          }
          CHECK(owners.size() == at(count));
          CHECK(*owners.rbegin() < ranks);
        }
}

TEST_CASE("the owner of a part is who makes its result, and nobody else does") {
  for (const Algorithm algorithm : algorithms)
    for (int ranks = 1; ranks <= 9; ++ranks) {
      const auto borders = even_borders(algorithm, ranks, {0, 1000});
      for (int rank = 0; rank < ranks; ++rank) {
        std::vector<Range> made, owned;
        for (const Move& move : moves(algorithm, rank, ranks, borders))
          if (move.what == What::finish) made.push_back(move.range);
        for (int c = 0; c < parts(algorithm, ranks); ++c)
          if (owner(algorithm, c, ranks) == rank) owned.push_back({borders[at(c)], borders[at(c + 1)]});
        CHECK(made == owned);
      }
    }
}

TEST_CASE("the longest chain of messages is as short as the algorithm promises") {
  const auto rounds = [](Algorithm algorithm, int ranks) {
    // Of the messages that a rank takes one after another, each is awaited before the next is sent.
    std::size_t most = 0;
    for (int rank = 0; rank < ranks; ++rank) {
      const auto all = moves(algorithm, rank, ranks, even_borders(algorithm, ranks, {0, 64}));
      most = std::max(most, at(std::count_if(all.begin(), all.end(), [](const Move& move) {
                        return move.what == What::fold || move.what == What::take_result;
                      })));
    }
    return most;
  };
  for (int power = 0; power <= 4; ++power) {
    const int ranks = 1 << power;
    CHECK(rounds(Algorithm::ring, ranks) == at(2 * (ranks - 1)));
    CHECK(rounds(Algorithm::halving_doubling, ranks) == at(2 * power));
    CHECK(rounds(Algorithm::tree, ranks) <= at(2 * power));
  }
}

TEST_CASE("a rank says whom it waits for, and nobody while its own result is in the making or all is done") {
  Recorder port;
  port.later = true;
  Floats own{1, 2, 3, 4}, theirs{10, 20, 30, 40};
  Exchange exchange(Algorithm::halving_doubling, 0, 2, {0, 2, 4}, port);
  CHECK(exchange.waits_for() == -1);
  CHECK_FALSE(exchange.begun());
  exchange.begin(own.data(), 0.5f, 0);
  CHECK(exchange.waits_for() == 1);
  CHECK(port.moves == std::vector<Move>{{What::send_sum, 1, {2, 4}}});
  CHECK(port.sums.front().data == own.data() + 2);
  CHECK(port.sums.front().factor == 0.5f);

  exchange.receive(1, {{0, 2}, theirs.data(), 0.25f, 0, nullptr});
  CHECK(exchange.waits_for() == -1);
  CHECK_FALSE(exchange.done());
  CHECK(port.moves.back() == Move{What::finish, -1, {0, 2}});
  REQUIRE(port.shares.size() == 2);
  CHECK(port.shares[1].data == theirs.data());

  exchange.receive(1, {{2, 4}, theirs.data() + 2, 1, 0, nullptr});
  CHECK(port.moves.size() == 2);
  exchange.finished();
  CHECK(exchange.done());
  CHECK(exchange.waits_for() == -1);
  // Either order of the two last moves keeps the promise.
  CHECK(std::count(port.moves.begin(), port.moves.end(), Move{What::send_result, 1, {0, 2}}) == 1);
  CHECK(std::count(port.moves.begin(), port.moves.end(), Move{What::take_result, -1, {2, 4}}) == 1);
}

TEST_CASE("what was received is kept until the result is there, and let go of then") {
  Recorder port;
  port.later = true;
  Floats own(4, 1), theirs(4, 2);
  Exchange exchange(Algorithm::direct, 0, 2, {0, 2, 4}, port);
  const auto keeper = std::make_shared<int>(0);
  exchange.receive(1, {{0, 2}, theirs.data(), 1, 0, keeper});
  exchange.begin(own.data(), 1, 0);
  CHECK(keeper.use_count() == 2);
  exchange.finished();
  CHECK(keeper.use_count() == 1);
}

TEST_CASE("what was received is let go of once a sum of it was made") {
  Recorder port;
  Floats own(4, 1), theirs(4, 2);
  Exchange middle(Algorithm::tree, 2, 4, {0, 4}, port);
  const auto keeper = std::make_shared<int>(0);
  middle.begin(own.data(), 1, 0);
  middle.receive(3, {{0, 4}, theirs.data(), 1, 0, keeper});
  CHECK(keeper.use_count() == 1);
  CHECK(own == Floats(4, 3));
}

TEST_CASE("an exchange that is reset goes through another round, with what came early for it") {
  Recorder port;
  Floats own(4, 1), theirs(4, 2);
  Exchange exchange(Algorithm::tree, 0, 2, {0, 4}, port);
  for (int round = 0; round < 2; ++round) {
    exchange.begin(own.data(), 1, 0);
    CHECK_FALSE(exchange.done());
    exchange.receive(1, {.range = {0, 4}, .values = theirs.data(), .flags = 1u << round, .keeper = nullptr});
    CHECK(exchange.done());
    CHECK(exchange.flags() == 1u << round);
    exchange.receive(1, {.range = {0, 4}, .values = theirs.data(), .flags = 4, .keeper = nullptr});
    CHECK(exchange.flags() == 1u << round);
    exchange.reset();
    exchange.begin(own.data(), 1, 0);
    CHECK(exchange.done());
    CHECK(exchange.flags() == 4);
    exchange.reset();
  }
}

TEST_CASE("the choice of an algorithm follows from size and ranks, and is one that may be had") {
  for (int ranks = 1; ranks <= 64; ++ranks)
    for (const Index elements : {0, 1, 16'384, 16'385, 10'000'000}) {
      const Algorithm first = choose(elements, ranks);
      CHECK(choose(elements, ranks) == first);
      if (ranks > 2 && elements <= 16'384)
        CHECK(first == Algorithm::tree);
      else if (ranks <= 8)
        CHECK(first == Algorithm::direct);
      else
        CHECK(first ==
              (std::has_single_bit(static_cast<unsigned>(ranks)) ? Algorithm::halving_doubling : Algorithm::ring));
    }
  std::set<std::string> names;
  for (const Algorithm algorithm : algorithms) names.insert(name(algorithm));
  CHECK(names == std::set<std::string>{"ring", "halving_doubling", "tree", "direct"});
}
