/// Plans of one network over several workers.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <string>

#include "base/error.hpp"
#include "base/random.hpp"
#include "plan/plan.hpp"
#include "plan/splitting.hpp"

using namespace dtrain;

namespace {

using Widths = std::vector<std::int64_t>;

plan::Plan plan_of(const job::Job& job, Index rows = 1000, Index width = 784) {
  return plan::make_plan(job, {"here", 4, std::size_t{1} << 34}, {rows, 100, "hash"}, width);
}

/// `data` replicas of `pipeline` stages x `tensor`.
job::Job job_of(const Widths& widths, std::int64_t data, std::int64_t pipeline, std::int64_t tensor) {
  job::Job job;
  for (const std::int64_t width : widths) job.model.layers.push_back({.dense = width});
  job.topology.split = {pipeline, tensor, job::PipelineSchedule::one_f_one_b};
  job.topology.workers = data * pipeline * tensor;
  return job;
}

/// What the first rank of each stage has, stage by stage.
std::string words_of(const plan::Plan& plan) {
  std::string words;
  for (const plan::Plan& part : plan.cells)
    if (part.cell.rank == 0) words += (words.empty() ? "" : "; ") + plan::cut_words(part.cell);
  return words;
}

std::string cuts_of(const Widths& widths, std::int64_t pipeline, std::int64_t tensor) {
  return words_of(plan_of(job_of(widths, 1, pipeline, tensor)));
}

/// What a plan that cannot be made is refused with.
std::string refusal(const std::function<void()>& make) {
  try {
    make();
  } catch (const Error& error) {
    CHECK(error.kind() == Kind::job);
    return error.message();
  }
  return "";
}

/// Grids and widths that a seed names, odd ones too.
job::Job random_job(std::uint64_t seed) {
  const auto pick = [seed](std::uint32_t what, std::uint32_t least, std::uint32_t most) {
    return static_cast<std::int64_t>(least + draw(seed, Purpose::fault, what, 0)[0] % (most - least + 1));
  };
  Widths widths;
  for (std::uint32_t l = 0; l < static_cast<std::uint32_t>(pick(0, 1, 6)); ++l) widths.push_back(pick(10 + l, 3, 400));
  job::Job job = job_of(widths, pick(1, 1, 3), pick(2, 1, static_cast<std::uint32_t>(widths.size())), pick(3, 1, 3));
  if (seed % 3 == 0) job.topology.kind = job::TopologyKind::automatic;
  if (seed % 2 == 0) job.topology.split.schedule = job::PipelineSchedule::gpipe;
  for (job::Layer& layer : job.model.layers) layer.bias = draw(seed, Purpose::fault, 4, 0)[0] % 2 == 0;
  return job;
}

}  // namespace

TEST_CASE("ranks of a grid count tensor ranks first, then stages, then replicas") {
  const plan::Grid grid{2, 3, 2};
  CHECK(grid.cells() == 6);
  CHECK(grid.rank_of(1, 3) == 9);
  for (int rank = 0; rank < 12; ++rank) {
    CHECK(grid.rank_of(grid.data_of(rank), grid.cell_of(rank)) == rank);
    CHECK(grid.cell_of(rank) == rank / 2 % 3 * 2 + rank % 2);
  }
  const plan::Plan plan = plan_of(job_of({60, 50, 40}, 2, 3, 2));
  CHECK(plan.grid == grid);
  CHECK(plan.workers == 2);
  CHECK(plan.processes() == 12);
  for (int c = 0; c < 6; ++c) {
    CHECK(plan.of_cell(c).cell.stage == c / 2);
    CHECK(plan.of_cell(c).cell.rank == c % 2);
  }
}

TEST_CASE("equal borders cover a width, and every rank has something if there is enough") {
  for (Index width = 1; width < 700; width += width < 40 ? 1 : 37)
    for (int ranks = 1; ranks <= 9; ++ranks) {
      CAPTURE(width);
      CAPTURE(ranks);
      const std::vector<Index> borders = plan::equal_borders(width, ranks);
      REQUIRE(borders.size() == static_cast<std::size_t>(ranks) + 1);
      REQUIRE((borders.front() == 0 && borders.back() == width));
      const Index fair = width / ranks;
      for (int t = 0; t < ranks; ++t) {
        const Index share = borders[static_cast<std::size_t>(t) + 1] - borders[static_cast<std::size_t>(t)];
        REQUIRE(share >= (fair >= 1 ? 1 : 0));
        REQUIRE(std::abs(share - fair) <= (fair >= 64 ? 16 : 1));
      }
    }
  CHECK(plan::equal_borders(7, 3) == std::vector<Index>{0, 2, 4, 7});
  CHECK(plan::equal_borders(784, 2) == std::vector<Index>{0, 400, 784});
  CHECK(plan::equal_borders(512, 3) == std::vector<Index>{0, 176, 336, 512});
}

