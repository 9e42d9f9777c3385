/// Consistent cuts: what a server has taken when all have marked, whatever order things come in.

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <random>
#include <set>

#include "role/cut_calls.hpp"
#include "role/cut_gate.hpp"

using namespace dtrain;
using role::CutGate;
using sync::Clock;
using sync::Rank;

namespace {

using Clocks = std::vector<Clock>;

/// Ranks that push to several servers and wait for all their answers, each connection as slow as it likes; ssp's bound,
/// or none; and where `sums` is set, a push is applied only when every server has taken it, as under clipping.
class Cluster {
 public:
  Cluster(std::uint64_t seed, std::size_t ranks, std::size_t servers, Clock steps, Clock bound, bool sums)
      : chance_(seed), steps_(steps), bound_(bound), sums_(sums), ranks_(ranks) {
    for (std::size_t m = 0; m < servers; ++m) servers_.emplace_back(ranks);
  }

  /// Until nothing can happen any more.
  void run(int cuts, int losses) {
    cuts_ = cuts, losses_ = losses;
    while (happen()) continue;
  }

  bool all_done() const {
    return std::all_of(ranks_.begin(), ranks_.end(), [](const Worker& p) { return p.left || p.lost; });
  }
  /// Per server, what it saved: the clocks of the cut, and what was applied of each rank.
  struct Saved {
    std::uint64_t ordinal;
    Clocks clocks, applied;
  };
  const std::vector<Saved>& saved(std::size_t server) const { return servers_[server].saved; }
  std::size_t asked() const { return asked_; }
  std::size_t held() const { return held_; }
  bool is_lost(std::size_t rank) const { return ranks_[rank].lost; }

 private:
  struct Message {
    enum { push, mark, leave } what;
    Clock clock;
    std::uint64_t ordinal = 0;
  };
  struct Worker {
    Clock clock = 0;
    bool computing = false, left = false, lost = false;
    std::uint64_t wanted = 0, marked = 0;
    std::set<std::size_t> answered;  ///< servers; all at first
  };
  struct Server {
    explicit Server(std::size_t ranks)
        : gate(ranks), inbound(ranks), applied(ranks, 0), waits(ranks, false), gone(ranks, false) {}
    CutGate gate;
    std::vector<std::deque<Message>> inbound;
    Clocks applied;           ///< next clock of each rank
    std::vector<bool> waits;  ///< applied, and not answered
    std::vector<bool> gone;
    std::deque<Rank> unsummed;  ///< taken, and waiting for the other servers
    std::vector<Saved> saved;
  };
  std::size_t below(std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(chance_); }

  /// One thing that can happen, drawn among all.
  bool happen() {
    std::vector<std::function<void()>> possible;
    for (std::size_t r = 0; r < ranks_.size(); ++r) of_rank(r, possible);
    for (std::size_t m = 0; m < servers_.size(); ++m)
      for (std::size_t r = 0; r < ranks_.size(); ++r)
        if (!servers_[m].inbound[r].empty()) possible.push_back([this, m, r] { deliver(m, r); });
    const bool under_way = asked_ > 0 && std::any_of(servers_.begin(), servers_.end(),
                                                     [this](const Server& s) { return s.saved.size() < asked_; });
    if (cuts_ > 0 && !under_way && !all_done()) possible.push_back([this] { ask(); });
    if (losses_ > 0 && !all_done()) possible.push_back([this] { lose(below(ranks_.size())); });
    if (possible.empty()) return false;
    possible[below(possible.size())]();
    return true;
  }

  void of_rank(std::size_t r, std::vector<std::function<void()>>& possible) {
    Worker& p = ranks_[r];
    if (p.lost || p.left) return;
    if (p.wanted > p.marked && !p.computing) possible.push_back([&, r] { mark(r); });
    if (p.computing) return possible.push_back([this, r] { push(r); });
    const bool ready = p.clock == 0 || p.answered.size() == servers_.size();
    if (ready && p.clock < steps_) possible.push_back([&p] { p.computing = true; });
    if (ready && p.clock == steps_)
      possible.push_back([&p, this, r] { p.left = true, tell(r, {Message::leave, p.clock}); });
  }

  void tell(std::size_t rank, Message message) {
    for (Server& server : servers_) server.inbound[rank].push_back(message);
  }
  void ask() {
    --cuts_, ++asked_;
    for (Worker& p : ranks_)
      if (!p.lost) p.wanted = asked_;
  }
  void mark(std::size_t r) {
    ranks_[r].marked = ranks_[r].wanted;
    tell(r, {Message::mark, ranks_[r].clock, ranks_[r].wanted});
  }
  void push(std::size_t r) {
    ranks_[r].computing = false;
    ranks_[r].answered.clear();
    tell(r, {Message::push, ranks_[r].clock++});
  }
  /// Each server hears of it when it does; what was on its way is lost.
  void lose(std::size_t r) {
    --losses_;
    if (ranks_[r].lost || ranks_[r].left) return;
    ranks_[r].lost = true;
    for (std::size_t m = 0; m < servers_.size(); ++m) {
      Server& s = servers_[m];
      s.inbound[r].clear();
      std::erase(s.unsummed, static_cast<Rank>(r));
      s.gone[r] = true;
      s.gate.leave(static_cast<Rank>(r), s.applied[r]);
      s.gate.forget(static_cast<Rank>(r));
    }
    settle_all();
  }

