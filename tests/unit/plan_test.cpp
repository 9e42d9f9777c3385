#include <doctest/doctest.h>

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/random.hpp"
#include "data/division.hpp"
#include "job/catalogue.hpp"
#include "job/resolve.hpp"
#include "math/fold.hpp"
#include "plan/packing.hpp"
#include "plan/plan.hpp"
#include "plan/sparse.hpp"
#include "sync/policy.hpp"

using namespace dtrain;

namespace {

plan::Plan plan_of(const job::Job& job, Index rows, Index width) {
  return plan::make_plan(job, {"here", 4, std::size_t{1} << 34}, {rows, 100, "hash"}, width);
}

job::Job job_of(std::vector<std::int64_t> widths, std::int64_t workers, std::int64_t servers) {
  job::Job job;
  for (const std::int64_t width : widths) job.model.layers.push_back({.dense = width});
  job.topology.workers = workers;
  job.topology.servers = servers;
  return job;
}

/// Widths and counts that a seed names, small and large.
struct Case {
  job::Job job;
  Index rows, width;
};
Case random_case(std::uint64_t seed) {
  const auto pick = [seed](std::uint32_t what, std::uint32_t least, std::uint32_t most) {
    return static_cast<std::int64_t>(least + draw(seed, Purpose::fault, what, 0)[0] % (most - least + 1));
  };
  std::vector<std::int64_t> widths;
  for (std::uint32_t l = 0; l < static_cast<std::uint32_t>(pick(0, 1, 4)); ++l) widths.push_back(pick(10 + l, 1, 900));
  Case out{job_of(widths, pick(1, 1, 9), pick(2, 1, 6)), pick(3, 1, 5000), pick(4, 1, 900)};
  out.job.train.batch = pick(5, 1, 300);
  out.job.train.epochs = pick(6, 1, 4);
  return out;
}

std::vector<int> ranks_of(const job::Job& job) {
  std::vector<int> ranks;
  for (int rank = 0; rank < job.topology.workers; ++rank) ranks.push_back(rank);
  return ranks;
}

using job::PolicyName;
constexpr std::array policies{PolicyName::bsp,      PolicyName::asp,       PolicyName::ssp,   PolicyName::quorum,
                              PolicyName::subset,   PolicyName::local,     PolicyName::easgd, PolicyName::bmuf,
                              PolicyName::adaptive, PolicyName::sign_vote, PolicyName::gossip};

}  // namespace

TEST_CASE("the slices cover every weight exactly once, and their borders fall on blocks") {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    CAPTURE(seed);
    const Case c = random_case(seed);
    const plan::Plan plan = plan_of(c.job, c.rows, c.width);
    Index at = 0;
    for (const plan::Slice& slice : plan.slices) {
      REQUIRE(slice.begin == at);
      REQUIRE(slice.begin % block_weights == 0);
      REQUIRE(slice.end > slice.begin);
      at = slice.end;
    }
    REQUIRE(at == plan.layout.total);
    REQUIRE(static_cast<int>(plan.slices.size()) == std::max(1, plan.servers));
  }
}

TEST_CASE("the pieces cover their slice exactly once and name the layers that they touch") {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    CAPTURE(seed);
    const Case c = random_case(seed);
    const plan::Plan plan = plan_of(c.job, c.rows, c.width);
    for (const plan::Slice& slice : plan.slices) {
      Index at = slice.begin;
      for (const plan::Piece& piece : slice.pieces) {
        REQUIRE(piece.offset == at);
        REQUIRE(piece.count > 0);
        REQUIRE(piece.count * 4 < 2 << 20);
        at += piece.count;
        for (std::size_t l = 0; l < plan.layout.layers.size(); ++l) {
          const model::Range& range = plan.layout.layers[l];
          const bool touched = range.begin < piece.offset + piece.count && piece.offset < range.end;
          const int layer = static_cast<int>(l);
          if (touched) REQUIRE((piece.first_layer <= layer && layer <= piece.last_layer));
        }
      }
      REQUIRE(at == slice.end);
    }
  }
}