namespace {

/// The least that the greatest stage can cost, by trying all cuts.
double least_load(const std::vector<double>& costs, std::size_t first, int stages) {
  if (stages == 1) return std::accumulate(costs.begin() + static_cast<std::ptrdiff_t>(first), costs.end(), 0.0);
  double best = std::numeric_limits<double>::infinity(), here = 0;
  for (std::size_t end = first + 1; end + static_cast<std::size_t>(stages) - 1 <= costs.size(); ++end) {
    here += costs[end - 1];
    best = std::min(best, std::max(here, least_load(costs, end, stages - 1)));
  }
  return best;
}

}  // namespace

TEST_CASE("no other stages have a smaller greatest cost than those that are chosen") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    const job::Job job = random_job(seed);
    const std::vector<double> costs = plan::layer_flops(job.model, 100);
    const int stages = static_cast<int>(job.topology.split.pipeline);
    const std::vector<int> firsts = plan::cut_stages(job.model, costs, stages);
    REQUIRE(firsts.size() == static_cast<std::size_t>(stages) + 1);
    REQUIRE((firsts.front() == 0 && firsts.back() == static_cast<int>(costs.size())));
    double greatest = 0;
    for (std::size_t p = 0; p + 1 < firsts.size(); ++p) {
      REQUIRE(firsts[p] < firsts[p + 1]);
      greatest = std::max(greatest, std::accumulate(costs.begin() + firsts[p], costs.begin() + firsts[p + 1], 0.0));
    }
    REQUIRE(greatest == doctest::Approx(least_load(costs, 0, stages)));
  }
}

TEST_CASE("where one layer outweighs all, the stages beside it are equal") {
  const job::Job job = job_of({4000, 10, 10, 10, 10, 10, 10}, 1, 3, 1);
  CHECK(plan::cut_stages(job.model, {1000, 1, 1, 1, 1, 1, 1}, 3) == std::vector<int>{0, 1, 4, 7});
}

TEST_CASE("stages that the layers name are taken") {
  job::Job job = job_of({500, 10, 10, 10}, 1, 2, 1);
  CHECK(words_of(plan_of(job)) == "0; 1, 2, 3");
  for (std::size_t l = 0; l < 4; ++l) job.model.layers[l].stage = l < 3 ? 1 : 2;
  CHECK(words_of(plan_of(job)) == "0, 1, 2; 3");
}

TEST_CASE("wide layers are cut in pairs, first by output and then by input") {
  CHECK(cuts_of({512, 512, 10}, 1, 2) == "0 output, 1 input, 2 input");
  CHECK(cuts_of({512, 512, 10}, 1, 3) == "0 output, 1 input, 2 input");
  CHECK(cuts_of({512, 512, 10}, 2, 2) == "0 output; 1 output, 2 input");
  CHECK(cuts_of({512, 10}, 1, 2) == "0 output, 1 input");
  CHECK(cuts_of({512, 512, 512, 512, 512, 512}, 1, 2) == "0 output, 1 input, 2 output, 3 input, 4 output, 5 input");
  CHECK(cuts_of({512, 512, 512, 512, 512, 512}, 3, 2) == "0 output, 1 input; 2 output, 3 input; 4 output, 5 input");
}

TEST_CASE("a tiny layer that has no pair is left to one rank") {
  CHECK(cuts_of({512, 512, 8, 8}, 1, 2).find("none") == std::string::npos);
  CHECK(cuts_of({1024, 8, 8, 8, 1}, 1, 2) == "0 output, 1 input, 2 none, 3 output, 4 input");
}