  void deliver(std::size_t m, std::size_t r) {
    Server& s = servers_[m];
    const Message message = s.inbound[r].front();
    s.inbound[r].pop_front();
    const auto rank = static_cast<Rank>(r);
    switch (message.what) {
      case Message::push:
        if (s.gate.hold(rank))
          ++held_;
        else
          take(m, rank);
        break;
      case Message::mark: CHECK(s.gate.mark(rank, message.ordinal, message.clock)); break;
      case Message::leave:
        s.gone[r] = true;
        s.gate.leave(rank, message.clock);
        break;
    }
    settle_all();
  }

  void take(std::size_t m, Rank rank) {
    if (!sums_) return apply(m, rank);
    servers_[m].unsummed.push_back(rank);
    for (std::size_t other = 0; other < servers_.size(); ++other) sum(other);
  }
  /// In order, and only what every server has taken.
  void sum(std::size_t m) {
    Server& s = servers_[m];
    while (!s.unsummed.empty()) {
      const Rank rank = s.unsummed.front();
      const auto r = static_cast<std::size_t>(rank);
      const Clock clock = s.applied[r];
      const bool everywhere = std::all_of(servers_.begin(), servers_.end(), [&](const Server& other) {
        return other.applied[r] > clock || std::count(other.unsummed.begin(), other.unsummed.end(), rank) > 0;
      });
      if (!everywhere) return;
      s.unsummed.pop_front();
      apply(m, rank);
    }
  }
  void apply(std::size_t m, Rank rank) {
    ++servers_[m].applied[static_cast<std::size_t>(rank)];
    servers_[m].waits[static_cast<std::size_t>(rank)] = true;
  }

  /// What one server takes may let another apply what it has.
  void settle_all() {
    for (bool any = true; any;) {
      any = false;
      for (std::size_t m = 0; m < servers_.size(); ++m) any = settle(m) || any;
    }
  }

  /// Saves if it can, and answers whom it may; whether there was anything to do.
  bool settle(std::size_t m) {
    Server& s = servers_[m];
    const bool saves = s.gate.complete() && s.unsummed.empty();
    if (saves) {
      const CutGate::Cut cut = s.gate.take();
      s.saved.push_back({cut.ordinal, cut.clocks, s.applied});
      for (const Rank rank : cut.held) take(m, rank);
    }
    Clock least = steps_;
    for (std::size_t r = 0; r < ranks_.size(); ++r)
      if (!s.gone[r]) least = std::min(least, s.applied[r]);
    bool answers = false;
    for (std::size_t r = 0; r < ranks_.size(); ++r) {
      if (!s.waits[r] || (s.applied[r] < steps_ && s.applied[r] > least + bound_)) continue;
      s.waits[r] = false, answers = true;
      ranks_[r].answered.insert(m);
    }
    return saves || answers;
  }

  std::mt19937_64 chance_;
  Clock steps_, bound_;
  bool sums_;
  std::vector<Worker> ranks_;
  std::vector<Server> servers_;
  int cuts_ = 0, losses_ = 0;
  std::size_t asked_ = 0, held_ = 0;
};

/// Whether every cut is one: `lost` ranks aside, whose pushes may be here and not there.
void check_cuts(const Cluster& cluster, std::size_t servers, std::size_t ranks) {
  for (std::size_t m = 0; m < servers; ++m) {
    REQUIRE(cluster.saved(m).size() == cluster.asked());
    for (std::size_t i = 0; i < cluster.saved(m).size(); ++i) {
      const Cluster::Saved &here = cluster.saved(m)[i], &first = cluster.saved(0)[i];
      CHECK(here.ordinal == first.ordinal);
      for (std::size_t r = 0; r < ranks; ++r) {
        if (cluster.is_lost(r)) continue;
        CHECK(here.applied[r] == here.clocks[r]);
        CHECK(here.clocks[r] == first.clocks[r]);
      }
    }
  }
}

}  // namespace

TEST_CASE("what is saved at a cut holds just the pushes below it, on every server alike, and nothing waits for ever") {
  std::size_t held = 0;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    CAPTURE(seed);
    const std::size_t ranks = 1 + seed % 5, servers = 1 + seed % 3;
    const Clock bound = seed % 4 == 0 ? 1000 : seed % 3;
    Cluster cluster(seed, ranks, servers, 12, bound, seed % 2 == 0);
    cluster.run(4, 0);
    REQUIRE(cluster.all_done());
    check_cuts(cluster, servers, ranks);
    held += cluster.held();
  }
  CHECK(held > 1000);
}

