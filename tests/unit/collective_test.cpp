#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <set>

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

/// Ranks of one exchange in one process, which see each other's memory: nothing is copied when it is sent, and it is
/// read when the reader gets to it. Who acts next is drawn.
class World {
 public:
  World(const Case& one, std::uint64_t seed);
  /// Until nobody can go on. True if all are done.
  bool run();

  std::vector<Floats> results() const {
    std::vector<Floats> all;
    for (const auto& peer : peers_) all.push_back(peer->result);
    return all;
  }
  const Exchange& exchange(int rank) const { return peers_[at(rank)]->exchange; }
  Index sent() const { return sent_; }
  /// Sums and results that did not stay as they were when they were sent.
  int overwritten() const;

 private:
  struct Packet {
    Range range;
    Parcel parcel;
  };
  /// What was sent, and what it was.
  struct Sent {
    const float* values;
    Floats copy;
  };
  struct Peer : Port {
    Peer(World& in, int of);
    void send_sum(int to, const Range& range, const Share& sum, std::uint32_t flags) override {
      world.post(rank, to, range,
                 {.range = range, .values = sum.data, .factor = sum.factor, .flags = flags, .keeper = nullptr});
    }
    bool finish(const Range& range, std::span<const Share> shares) override;
    void send_result(int to, const Range& range, std::uint32_t flags) override {
      world.post(rank, to, range,
                 {.range = range, .values = result.data() + range.begin, .flags = flags, .keeper = nullptr});
    }
    void take_result(const Range& range, const Parcel& taken) override {
      std::copy_n(taken.values, range.count(), result.begin() + range.begin);
    }
    void make_result();

    World& world;
    int rank;
    Floats own, result;
    Range finishing;
    std::span<const Share> shares;
    bool holds = false;
    Exchange exchange;
  };
  void post(int from, int to, const Range& range, Parcel parcel);
  std::vector<std::function<void()>> choices();

  const Case& case_;
  std::mt19937_64 random_;
  std::vector<std::unique_ptr<Peer>> peers_;
  std::vector<std::deque<Packet>> links_;
  std::vector<Sent> log_;
  Index sent_ = 0;
};

World::Peer::Peer(World& in, int of)
    : world(in),
      rank(of),
      own(in.case_.values[at(of)]),
      result(own.size(), std::numeric_limits<float>::quiet_NaN()),
      exchange(in.case_.algorithm, of, in.case_.ranks, in.case_.borders, *this) {}

bool World::Peer::finish(const Range& range, std::span<const Share> from) {
  finishing = range, shares = from;
  holds = world.random_() % 2 == 0;
  if (!holds) make_result();
  return !holds;
}

void World::Peer::make_result() {
  const std::span<float> out(result.data() + finishing.begin, at(finishing.count()));
  if (shares.empty())
    std::fill(out.begin(), out.end(), nobody);
  else
    fold(shares, out);
}

World::World(const Case& one, std::uint64_t seed) : case_(one), random_(seed), links_(at(one.ranks * one.ranks)) {
  for (int r = 0; r < one.ranks; ++r) peers_.push_back(std::make_unique<Peer>(*this, r));
}

void World::post(int from, int to, const Range& range, Parcel parcel) {
  REQUIRE(to != from);
  sent_ += range.count();
  if (parcel.values != nullptr) log_.push_back({parcel.values, {parcel.values, parcel.values + range.count()}});
  links_[at(from * case_.ranks + to)].push_back({range, std::move(parcel)});
}

/// What may happen next: a rank begins, a message arrives, a result gets ready.
std::vector<std::function<void()>> World::choices() {
  std::vector<std::function<void()>> all;
  for (auto& peer : peers_) {
    if (!peer->exchange.begun())
      all.emplace_back(
          [&, r = at(peer->rank)] { peer->exchange.begin(peer->own.data(), case_.factors[r], case_.flags[r]); });
    if (peer->holds) all.emplace_back([&] { peer->holds = false, peer->make_result(), peer->exchange.finished(); });
  }
  for (std::size_t link = 0; link < links_.size(); ++link)
    if (!links_[link].empty())
      all.emplace_back([this, link] {
        Packet packet = std::move(links_[link].front());
        links_[link].pop_front();
        peers_[link % at(case_.ranks)]->exchange.receive(static_cast<int>(link) / case_.ranks,
                                                         std::move(packet.parcel));
      });
  return all;
}

bool World::run() {
  for (auto next = choices(); !next.empty(); next = choices()) next[random_() % next.size()]();
  return std::all_of(peers_.begin(), peers_.end(), [](const auto& peer) { return peer->exchange.done(); });
}