TEST_CASE("a pair needs one exchange each way, and what follows no pair needs more") {
  const auto exchanges = [](const std::vector<job::LayerSplit>& forms) {
    job::Job job = job_of(Widths(forms.size(), 96), 1, 1, 2);
    for (std::size_t l = 0; l < forms.size(); ++l) job.model.layers[l].split = forms[l];
    const plan::Plan plan = plan_of(job, 1000, 96);
    return plan::exchanges_of(job.model, 96, plan.cells.front().cell);
  };
  using S = job::LayerSplit;
  const auto check = [&](const std::vector<S>& forms, int count, Index columns) {
    CHECK(exchanges(forms).count == count);
    CHECK(exchanges(forms).columns == columns);
  };
  check({S::output, S::input}, 1, 2 * 96);                       // the sum; no gradient goes below
  check({S::output, S::input, S::output, S::input}, 3, 6 * 96);  // two sums up, one down
  check({S::input, S::input}, 3, (2 + 2 + 1) * 96);              // sum, sum, and the gradient's halves
  check({S::output, S::output}, 3, (1 + 2 + 1) * 96);            // halves, the gradient's sum, halves at the end
  check({S::output, S::none}, 3, (1 + 1 + 1) * 96);              // to one rank, from it, and its gradient
}

TEST_CASE("forms that the job gives are taken, and those that no rank could share are refused") {
  job::Job job = job_of({512, 512, 10}, 1, 1, 4);
  job.model.layers[1].split = job::LayerSplit::output;
  CHECK(words_of(plan_of(job)) == "0 output, 1 output, 2 input");
  job.model.layers[0].split = job::LayerSplit::input;
  CHECK(words_of(plan_of(job)) == "0 input, 1 output, 2 input");
  CHECK(refusal([&] { plan_of(job, 1000, 3); }) ==
        "model.layers[0].split is input, but the layer has only 3 inputs for 4 tensor ranks: set it to auto, or "
        "topology.split.tensor to 3 or less");
}

TEST_CASE("a stage in which some rank would have no weight is refused") {
  CHECK(refusal([] {
          plan_of(job_of({2, 1}, 1, 1, 4), 1000, 3);
        }) ==
        "some of the 4 tensor ranks would have no weight of layers 0 to 1, none of which is that wide: set "
        "topology.split.tensor to 3 or less");
  CHECK(refusal([] {
          plan_of(job_of({9, 3, 2}, 1, 3, 4), 1000, 9);
        }) ==
        "some of the 4 tensor ranks would have no weight of layer 2, none of which is that wide: set "
        "topology.split.tensor to 3 or less");
  job::Job job = job_of({512, 512}, 1, 1, 2);
  for (job::Layer& layer : job.model.layers) layer.split = job::LayerSplit::none;
  CHECK(refusal([&] { plan_of(job); }) ==
        "some of the 2 tensor ranks would have no weight of layers 0 to 1, none of which is split: set "
        "topology.split.tensor to 1 or less, or split of one of them to auto");
}

TEST_CASE("every weight is in one cell, and each cell's plan is that of a cluster of its own") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    const job::Job job = random_job(seed);
    const plan::Plan plan = plan_of(job, 500, 90);
    REQUIRE(plan.workers == job.topology.data_ranks());
    if (!plan.grid.split()) {
      REQUIRE(plan.cells.empty());
      continue;
    }
    Index weights = 0;
    double flops = 0;
    REQUIRE(static_cast<int>(plan.cells.size()) == plan.grid.cells());
    for (const plan::Plan& part : plan.cells) {
      weights += part.layout.total;
      flops += part.flops_per_row();
      REQUIRE(part.layout.total > 0);
      REQUIRE(part.cells.empty());
      REQUIRE(part.grid == plan::Grid{plan.workers, 1, 1});
      REQUIRE(part.job.topology.data_ranks() == plan.workers);
      REQUIRE(part.job.topology.split.schedule == job.topology.split.schedule);
      REQUIRE(part.servers == plan.servers_of_cell());
      REQUIRE(part.total_rows == plan.total_rows);
      REQUIRE(*part.job.train.micro_batches == *plan.job.train.micro_batches);
      REQUIRE(part.peers() == (plan.servers == 0));
      REQUIRE(static_cast<int>(part.slices.size()) == part.owners());
      std::vector<plan::Piece> pieces;
      for (const plan::Slice& slice : part.slices)
        pieces.insert(pieces.end(), slice.pieces.begin(), slice.pieces.end());
      std::sort(pieces.begin(), pieces.end(), [](const auto& a, const auto& b) { return a.offset < b.offset; });
      Index at = 0;
      for (const plan::Piece& piece : pieces) {
        REQUIRE(piece.offset == at);
        at += piece.count;
        for (int l = 0; l < part.cell.layers(); ++l) {
          const model::Range& range = part.layout.layers[static_cast<std::size_t>(l)];
          if (range.begin < at && piece.offset < range.end) REQUIRE((piece.first_layer <= l && l <= piece.last_layer));
        }
      }
      REQUIRE(at == part.layout.total);
      REQUIRE(part.buckets.empty() == !part.peers());
    }
    REQUIRE(weights == plan.layout.total);
    REQUIRE(flops == doctest::Approx(plan.flops_per_row()));
  }
}

