/// Owners of parts, where workers exchange without servers.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <list>
#include <memory>

#include "base/random.hpp"
#include "math/fold.hpp"
#include "role/owner.hpp"

using namespace dtrain;
using namespace dtrain::role;

namespace {

using Topology = job::TopologyKind;

/// Three workers, without servers or around one.
plan::Plan plan_of(Topology kind, const job::Sync& sync, job::OptimizerType type) {
  job::Job job;
  job.model.layers = {{.dense = 150}, {.dense = 70}, {.dense = 3}};
  job.topology.workers = 3;
  job.topology.servers = kind == Topology::parameter_server ? 1 : 0;
  job.topology.kind = kind;
  job.sync = sync;
  job.train.optimizer.type = type;
  job.train.optimizer.weight_decay = 0.01;
  return plan::make_plan(job, {"here", 2, std::size_t{1} << 34}, {1000, 0, "hash"}, 90);
}

std::vector<float> numbers(std::uint32_t which, Index count) {
  std::vector<float> out(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = unit(draw(5, Purpose::fault, which, i)[0]) - 0.5f;
  return out;
}

std::vector<float> copy(const Arena& arena) { return {arena.span().begin(), arena.span().end()}; }

void start(Owner& owner, const std::vector<float>& weights) {
  std::copy(weights.begin(), weights.end(), owner.current().weights.data());
}

Contribution contribution_of(const plan::Slice& slice, const std::vector<float>& gradient, float factor) {
  Contribution out{{}, factor};
  for (const plan::Piece& piece : slice.pieces) out.pieces.push_back(gradient.data() + piece.offset);
  return out;
}

/// What each rank has of a piece.
std::vector<Share> shares_of(const std::vector<std::vector<float>>& arenas, Index offset) {
  std::vector<Share> shares;
  for (std::size_t r = 0; r < arenas.size(); ++r)
    shares.push_back({arenas[r].data() + offset, 0.25f * static_cast<float>(r + 1)});
  return shares;
}

/// Each owner steps its own parts, the last one first, and has the others' from them.
void step_parts(const plan::Plan& plan, std::list<Owner>& owners, const std::vector<std::vector<float>>& pushed,
                Index rows) {
  for (Owner& owner : owners) owner.open(0.5f, rows);
  std::size_t rank = 0;
  for (Owner& owner : owners) {
    const std::vector<plan::Piece>& own = plan.slices[rank++].pieces;
    for (auto piece = own.rbegin(); piece != own.rend(); ++piece) {
      owner.step_piece(piece->offset, 0, shares_of(pushed, piece->offset));
      for (Owner& other : owners)
        if (&other != &owner)
          std::copy_n(owner.next().weights.data() + piece->offset, piece->count,
                      other.next().weights.data() + piece->offset);
    }
  }
  for (Owner& owner : owners) CHECK_FALSE(owner.close());
}

}  // namespace

TEST_CASE("owners of parts together, piece by piece, have the bits of one that steps the whole slice") {
  using T = job::OptimizerType;
  for (const Topology kind : {Topology::ring, Topology::halving_doubling, Topology::tree})
    for (const T type : {T::sgd, T::nesterov, T::adamw}) {
      const plan::Plan whole = plan_of(Topology::parameter_server, {}, type), parts = plan_of(kind, {}, type);
      const std::vector<float> weights = numbers(0, whole.layout.total);
      Owner one(whole, 0, 1);
      start(one, weights);
      std::list<Owner> owners;
      for (int rank = 0; rank < 3; ++rank) start(owners.emplace_back(parts, Owner::Parts{rank}, 1 + rank % 2), weights);
      for (std::uint32_t step = 1; step <= 3; ++step) {
        std::vector<std::vector<float>> pushed;
        std::vector<Contribution> contributions;
        for (std::uint32_t r = 0; r < 3; ++r) pushed.push_back(numbers(10 * step + r, whole.layout.total));
        for (std::size_t r = 0; r < 3; ++r)
          contributions.push_back(contribution_of(one.slice(), pushed[r], 0.25f * static_cast<float>(r + 1)));
        CHECK_FALSE(one.step(contributions, 0.5f, 128 * step));
        step_parts(parts, owners, pushed, 128 * step);
      }
      for (const Owner& owner : owners) {
        CHECK(copy(owner.current().weights) == copy(one.current().weights));
        CHECK(owner.current().updates == 3);
        CHECK(owner.current().applied_rows == 3 * 128);
      }
      std::size_t rank = 0;
      for (const Owner& owner : owners)
        for (const plan::Piece& piece : parts.slices[rank++].pieces)
          for (std::size_t k = 0; k < one.current().moments.size(); ++k)
            CHECK(std::equal(owner.current().moments[k].data() + piece.offset,
                             owner.current().moments[k].data() + piece.offset + piece.count,
                             one.current().moments[k].data() + piece.offset));
    }
}

TEST_CASE("a piece that nobody has anything for stays as it was, moments too") {
  const plan::Plan plan = plan_of(Topology::ring, {}, job::OptimizerType::adam);
  Owner owner(plan, Owner::Parts{1}, 1);
  start(owner, numbers(0, plan.layout.total));
  const std::vector<std::vector<float>> pushed{numbers(1, plan.layout.total)};
  const std::vector<plan::Piece>& own = plan.slices[1].pieces;
  const plan::Piece& still = own.front();
  const auto still_of = [&](const Arena& arena) {
    return std::vector<float>(arena.data() + still.offset, arena.data() + still.offset + still.count);
  };
  owner.open(1, 128);
  for (const plan::Piece& piece : own) owner.step_piece(piece.offset, 0, shares_of(pushed, piece.offset));
  CHECK_FALSE(owner.close());
  const std::vector<float> weights = still_of(owner.current().weights), moment = still_of(owner.current().moments[1]);
  owner.open(1, 256);
  owner.step_piece(still.offset, 0, {});
  CHECK_FALSE(owner.close());
  CHECK(still_of(owner.current().weights) == weights);
  CHECK(still_of(owner.current().moments[1]) == moment);
  CHECK(std::any_of(moment.begin(), moment.end(), [](float value) { return value != 0; }));
}

TEST_CASE("averaged moments are stepped as pieces of their own, each the fold of what came for it") {
  job::Sync sync;
  sync.policy = job::PolicyName::local;
  sync.momentum = job::AverageMomentum::average;
  const plan::Plan plan = plan_of(Topology::halving_doubling, sync, job::OptimizerType::adam);
  REQUIRE(plan.exchanged_arenas() == 3);
  Owner owner(plan, Owner::Parts{0}, 1);
  start(owner, numbers(0, plan.layout.total));
  owner.open(1, 128);
  for (std::uint32_t arena = 0; arena < 3; ++arena) {
    std::vector<std::vector<float>> pushed;
    for (std::uint32_t r = 0; r < 3; ++r) pushed.push_back(numbers(10 * arena + r + 1, plan.layout.total));
    for (const plan::Piece& piece : plan.slices[0].pieces) {
      const std::vector<Share> shares = shares_of(pushed, piece.offset);
      owner.step_piece(piece.offset, arena, shares);
      std::vector<float> expected(static_cast<std::size_t>(piece.count));
      fold(shares, expected);
      const Arena& made = arena == 0 ? owner.next().weights : owner.next().moments[arena - 1];
      CHECK(std::equal(expected.begin(), expected.end(), made.data() + piece.offset));
    }
  }
  CHECK_FALSE(owner.close());
}

TEST_CASE("a part whose gradient is not finite closes the step without a new version, and says from where on") {
  const plan::Plan plan = plan_of(Topology::tree, {}, job::OptimizerType::sgd);
  const int rank = plan.slices[0].pieces.empty() ? 1 : 0;
  Owner owner(plan, Owner::Parts{rank}, 1);
  start(owner, numbers(0, plan.layout.total));
  const std::vector<float> before = copy(owner.current().weights);
  std::vector<std::vector<float>> pushed{numbers(1, plan.layout.total)};
  pushed[0][9001] = std::nanf("");
  owner.open(1, 128);
  for (const plan::Piece& piece : plan.slices[static_cast<std::size_t>(rank)].pieces) {
    owner.step_piece(piece.offset, 0, shares_of(pushed, piece.offset));
    CHECK(owner.not_finite().has_value() == (piece.offset + piece.count > 9001));
  }
  const auto bad = owner.close();
  REQUIRE(bad);
  CHECK(*bad <= 9001);
  CHECK(9001 - *bad < block_weights);
  CHECK(copy(owner.current().weights) == before);
}

TEST_CASE("a worker without servers makes as many arenas as the plan's memory says") {
  using T = job::OptimizerType;
  job::Sync local;
  local.policy = job::PolicyName::local;
  local.momentum = job::AverageMomentum::average;
  for (const auto& [sync, type] :
       {std::pair{job::Sync{}, T::sgd}, std::pair{local, T::sgd}, std::pair{local, T::adam}}) {
    const plan::Plan plan = plan_of(Topology::ring, sync, type);
    const bool own_steps = sync.policy == job::PolicyName::local;
    Index made = plan.layout.total;  // the gradient
    const MakeArena counting = [&](Index count) {
      made += count;
      return Arena(count);
    };
    Owner owner(plan, Owner::Parts{0}, 1, counting);
    std::unique_ptr<Owner> own;
    if (own_steps) own.reset(new Owner(Owner::of_worker(plan, 1, counting)));
    const std::vector<float> gradient = numbers(1, plan.layout.total);
    for (Index step = 1; step <= 5; ++step) {
      if (own) CHECK_FALSE(own->step(std::vector<Contribution>{{{gradient.data()}, 1}}, 1, 128 * step));
      owner.open(1, 128 * step);
      CHECK_FALSE(owner.close());
    }
    CHECK(plan::worker_memory(plan).weights == static_cast<std::size_t>(4 * made));
  }
}