namespace {

/// A random job of workers without servers.
plan::Plan random_peers(std::uint64_t seed) {
  using K = job::TopologyKind;
  constexpr K kinds[] = {K::ring, K::halving_doubling, K::tree, K::automatic};
  Case c = random_case(seed);
  c.job.topology.workers += 1;
  c.job.topology.servers = 0;
  c.job.topology.kind = kinds[seed % 4];
  if (seed % 5 == 0) c.job.sync.codec = job::Codec::onebit;
  return plan_of(c.job, c.rows, c.width);
}

}  // namespace

TEST_CASE("without servers the buckets cover every weight exactly once, and their parts lie in them one by one") {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    CAPTURE(seed);
    const plan::Plan plan = random_peers(seed);
    REQUIRE(plan.peers());
    Index at = 0;
    for (const plan::Bucket& bucket : plan.buckets) {
      REQUIRE(bucket.piece.offset == at);
      REQUIRE(bucket.piece.count > 0);
      at += bucket.piece.count;
      REQUIRE(bucket.borders.size() == static_cast<std::size_t>(collective::parts(plan.algorithm, plan.workers)) + 1);
      REQUIRE(bucket.borders.front() == bucket.piece.offset);
      REQUIRE(bucket.borders.back() == at);
      REQUIRE(std::is_sorted(bucket.borders.begin(), bucket.borders.end()));
    }
    REQUIRE(at == plan.layout.total);
  }
}

TEST_CASE(
    "without servers a bucket may leave when the layers that it touches are backward, and the last is the first") {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    CAPTURE(seed);
    const plan::Plan plan = random_peers(seed);
    for (const plan::Bucket& bucket : plan.buckets) {
      const Index begin = bucket.piece.offset, end = begin + bucket.piece.count;
      for (std::size_t l = 0; l < plan.layout.layers.size(); ++l) {
        const model::Range& range = plan.layout.layers[l];
        const int layer = static_cast<int>(l);
        if (range.begin < end && begin < range.end)
          REQUIRE((bucket.piece.first_layer <= layer && layer <= bucket.piece.last_layer));
      }
    }
    REQUIRE(plan.buckets.front().piece.first_layer == 0);
  }
}

TEST_CASE(
    "without servers every part that is not empty is its owner's as the algorithm says, ascending, and only its") {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    CAPTURE(seed);
    const plan::Plan plan = random_peers(seed);
    REQUIRE(static_cast<int>(plan.slices.size()) == plan.workers);
    std::vector<std::size_t> next(plan.slices.size(), 0);
    for (const plan::Bucket& bucket : plan.buckets)
      for (std::size_t part = 0; part + 1 < bucket.borders.size(); ++part) {
        if (bucket.borders[part] == bucket.borders[part + 1]) continue;
        const auto owner =
            static_cast<std::size_t>(collective::owner(plan.algorithm, static_cast<int>(part), plan.workers));
        REQUIRE(next[owner] < plan.slices[owner].pieces.size());
        const plan::Piece& piece = plan.slices[owner].pieces[next[owner]++];
        REQUIRE(piece.offset == bucket.borders[part]);
        REQUIRE(piece.offset + piece.count == bucket.borders[part + 1]);
      }
    for (std::size_t rank = 0; rank < next.size(); ++rank) REQUIRE(next[rank] == plan.slices[rank].pieces.size());
  }
}

TEST_CASE("there are never more servers than blocks, and the plan says so") {
  const plan::Plan plan = plan_of(job_of({10}, 2, 4), 100, 20);
  CHECK(plan.servers == 1);
  REQUIRE(plan.warnings.size() == 2);
  CHECK(plan.warnings.front() ==
        "topology.servers is 4, but the model has only 1 block of 4096 weights to own: 1 will be used");
}

TEST_CASE("applied rows and steps are two ways to count the same") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    const Case c = random_case(seed);
    const plan::Plan plan = plan_of(c.job, c.rows, c.width);
    REQUIRE(plan.rows_of_steps(0) == 0);
    REQUIRE(plan.rows_of_steps(plan.total_steps) == plan.total_rows);
    for (Index step = 0; step <= plan.total_steps; ++step)
      REQUIRE(plan::steps_of(plan, plan.rows_of_steps(step)) == step);
  }
}