TEST_CASE("the resolved job of a plan makes the same plan") {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    CAPTURE(seed);
    const plan::Plan plan = plan_of(random_job(seed), 500, 90);
    const plan::Plan again = plan_of(plan.job, 500, 90);
    REQUIRE(again.job == plan.job);
    REQUIRE(plan::to_json(again) == plan::to_json(plan));
    for (std::size_t c = 0; c < plan.cells.size(); ++c) {
      REQUIRE(again.cells[c].cell == plan.cells[c].cell);
      REQUIRE(again.cells[c].job == plan.cells[c].job);
    }
  }
}

TEST_CASE("each cell has a server where replicas meet, and one replica needs none") {
  const auto servers = [](std::int64_t data, const std::function<void(job::Topology&)>& change = {}) {
    job::Job job = job_of({512, 512, 10}, data, 2, 2);
    if (change) change(job.topology);
    return plan_of(job).servers;
  };
  CHECK(servers(2) == 4);
  CHECK(servers(1) == 0);
  CHECK(servers(1, [](auto& topology) { topology.external = 1; }) == 4);
  CHECK(servers(2, [](auto& topology) { topology.servers = 8; }) == 8);
  CHECK(servers(2, [](auto& topology) { topology.kind = job::TopologyKind::ring; }) == 0);
  job::Job small = job_of({40, 30, 10}, 2, 2, 1);
  small.topology.servers = 4;
  const plan::Plan plan = plan_of(small, 1000, 30);
  CHECK(plan.servers == 2);
  CHECK(plan.warnings.front() ==
        "topology.servers is 4, but a part of the network has only 1 block of 4096 weights to own: 2 will be used");
}

TEST_CASE("external workers and servers are counted where their ranks are") {
  job::Job job = job_of({512, 512, 10}, 2, 2, 1);
  job.topology.servers = 4;
  job.topology.external = 3;
  job.topology.external_servers = 1;
  const plan::Plan plan = plan_of(job);
  CHECK(plan.of_cell(0).job.topology.external == 1);
  CHECK(plan.of_cell(1).job.topology.external == 2);
  CHECK(plan.of_cell(0).job.topology.external_servers == 0);
  CHECK(plan.of_cell(1).job.topology.external_servers == 1);
}

TEST_CASE("a pipeline has four micro-batches a stage, but none without rows") {
  const auto pieces = [](std::int64_t data, std::int64_t pipeline, std::int64_t batch, Index rows = 1000) {
    job::Job job = job_of({64, 64, 64, 10}, data, pipeline, 1);
    job.train.batch = batch;
    return *plan_of(job, rows).job.train.micro_batches;
  };
  CHECK(pieces(1, 1, 128) == 1);
  CHECK(pieces(1, 3, 128) == 12);
  CHECK(pieces(2, 3, 128) == 12);
  CHECK(pieces(2, 3, 10) == 5);
  CHECK(pieces(1, 4, 128, 7) == 7);
  job::Job job = job_of({64, 10}, 1, 2, 1);
  job.train.micro_batches = 3;
  CHECK(*plan_of(job).job.train.micro_batches == 3);
  CHECK(plan::ideal_bubble(plan_of(job)) == doctest::Approx(1.0 / 4));
}

TEST_CASE("sparse rows stay so where every rank reads all features, and the choice sees to that") {
  const auto parts = [](job::Job job) {
    job.data.format = job::Format::libsvm;
    data::Facts facts{1000, 100, "hash"};
    facts.nonzeros = 20000;
    return plan::make_plan(job, {"here", 4, std::size_t{1} << 34}, facts, 3000);
  };
  job::Job job = job_of({64, 512, 512, 10}, 1, 2, 2);
  const plan::Plan plan = parts(job);
  CHECK(plan.cells.front().cell.cuts.front().by_output);
  CHECK(plan.sparse == plan::Sparse::input);
  CHECK(plan.cells[1].sparse == plan::Sparse::input);
  CHECK(plan.cells[2].sparse == plan::Sparse::none);
  job.model.layers.front().split = job::LayerSplit::input;
  CHECK(parts(job).sparse == plan::Sparse::none);
  CHECK(parts(job_of({64, 10}, 2, 2, 1)).sparse == plan::Sparse::input);
  CHECK(parts(job_of({64, 10}, 2, 1, 1)).sparse == plan::Sparse::rows);
}