int World::overwritten() const {
  return static_cast<int>(std::count_if(log_.begin(), log_.end(), [](const Sent& sent) {
    return !sent.copy.empty() && std::memcmp(sent.values, sent.copy.data(), 4 * sent.copy.size()) != 0;
  }));
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

void check_sums(const Case& one, const std::vector<Floats>& results) {
  Floats expected(at(one.end()), std::numeric_limits<float>::quiet_NaN());
  int beyond = 0;
  for (Index k = one.begin(); k < one.end(); ++k) {
    expected[at(k)] = reference::sum(one, k);
    double sum = 0, size = 0;
    bool any = false;
    for (int r = 0; r < one.ranks; ++r) {
      if (!one.factors[at(r)]) continue;
      const double term = static_cast<double>(*one.factors[at(r)]) * one.values[at(r)][at(k)];
      sum += term, size += std::abs(term), any = true;
    }
    const double tolerance = one.ranks * size * std::numeric_limits<float>::epsilon();
    if (any && !(std::abs(expected[at(k)] - sum) <= tolerance)) ++beyond;
  }
  CHECK(beyond == 0);
  const std::size_t first = at(one.begin());
  for (const Floats& result : results)
    CHECK(std::memcmp(result.data() + first, expected.data() + first, 4 * (expected.size() - first)) == 0);
}

void check_all(const Case& one, std::uint64_t seed) {
  CAPTURE(name(one.algorithm));
  CAPTURE(one.ranks);
  CAPTURE(one.borders);
  CAPTURE(seed);
  World world(one, seed);
  REQUIRE(world.run());
  CHECK(world.overwritten() == 0);
  CHECK(world.sent() == 2 * (one.ranks - 1) * (one.end() - one.begin()));
  std::uint32_t flags = 0;
  for (const std::uint32_t some : one.flags) flags |= some;
  for (int r = 0; r < one.ranks; ++r) CHECK(world.exchange(r).flags() == flags);
  check_sums(one, world.results());
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
          check_all(random_case(algorithm, ranks, elements, begin, random, again == 0 ? 0 : 3), random());
        }
}

TEST_CASE("where hardly anybody has something, or nobody, the same holds") {
  std::mt19937_64 random(99);
  for (const Algorithm algorithm : algorithms)
    for (int ranks = 1; ranks <= 9; ++ranks)
      for (const unsigned absent : {8u, 10u})
        for (int again = 0; again < 10; ++again)
          check_all(random_case(algorithm, ranks, 37, 5, random, absent), random());
}

TEST_CASE("millions of elements are summed as a few are") {
  std::mt19937_64 random(5);
  for (const Algorithm algorithm : algorithms)
    for (const auto& [ranks, elements] : {std::pair(2, 3'000'017), {3, 1'000'003}, {8, 1'048'576}})
      check_all(random_case(algorithm, ranks, elements, 0, random, 1), random());
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

  exchange.receive(1, {.range = {0, 2}, .values = theirs.data(), .factor = 0.25f, .keeper = nullptr});
  CHECK(exchange.waits_for() == -1);
  CHECK_FALSE(exchange.done());
  CHECK(port.moves.back() == Move{What::finish, -1, {0, 2}});
  REQUIRE(port.shares.size() == 2);
  CHECK(port.shares[1].data == theirs.data());

  exchange.receive(1, {.range = {2, 4}, .values = theirs.data() + 2, .keeper = nullptr});
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
  exchange.receive(1, {.range = {0, 2}, .values = theirs.data(), .keeper = keeper});
  exchange.begin(own.data(), 1, 0);
  CHECK(keeper.use_count() == 2);
  exchange.finished();
  CHECK(keeper.use_count() == 1);
}

TEST_CASE("what was received is let go of once a sum of it was made") {
  Recorder port;
  Floats own(4, 1), theirs(4, 2);
  Exchange exchange(Algorithm::tree, 1, 4, {0, 4}, port);
  Exchange middle(Algorithm::tree, 2, 4, {0, 4}, port);
  const auto keeper = std::make_shared<int>(0);
  middle.begin(own.data(), 1, 0);
  middle.receive(3, {.range = {0, 4}, .values = theirs.data(), .keeper = keeper});
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

TEST_CASE("a sum of another range than the one that is due is refused") {
  Recorder port;
  Floats own(4, 1), theirs(4, 2);
  Exchange exchange(Algorithm::tree, 0, 2, {0, 4}, port);
  exchange.begin(own.data(), 1, 0);
  CHECK_THROWS_AS(exchange.receive(1, {.range = {0, 3}, .values = theirs.data(), .keeper = nullptr}),
                  std::invalid_argument);
}

TEST_CASE("the choice of an algorithm follows from size and ranks, and is one that may be had") {
  for (int ranks = 1; ranks <= 64; ++ranks)
    for (const Index elements : {0, 1, 16'384, 16'385, 10'000'000}) {
      const Algorithm first = choose(elements, ranks);
      CHECK(choose(elements, ranks) == first);
      const bool power = std::has_single_bit(static_cast<unsigned>(ranks));
      const Algorithm otherwise = elements <= 16'384 ? Algorithm::tree : Algorithm::ring;
      CHECK(first == (power ? Algorithm::halving_doubling : otherwise));
    }
  std::set<std::string> names;
  for (const Algorithm algorithm : algorithms) names.insert(name(algorithm));
  CHECK(names == std::set<std::string>{"ring", "halving_doubling", "tree", "direct"});
}