TEST_CASE("what is due every k steps or epochs falls due that often, whatever the batch") {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    CAPTURE(seed);
    const Case c = random_case(seed);
    const plan::Plan plan = plan_of(c.job, c.rows, c.width);
    for (const job::Length& every : {job::Length{1, job::Unit::epoch}, job::Length{3, job::Unit::step}}) {
      Index times = 0;
      for (Index step = 0; step < plan.total_steps; ++step)
        times += plan::due(plan, every, plan.rows_of_steps(step), plan.rows_of_steps(step + 1)) ? 1 : 0;
      REQUIRE(times == (every.unit == job::Unit::step ? plan.total_steps / 3 : c.job.train.epochs));
    }
    REQUIRE_FALSE(plan::due(plan, {0, job::Unit::epoch}, 0, plan.total_rows));
  }
}

TEST_CASE("under subset steps go on until the drawn parts make up the rows, and each counts what was drawn") {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    CAPTURE(seed);
    Case c = random_case(seed);
    c.job.seed = seed;
    c.job.sync.policy = job::PolicyName::subset;
    c.job.sync.size = 1 + static_cast<std::int64_t>(seed) % c.job.topology.workers;
    c.job.data.sharing = seed % 3 == 0 ? job::Sharing::shard : job::Sharing::replicate;
    const plan::Plan nominal = [&] {
      job::Job job = c.job;
      job.sync.policy = job::PolicyName::bsp;
      return plan_of(job, c.rows, c.width);
    }();
    const plan::Plan plan = plan_of(c.job, c.rows, c.width);
    const std::vector<int> everyone = ranks_of(c.job);
    data::Division division(c.job, c.rows, everyone);
    REQUIRE(std::ssize(plan.rows_before) == plan.total_steps + 1);
    for (Index step = 0; step < plan.total_steps; ++step) {
      Index rows = 0;
      for (const int rank :
           sync::subset_of(seed, static_cast<sync::Clock>(step), *c.job.sync.size, everyone, everyone.size()))
        rows += division.count(step, rank);
      REQUIRE(plan.rows_of_steps(step + 1) - plan.rows_of_steps(step) == rows);
    }
    REQUIRE(plan.rows_of_steps(0) == 0);
    REQUIRE(plan.rows_of_steps(plan.total_steps) == plan.total_rows);
    REQUIRE(plan.total_rows >= nominal.total_rows);
    REQUIRE(plan.rows_of_steps(plan.total_steps - 1) < nominal.total_rows);
    if (c.job.sync.size == c.job.topology.workers) REQUIRE(plan.total_steps == nominal.total_steps);
  }
}

TEST_CASE("train.steps under subset is as many global batches of rows, however many steps they take") {
  job::Job job = job_of({10}, 4, 1);
  job.train.batch = 40;
  job.train.epochs = 9;
  job.train.steps = 10;
  job.sync.policy = job::PolicyName::subset;
  job.sync.size = 1;
  const plan::Plan plan = plan_of(job, 1000, 20);
  CHECK(plan.total_steps == 40);
  CHECK(plan.total_rows == 400);
}

TEST_CASE("the plan's job leaves nothing of the policy to auto") {
  const plan::Plan plan = plan_of(job_of({10}, 4, 1), 1000, 20);
  CHECK(plan.job.sync == job::resolve_sync(plan.job.sync, 4));
  CHECK(plan.job.sync.quorum == 3);
}

TEST_CASE("post-local begins where its length says, in whole steps") {
  job::Job job = job_of({10}, 4, 1);
  job.train.batch = 10;
  job.train.epochs = 4;
  const auto steps = [&](job::Length until) {
    job.sync.single_until = until;
    return plan::single_until_steps(plan_of(job, 95, 20));
  };
  job.sync.policy = job::PolicyName::local;
  CHECK(steps({0, job::Unit::epoch}) == 0);
  CHECK(steps({7, job::Unit::step}) == 7);
  CHECK(steps({1.5, job::Unit::epoch}) == 15);
  CHECK(steps({0.3, job::Unit::epoch}) == 3);
  CHECK(steps({0.31, job::Unit::epoch}) == 4);
  CHECK(steps({1e12, job::Unit::epoch}) == 40);
  job.sync.policy = job::PolicyName::bsp;
  CHECK(steps({7, job::Unit::step}) == 0);
}

