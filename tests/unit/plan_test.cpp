#include <doctest/doctest.h>

#include <algorithm>

#include "base/random.hpp"
#include "math/fold.hpp"
#include "plan/plan.hpp"

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

TEST_CASE("threads share out the cores among the roles of the machine, and are at least one") {
  CHECK(plan_of(job_of({900}, 2, 2), 100, 900).threads == 1);
  CHECK(plan_of(job_of({900}, 1, 0), 100, 900).threads == 4);
  CHECK(plan_of(job_of({900}, 40, 1), 100, 900).threads == 1);
}