TEST_CASE("a stage needs less memory than the network, and the more stages the less") {
  double before = std::numeric_limits<double>::infinity();
  for (const std::int64_t pipeline : {1, 2, 4}) {
    job::Job job = job_of({1024, 1024, 1024, 1024}, 1, pipeline, 1);
    job.train.optimizer.type = job::OptimizerType::adam;
    const plan::Plan plan = plan_of(job, 1000, 1024);
    const plan::Memory memory = plan::worker_memory(plan);
    CHECK(double(memory.weights) < before);
    before = double(memory.weights);
    std::size_t greatest = 0;
    for (const plan::Plan& part : plan.cells) greatest = std::max(greatest, plan::worker_memory(part).total());
    if (pipeline > 1) CHECK(memory.total() == greatest);
  }
}

TEST_CASE("a network that needs more than a worker may have is refused, and runs with the split that is named") {
  job::Job job = job_of({1024, 1024, 1024, 10}, 1, 1, 1);
  job.train.optimizer.type = job::OptimizerType::adam;
  constexpr double mib = 1 << 20;
  const double needed = double(plan::worker_memory(plan_of(job, 1000, 1024)).total());
  job.topology.memory = needed;
  CHECK(refusal([&] { plan_of(job, 1000, 1024); }).empty());
  job.topology.memory = needed - 1;
  const std::string told = refusal([&] { plan_of(job, 1000, 1024); });
  job::Job halves = job_of({1024, 1024, 1024, 10}, 1, 2, 1);
  halves.train.optimizer.type = job::OptimizerType::adam;
  const auto half = double(plan::worker_memory(plan_of(halves, 1000, 1024)).total());
  const auto whole_mib = [](double bytes) { return std::to_string(static_cast<long>(std::ceil(bytes / mib))); };
  CHECK(told == "a worker needs " + whole_mib(needed) + " MiB of memory, and topology.memory is " +
                    whole_mib(needed - 1) + " MiB: topology.split: {pipeline: 2} would need " + whole_mib(half) +
                    " MiB a worker");
  halves.topology.memory = half;
  CHECK(refusal([&] { plan_of(halves, 1000, 1024); }).empty());
  job.topology.memory = 20 * mib;
  CHECK(refusal([&] { plan_of(job, 1000, 1024); }).find("no number of stages needs less than ") != std::string::npos);
}

TEST_CASE("a stage that all others wait for is told") {
  const plan::Plan plan = plan_of(job_of({2000, 10, 10}, 1, 3, 1));
  REQUIRE(plan.warnings.size() == 1);
  CHECK(plan.warnings.front() ==
        "stage 1 has 2.9 times the mean work of a stage, and all others wait for it: fewer stages, or "
        "topology.split.tensor, keep workers busier");
  CHECK(plan_of(job_of({64, 64, 64}, 1, 3, 1), 1000, 64).warnings.empty());
}

TEST_CASE("a plan tells of its grid, its cells and what passes between them") {
  job::Job job = job_of({512, 512, 10}, 2, 2, 2);
  job.train.batch = 64;
  const plan::Plan plan = plan_of(job);
  const std::string text = plan::render(plan);
  CHECK(text.find("grid       8 workers: 2 replicas of 2 stages x 2\n") != std::string::npos);
  CHECK(text.find("pipeline   1f1b, 8 micro-batches of 4 rows; at best a stage waits 11.1 % of the time\n") !=
        std::string::npos);
  CHECK(text.find("1 output, 2 input") != std::string::npos);
  // 32 rows of 512 outputs and their gradients, by both ranks.
  const plan::ReplicaBytes bytes = plan::replica_bytes(plan);
  CHECK(bytes.stages == 4.0 * 32 * 512 * 2 * 2);
  // Outputs of the first stage; the sum of the second, and of the gradient by what it had from the first.
  CHECK(bytes.groups == 4.0 * 32 * (512 + 2 * 10 + 2 * 512));
  const Json json = plan::to_json(plan);
  CHECK(json.at("workers") == 8);
  CHECK(json.at("grid").at("replicas") == 2);
  CHECK(json.at("cells").size() == 4);
  CHECK(json.at("cells").at(3).at("layers").at(1).at("split") == "input");
  CHECK(json.at("roles").size() == 4 + 8);
  double work = 0;
  for (const Json& cell : json.at("cells")) work += cell.at("work").get<double>();
  CHECK(work == doctest::Approx(1));
  CHECK_FALSE(plan::to_json(plan_of(job_of({512, 10}, 2, 1, 1))).contains("grid"));
}