TEST_CASE("only policies that take a step back hold what that needs") {
  job::Job job = job_of({900}, 4, 2);
  job.faults.on_worker_loss = job::OnWorkerLoss::keep_going;
  for (const auto policy : policies) {
    CAPTURE(job::policy_name(policy));
    job.sync.policy = policy;
    const bool takes_back =
        policy == PolicyName::bsp || policy == PolicyName::sign_vote || policy == PolicyName::subset;
    CHECK(plan_of(job, 1000, 900).undo_possible() == takes_back);
  }
  job.topology.servers = 1;
  job.sync.policy = job::PolicyName::bsp;
  CHECK_FALSE(plan_of(job, 1000, 900).undo_possible());
}

TEST_CASE("workers may change where a lost one is done without or started anew, or more may come, at servers only") {
  job::Job job = job_of({900}, 4, 2);
  const auto check = [&](bool may_change, int places) {
    const plan::Plan plan = plan_of(job, 1000, 900);
    CHECK(plan.may_change() == may_change);
    CHECK(plan.undo_possible() == may_change);
    CHECK(plan.places() == places);
    CHECK(plan.processes() == 4);
    CHECK((plan.worker_rows() == std::min<Index>(job.train.batch, 1000)) == may_change);
  };
  check(false, 4);
  job.faults.on_worker_loss = job::OnWorkerLoss::keep_going;
  check(true, 4);
  job.faults.on_worker_loss = job::OnWorkerLoss::restart;
  check(true, 4);
  job.faults = {};
  job.topology.max_workers = 4;
  check(false, 4);
  job.topology.max_workers = 7;
  check(true, 7);
  CHECK(plan::render(plan_of(job, 1000, 900)).find("up to 7 in all") != std::string::npos);
  job.topology.max_workers.reset();
  job.topology.kind = job::TopologyKind::ring;
  job.topology.servers.reset();
  job.faults.on_worker_loss = job::OnWorkerLoss::restart;
  CHECK_FALSE(plan_of(job, 1000, 900).may_change());
}

TEST_CASE("moments are held where optimizers step, and travel only when they are averaged") {
  job::Job job = job_of({900}, 4, 2);
  job.train.optimizer.type = job::OptimizerType::adam;
  job.sync.adaptive_lambda = true;
  struct Want {
    job::PolicyName policy;
    job::AverageMomentum momentum;
    int server, worker, exchanged;
  };
  using M = job::AverageMomentum;
  for (const Want& want :
       {Want{job::PolicyName::bsp, M::average, 2, 0, 1}, Want{job::PolicyName::asp, M::keep, 2, 0, 1},
        Want{job::PolicyName::local, M::keep, 0, 2, 1}, Want{job::PolicyName::local, M::average, 2, 2, 3},
        Want{job::PolicyName::easgd, M::average, 0, 2, 1}, Want{job::PolicyName::bmuf, M::reset, 2, 2, 1},
        Want{job::PolicyName::bmuf, M::average, 4, 2, 3}}) {
    CAPTURE(job::policy_name(want.policy));
    job.sync.policy = want.policy;
    job.sync.momentum = want.momentum;
    const plan::Plan plan = plan_of(job, 1000, 900);
    CHECK(plan.server_arenas() == want.server);
    CHECK(plan.worker_arenas() == want.worker);
    CHECK(plan.exchanged_arenas() == want.exchanged);
    CHECK(plan.moments() == 2);
  }
}