TEST_CASE("a rank that is lost while a cut is under way holds nobody up") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    const std::size_t ranks = 2 + seed % 4, servers = 1 + seed % 3;
    Cluster cluster(seed, ranks, servers, 10, seed % 3, false);
    cluster.run(4, static_cast<int>(1 + seed % 2));
    REQUIRE(cluster.all_done());
    check_cuts(cluster, servers, ranks);
  }
}

TEST_CASE("a mark that is not due is refused, and a rank that takes part again is asked like all others") {
  CutGate gate(2);
  CHECK(gate.mark(0, 2, 5));
  CHECK_FALSE(gate.mark(0, 2, 5));
  CHECK(gate.hold(0));
  CHECK_FALSE(gate.hold(1));
  gate.leave(1, 7);
  REQUIRE(gate.complete());
  gate.join(1, 9);
  CHECK(gate.hold(1));
  REQUIRE(gate.complete());
  const CutGate::Cut cut = gate.take();
  CHECK(cut.clocks == Clocks{5, 9});
  CHECK(cut.held == std::vector<Rank>{0, 1});
  CHECK_FALSE(gate.mark(0, 2, 6));
  CHECK(gate.mark(0, 3, 6));
  CHECK_FALSE(gate.complete());
}

TEST_CASE("a cut that was given up holds nobody: the mark of the next frees what it held") {
  CutGate gate(3);
  CHECK(gate.mark(0, 2, 5));
  CHECK(gate.mark(1, 2, 4));
  CHECK(gate.hold(0));
  CHECK(gate.freed().empty());
  CHECK(gate.mark(0, 10, 6));  // its push of step 5 came before
  CHECK(gate.freed() == std::vector<Rank>{0});
  CHECK(gate.hold(0));
  CHECK_FALSE(gate.hold(1));
  CHECK(gate.mark(2, 2, 9));  // late, and of what nobody saves
  CHECK_FALSE(gate.hold(2));
  CHECK(gate.mark(1, 10, 5));
  CHECK(gate.mark(2, 10, 9));
  REQUIRE(gate.complete());
  const CutGate::Cut cut = gate.take();
  CHECK(cut.ordinal == 10);
  CHECK(cut.clocks == Clocks{6, 5, 9});
  CHECK(cut.held == std::vector<Rank>{0});
}

TEST_CASE("whoever joins while a cut is under way is in it with nothing pushed, whether it had marked before or not") {
  for (const bool had_marked : {false, true}) {
    CAPTURE(had_marked);
    CutGate gate(2);
    if (had_marked) CHECK(gate.mark(1, 2, 4));
    CHECK(gate.mark(0, 2, 5));
    gate.leave(1, 4);
    gate.join(1, 8);
    CHECK(gate.clocks() == Clocks{5, 8});
    CHECK(gate.hold(1));
    CHECK(gate.holds(1));
    CHECK(gate.mark(1, 2, 8));
    REQUIRE(gate.complete());
    CHECK(gate.take().held == std::vector<Rank>{1});
    CHECK_FALSE(gate.holds(1));
    CHECK(gate.mark(1, 2, 9));
    CHECK_FALSE(gate.open());
  }
}

TEST_CASE("the mark of whoever is not known to have joined counts once it is") {
  CutGate gate(2);
  gate.leave(1, 4);
  CHECK(gate.mark(1, 2, 8));
  CHECK_FALSE(gate.open());
  gate.join(1, 8);
  CHECK(gate.hold(1));
  CHECK_FALSE(gate.complete());
  CHECK_FALSE(gate.hold(0));
  CHECK(gate.mark(0, 2, 5));
  REQUIRE(gate.complete());
  CHECK(gate.take().clocks == Clocks{5, 8});
}

TEST_CASE("checkpoints are asked for when their rows are applied, one at a time") {
  job::Job job;
  job.model.layers = {{.dense = 2000}, {.dense = 3}};
  job.topology.workers = 2;
  job.topology.servers = 2;
  job.sync.policy = job::PolicyName::asp;
  job.train.batch = 10;
  job.train.epochs = 1;
  job.checkpoint.every = {4, job::Unit::step};
  const plan::Plan plan = plan::make_plan(job, {"here", 2, std::size_t{1} << 34}, {1000, 0, "hash"}, 9);
  role::CutCalls calls(plan);
  calls.begin(0);
  CHECK_FALSE(calls.call(39, false));
  const auto first = calls.call(41, false);
  REQUIRE(first);
  CHECK_FALSE(calls.call(85, false));
  CHECK(calls.passed_over() == 1);
  calls.saved(*first);
  CHECK(calls.under_way());
  calls.saved(*first);
  CHECK_FALSE(calls.under_way());
  CHECK_FALSE(calls.call(100, false));
  const auto second = calls.call(100, true);
  REQUIRE(second);
  CHECK(*second > *first);
  calls.saved(*second), calls.saved(*second);
  CHECK_FALSE(calls.call(1000, true));
}