TEST_CASE("a server that corrects for delay holds a version for each worker, and memory counts it") {
  job::Job job = job_of({900}, 4, 1);
  job.sync.policy = job::PolicyName::asp;
  const auto memory = [&] { return plan::server_memory(plan_of(job, 1000, 900), 0).weights; };
  const std::size_t plain = memory();
  job.sync.compensation = job::Compensation::delay;
  const auto arena = static_cast<std::size_t>(plan_of(job, 1000, 900).step_bytes());
  CHECK(memory() - plain == 4 * arena);
  job.sync.adaptive_lambda = true;
  CHECK(memory() - plain == 6 * arena);
}

TEST_CASE("the bytes of a worker and step are two arenas, divided by the period where weights are exchanged") {
  job::Job job = job_of({900}, 4, 2);
  job.train.batch = 10;
  job.train.epochs = 2;
  job.train.optimizer.type = job::OptimizerType::momentum;
  job.sync.period = 5;
  const auto arenas = [&](job::PolicyName policy) {
    job.sync.policy = policy;
    const plan::Plan plan = plan_of(job, 100, 900);
    return double(plan.bytes_per_worker_step()) / double(plan.step_bytes());
  };
  using P = job::PolicyName;
  for (const P policy : {P::bsp, P::asp, P::ssp, P::quorum}) CHECK(arenas(policy) == 2);
  for (const P policy : {P::local, P::easgd, P::bmuf}) CHECK(arenas(policy) == doctest::Approx(0.4));
  job.sync.period = 7;  // 20 steps: two whole blocks and a short one
  CHECK(arenas(P::local) == doctest::Approx(2 * 3.0 / 20));
  job.sync.period = 5;
  job.sync.size = 1;
  CHECK(arenas(P::subset) == 1.25);
  job.sync.momentum = job::AverageMomentum::average;
  CHECK(arenas(P::bmuf) == doctest::Approx(0.8));
  job.sync.single_until = {1, job::Unit::epoch};
  CHECK(arenas(P::local) == doctest::Approx(2 * (2 + 0.4) / 2));
  job.sync.adapt = job::Adapts::period;
  job.sync.low = 1, job.sync.high = 4;
  CHECK(arenas(P::adaptive) == doctest::Approx(1));
}

TEST_CASE("the plan's line on sync says what the policy will do, in numbers") {
  job::Job job = job_of({10}, 4, 1);
  const auto line = [&](std::string_view name) {
    const std::string text = plan::render(plan_of(job, 1000, 20));
    const std::size_t begin = text.find(fmt::format("\n{:<10} ", name)) + 12;
    return text.substr(begin, text.find('\n', begin) - begin);
  };
  CHECK(line("sync") == "bsp; learning rate 0.05 per step, 0.000391 per row");
  CHECK(line("wire") == "1.68 kB a worker and step, half of it each way");
  job.faults.inject.bandwidth = 100e6;
  CHECK(line("link") == "at 100 Mbit/s a step's exchange takes at least 269 us: 3.36 kB each way at a server");
  job.faults.inject.latency = 0.005;
  CHECK(line("link") ==
        "at 100 Mbit/s a step's exchange takes at least 269 us: 3.36 kB each way at a server; a message is under way "
        "for 5 ms");
  job.faults.inject.bandwidth = 0;
  CHECK(line("link") == "a message is under way for 5 ms");
  job.sync.policy = job::PolicyName::ssp;
  CHECK(line("sync") ==
        "ssp:3; learning rate 0.05 per push, 0.00156 per row (bsp would have 0.000391; sync.rate: share scales it so)");
  job.sync.rate = job::Rate::share;
  job.sync.compensation = job::Compensation::delay;
  CHECK(line("sync") ==
        "ssp:3; learning rate 0.05 per step, 0.000391 per row, gradients corrected for their delay by 0.04");
  job.sync.policy = job::PolicyName::subset;
  CHECK(line("sync") == "subset:2; learning rate 0.05 per step, 0.000781 per row");
  CHECK(line("steps") == "16 in all, 64 rows each from 2 of 4 workers");
  CHECK(line("wire") == "1.26 kB a worker and step, 420 B of it to the servers");
  job.sync.policy = job::PolicyName::local;
  job.sync.single_until = {8, job::Unit::step};
  CHECK(line("sync") ==
        "local:10; learning rate 0.05 per own step of 32 rows; weights averaged at each of the first 8, then every 10");
  job.sync.policy = job::PolicyName::easgd;
  CHECK(line("sync") == "easgd:10; learning rate 0.05 per own step of 32 rows; elastic pull by 0.225 every 10");
  job.sync.policy = job::PolicyName::bmuf;
  CHECK(
      line("sync") ==
      "bmuf:10; learning rate 0.05 per own step of 32 rows; weights averaged every 10, block momentum 0.75 (nesterov)");
  job.sync.policy = job::PolicyName::sign_vote;
  CHECK(line("sync") == "sign_vote; each weight goes 0.05 where the majority's sign leads");
  job.sync.vote_feedback = true;
  CHECK(line("sync") ==
        "sign_vote; each weight goes 0.05 where the majority's sign leads, with feedback of what signs leave out");
  job.sync.policy = job::PolicyName::bmuf;
  const Json json = plan::to_json(plan_of(job, 1000, 20));
  CHECK(json["policy"] == "bmuf");
  CHECK(json["bytes_per_worker_step"] == 210);  // one exchange in 8 steps
}

TEST_CASE("threads share out the cores among the roles of the machine, and are at least one") {
  CHECK(plan_of(job_of({900}, 2, 2), 100, 900).threads == 1);
  CHECK(plan_of(job_of({900}, 1, 0), 100, 900).threads == 4);
  CHECK(plan_of(job_of({900}, 40, 1), 100, 900).threads == 1);
}

TEST_CASE("changes are packed where all workers take the same steps, by codecs whose losses fade") {
  job::Job job = job_of({100, 10}, 3, 2);
  job.sync.codec = job::Codec::onebit;
  for (const PolicyName policy : policies) {
    job.sync.policy = policy;
    const plan::Plan plan = plan_of(job, 1000, 50);
    const bool gated = policy == PolicyName::bsp || policy == PolicyName::quorum || policy == PolicyName::subset ||
                       policy == PolicyName::sign_vote;
    CHECK(plan::packs_changes(plan) == gated);
    CHECK(plan::keeps_model_apart(plan) == (gated && policy != PolicyName::sign_vote));
    CHECK(plan::packs_gradients(plan) == !sync::traits(plan.job.sync).weights);
  }
  job.sync.policy = PolicyName::bsp;
  job.sync.codec = job::Codec::zstd;
  CHECK_FALSE(plan::packs_changes(plan_of(job, 1000, 50)));
  job.sync.zstd_of = job::Codec::fp16;
  CHECK(plan::packs_changes(plan_of(job, 1000, 50)));
  job.sync.codec = job::Codec::qsgd;
  job.sync.levels = 7;
  CHECK(plan::render(plan_of(job, 1000, 50)).find("weights down as they are, since so few levels") !=
        std::string::npos);
  job.topology.servers = 0;
  job.topology.workers = 1;
  CHECK_FALSE(plan::packs_gradients(plan_of(job, 1000, 50)));
}

TEST_CASE("packed bytes are those of all pieces, in the mean over the warm-up and what comes after it") {
  job::Job job = job_of({100, 10}, 2, 2);
  job.sync.codec = job::Codec::fp16;
  const plan::Plan halves = plan_of(job, 1000, 50);
  CHECK(halves.push_bytes() == 2.0 * double(halves.layout.total));
  CHECK(halves.pull_bytes() == halves.push_bytes());
  CHECK(halves.plain_bytes() == double(halves.step_bytes()));
  job.sync.codec = job::Codec::topk;
  job.sync.density = 0.01;
  job.train.batch = 100;
  job.train.epochs = 3;  // 30 steps
  job.sync.density_warmup = {10, job::Unit::step};
  const plan::Plan plan = plan_of(job, 1000, 50);
  double sum = 0;
  for (int step = 0; step < 30; ++step)
    for (const plan::Slice& slice : plan.slices)
      for (const plan::Piece& piece : slice.pieces)
        sum += double(codec::bytes(plan::codec_options(plan.job), static_cast<std::size_t>(piece.count),
                                   std::min(1.0, step / 10.0)));
  CHECK(plan.push_bytes() * 30 == doctest::Approx(sum));
  CHECK(plan.pull_bytes() > 1.5 * plan.push_bytes());  // twice the density
  CHECK(plan::kept_arenas(plan) == 1);
  CHECK(plan.workers_keep());
}

TEST_CASE("votes take a bit a weight each way, and at most a byte a piece more; straight to whose the part is") {
  job::Job job = job_of({100, 10}, 3, 2);
  job.sync.policy = PolicyName::sign_vote;
  for (const auto kind : {job::TopologyKind::parameter_server, job::TopologyKind::ring, job::TopologyKind::tree}) {
    job.topology.kind = kind;
    const plan::Plan plan = plan_of(job, 1000, 50);
    double pieces = 0;
    for (const plan::Slice& slice : plan.slices) pieces += double(slice.pieces.size());
    const double bits = plan.plain_bytes() / 32;
    CHECK(plan.push_bytes() >= bits);
    CHECK(plan.push_bytes() < bits + (plan.peers() ? 2 : 1) * pieces);
    CHECK(plan.pull_bytes() == plan.push_bytes());
    if (plan.peers()) CHECK(plan.algorithm == collective::Algorithm::direct);
    CHECK(plan::codec_number(plan.job) > 0);
    CHECK(plan::to_json(plan)["codec"] == "signs");
  }
}

TEST_CASE(
    "rows that are mostly zeros travel as such where a worker can know what it will need, and the plan says why not") {
  job::Job job = job_of({40, 2}, 2, 1);
  data::Facts facts{1000, 0, "hash"};
  facts.nonzeros = 20000;
  const auto sparse_of = [&](const job::Job& j) {
    const plan::Plan plan = plan::make_plan(j, {"here", 4, std::size_t{1} << 34}, facts, 3000);
    const bool by_rows = std::any_of(plan.slices.front().pieces.begin(), plan.slices.front().pieces.end(),
                                     [](const plan::Piece& piece) { return piece.by_rows; });
    CHECK(by_rows == (plan.sparse == plan::Sparse::rows));
    if (plan.sparse == plan::Sparse::input) CHECK_FALSE(plan::dense_exchange_reason(plan).empty());
    return plan.sparse;
  };
  CHECK(sparse_of(job) == plan::Sparse::rows);
  for (const PolicyName policy : policies) {
    job.sync.policy = policy;
    const bool pushes = policy == PolicyName::bsp || policy == PolicyName::asp || policy == PolicyName::ssp;
    if (policy != PolicyName::gossip) CHECK(sparse_of(job) == (pushes ? plan::Sparse::rows : plan::Sparse::input));
  }
  job.sync.policy = PolicyName::ssp;
  job.sync.eager = true;
  CHECK(sparse_of(job) == plan::Sparse::input);
  job.sync = {};
  job.sync.codec = job::Codec::fp16;
  CHECK(sparse_of(job) == plan::Sparse::input);
  job.sync = {};
  job.faults.on_worker_loss = job::OnWorkerLoss::keep_going;
  CHECK(sparse_of(job) == plan::Sparse::input);
  job.faults = {};
  job.train.sparse = job::SparseUpdates::off;
  CHECK(sparse_of(job) == plan::Sparse::none);
  job.train.sparse = job::SparseUpdates::exact;
  facts.nonzeros = 1000 * 3000 / 4;
  CHECK(sparse_of(job) == plan::Sparse::none);
}

TEST_CASE("bytes of rows go with what is not zero, not with the number of features") {
  job::Job job = job_of({40, 2}, 2, 1);
  data::Facts facts{1000, 0, "hash"};
  facts.nonzeros = 20000;
  const auto bytes = [&](Index width) {
    return double(plan::make_plan(job, {"here", 4, std::size_t{1} << 34}, facts, width).bytes_per_worker_step());
  };
  CHECK(bytes(1'000'000) < 1.3 * bytes(10'000));
  job.train.sparse = job::SparseUpdates::off;
  CHECK(bytes(1'000'000) > 90 * bytes(10'000));
}
