#include "plan/plan.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "data/division.hpp"
#include "job/hosts.hpp"
#include "job/places.hpp"
#include "job/resolve.hpp"
#include "math/fold.hpp"
#include "optim/optimizer.hpp"
#include "plan/limit.hpp"
#include "plan/pieces.hpp"
#include "plan/sparse.hpp"
#include "plan/splitting.hpp"
#include "sync/policy.hpp"

namespace dtrain::plan {
namespace {

Index blocks_of(const model::Layout& layout) { return (layout.total + block_weights - 1) / block_weights; }

/// Of every cell, or in all where the network is not split. `blocks`: of the smallest cell.
int decide_servers(const Plan& plan, Index blocks, std::vector<std::string>& warnings) {
  const job::Topology& topology = plan.job.topology;
  if (topology.kind != job::TopologyKind::parameter_server) return 0;
  const bool alone =
      plan.workers == 1 && !job::grows(topology) && topology.external == 0 && topology.external_servers == 0;
  const std::int64_t cells = plan.grid.cells();
  const std::int64_t wanted = topology.servers ? *topology.servers / cells : alone ? 0 : 1;
  if (wanted <= blocks) return static_cast<int>(wanted);
  warnings.push_back(
      fmt::format("topology.servers is {}, but {} has only {} block{} of {} weights to own: {} will be used",
                  wanted * cells, cells > 1 ? "a part of the network" : "the model", blocks, blocks == 1 ? "" : "s",
                  block_weights, blocks * cells));
  return static_cast<int>(blocks);
}

std::int64_t local_roles(const Plan& plan) {
  const job::Topology& topology = plan.job.topology;
  return plan.servers - topology.external_servers + plan.processes() - topology.external;
}

/// Of hosts that are named, all are taken to be like this one.
int decide_threads(const Plan& plan) {
  const job::Topology& topology = plan.job.topology;
  const std::int64_t local = topology.hosts.empty() ? local_roles(plan) : job::most_roles_of_a_host(topology);
  const std::int64_t fallback = std::max<std::int64_t>(1, plan.host.cores / std::max<std::int64_t>(1, local));
  return static_cast<int>(plan.job.topology.threads.value_or(fallback));
}

/// Enough pieces to keep all stages busy, but none without rows.
std::int64_t decide_micro_batches(const Plan& plan) {
  constexpr std::int64_t of_a_stage = 4;
  const job::Train& train = plan.job.train;
  const std::int64_t rows = std::min(train.batch, plan.facts.train_rows) / plan.workers;
  const std::int64_t wanted = plan.grid.pipeline > 1 ? of_a_stage * plan.grid.pipeline : 1;
  return train.micro_batches.value_or(std::clamp<std::int64_t>(rows, 1, wanted));
}

std::vector<int> all_ranks(int workers) {
  std::vector<int> ranks(static_cast<std::size_t>(workers));
  std::iota(ranks.begin(), ranks.end(), 0);
  return ranks;
}

/// Walks the steps and the ranks drawn for each until `rows` are applied.
std::vector<Index> rows_under_subset(const Plan& plan, data::Division& division, Index rows) {
  const std::vector<int> everyone = all_ranks(plan.workers);
  std::vector<Index> before{0};
  while (before.back() < rows) {
    const Index step = std::ssize(before) - 1;
    Index applied = 0;
    for (const int rank : sync::subset_of(plan.job.seed, static_cast<sync::Clock>(step), *plan.job.sync.size, everyone,
                                          static_cast<std::size_t>(plan.places())))
      applied += division.count(step, rank);
    before.push_back(before.back() + applied);
  }
  return before;
}

void count_steps(Plan& plan) {
  data::Division division(plan.job, plan.facts, all_ranks(plan.workers));
  plan.steps_per_epoch = division.steps_per_epoch();
  plan.total_steps = division.total_steps();
  plan.total_rows = division.total_rows();
  if (plan.job.sync.policy != job::PolicyName::subset) return;
  plan.rows_before = rows_under_subset(plan, division, plan.total_rows);
  plan.total_steps = std::ssize(plan.rows_before) - 1;
  plan.total_rows = plan.rows_before.back();
}

}  // namespace

int Plan::places() const { return static_cast<int>(job::places(job.topology)); }

bool Plan::may_change() const {
  if (servers == 0 || grid.split() || !cell.whole()) return false;
  return job.faults.on_worker_loss != job::OnWorkerLoss::stop || job::grows(job.topology);
}

Index Plan::worker_rows() const {
  const bool may_grow = may_change() || job.data.sharing == job::Sharing::shard;
  const Index shares = may_grow ? 1 : std::max(1, workers);
  return std::min(facts.train_rows, (job.train.batch + shares - 1) / shares);
}

Index Plan::rows_of_steps(Index steps) const {
  if (!rows_before.empty()) return rows_before[static_cast<std::size_t>(std::min(steps, total_steps))];
  return steps / steps_per_epoch * facts.train_rows +
         std::min(facts.train_rows, steps % steps_per_epoch * job.train.batch);
}

int Plan::readers() const {
  if (alone()) return 0;
  switch (job.data.sharing) {
    case job::Sharing::central:
    case job::Sharing::peer: return 1;
    case job::Sharing::staged: return static_cast<int>(job.topology.loaders);
    case job::Sharing::replicate:
    case job::Sharing::shard:
    case job::Sharing::shared_files: return 0;
  }
  return 0;
}

int Plan::loaders() const { return job.data.sharing == job::Sharing::staged ? 2 * readers() : readers(); }

Index Plan::ahead() const {
  return job.data.ahead.value_or(job.data.sharing == job::Sharing::peer ? steps_per_epoch : 4);
}

bool Plan::undo_possible() const {
  const sync::Traits traits = sync::traits(job.sync);
  const bool takes_back = traits.gated && !traits.decided;
  return servers > 1 && may_change() && takes_back;
}

Index single_until_steps(const Plan& plan) {
  constexpr double rounding = 1e-9;  // a third of an epoch of 30 steps is 10 of them
  const job::Length& until = plan.job.sync.single_until;
  if (plan.job.sync.policy != job::PolicyName::local) return 0;
  const double steps = until.unit == job::Unit::epoch ? until.value * double(plan.steps_per_epoch) : until.value;
  return static_cast<Index>(std::min(std::ceil(steps - rounding), double(plan.total_steps)));
}

std::uint64_t last_clock(const Plan& plan) {
  return sync::traits(plan.job.sync).folds_some ? 0 : static_cast<std::uint64_t>(plan.total_steps);
}

Index steps_of(const Plan& plan, Index applied_rows) {
  const Index epochs = applied_rows / plan.facts.train_rows, rest = applied_rows % plan.facts.train_rows;
  return epochs * plan.steps_per_epoch + rest / plan.job.train.batch;
}

bool due(const Plan& plan, const job::Length& every, Index before, Index after) {
  if (every.value <= 0 || every.unit == job::Unit::time) return false;
  const auto units = [&](Index applied) {
    return every.unit == job::Unit::step ? double(steps_of(plan, applied))
                                         : double(applied) / double(plan.facts.train_rows);
  };
  return std::floor(units(after) / every.value) > std::floor(units(before) / every.value);
}

namespace {

Grid grid_of(const job::Topology& topology) {
  return {static_cast<int>(topology.data_ranks()), static_cast<int>(topology.split.pipeline),
          static_cast<int>(topology.split.tensor)};
}

/// How many workers of a cell join from outside.
std::int64_t external_workers(const Plan& whole, int c) {
  std::int64_t count = 0;
  for (int rank = c; rank < whole.processes(); rank += whole.grid.cells())
    count += job::is_external_worker(whole.job.topology, rank, whole.processes()) ? 1 : 0;
  return count;
}

/// The same of its servers.
std::int64_t external_servers(const Plan& whole, int c) {
  const int servers = whole.servers_of_cell();
  std::int64_t count = 0;
  for (int rank = c * servers; rank < (c + 1) * servers; ++rank)
    count += job::is_external_server(whole.job.topology, rank, whole.servers) ? 1 : 0;
  return count;
}

/// The job of a cluster that trains one cell alone.
job::Topology topology_of_cell(const Plan& whole, int c) {
  job::Topology topology = whole.job.topology;
  const int servers = whole.servers_of_cell();
  topology.workers = whole.workers;
  topology.max_workers.reset();
  topology.split.pipeline = topology.split.tensor = 1;
  topology.servers = servers;
  topology.external = external_workers(whole, c);
  topology.external_servers = external_servers(whole, c);
  topology.hosts.clear();
  return topology;
}

Plan plan_of_cell(const Plan& whole, int c, model::Cell cell, model::Layout layout) {
  Plan plan = whole;
  plan.warnings.clear();
  plan.job.topology = topology_of_cell(whole, c);
  plan.grid = {whole.grid.data, 1, 1};
  plan.servers = whole.servers_of_cell();
  plan.cell = std::move(cell);
  plan.layout = std::move(layout);
  plan.algorithm = decide_algorithm(plan);
  plan.sparse = decide_sparse(plan);
  share_weights(plan);
  return plan;
}

/// What was left to the plan goes into its job. Servers are decided.
void settle(Plan& plan) {
  plan.threads = decide_threads(plan);
  plan.job.topology.servers = plan.servers;
  plan.job.topology.threads = plan.threads;
}

void stay_whole(Plan& plan) {
  plan.servers = decide_servers(plan, blocks_of(plan.layout), plan.warnings);
  settle(plan);
  plan.algorithm = decide_algorithm(plan);
  plan.sparse = decide_sparse(plan);
  share_weights(plan);
}

/// Cells, their servers and what each of them does.
void spread(Plan& plan) {
  std::vector<model::Cell> cells = split_network(plan.job.model, plan.width, plan.job.topology.split,
                                                 micro_batch_rows(plan), decide_sparse(plan) != Sparse::none);
  std::vector<model::Layout> layouts;
  for (const model::Cell& cell : cells) layouts.push_back(model::make_layout(plan.job.model, plan.width, cell));
  Index blocks = blocks_of(layouts.front());
  for (const model::Layout& layout : layouts) blocks = std::min(blocks, blocks_of(layout));
  plan.servers = plan.grid.cells() * decide_servers(plan, blocks, plan.warnings);
  settle(plan);
  std::vector<Plan> plans;
  for (std::size_t c = 0; c < cells.size(); ++c)
    plans.push_back(plan_of_cell(plan, static_cast<int>(c), std::move(cells[c]), std::move(layouts[c])));
  plan.algorithm = plans.front().algorithm;
  plan.sparse = plans.front().sparse;
  plan.cells = std::move(plans);
}

/// All stages wait for the one that takes longest.
void warn_of_stages(Plan& plan) {
  constexpr double much = 1.5;
  std::vector<double> work(static_cast<std::size_t>(plan.grid.pipeline), 0);
  for (const Plan& part : plan.cells) work[static_cast<std::size_t>(part.cell.stage)] += part.flops_per_row();
  const double mean = plan.flops_per_row() / plan.grid.pipeline;
  for (std::size_t p = 0; p < work.size(); ++p)
    if (plan.grid.pipeline > 1 && work[p] > much * mean)
      plan.warnings.push_back(
          fmt::format("stage {} has {:.2g} times the mean work of a stage, and all others wait for it: fewer stages, "
                      "or topology.split.tensor, keep workers busier",
                      p + 1, work[p] / mean));
  if (*plan.job.train.micro_batches < plan.grid.pipeline)
    plan.warnings.push_back(fmt::format(
        "train.micro_batches is {}, so that of {} stages never more than {} at once can work; auto is four a stage",
        *plan.job.train.micro_batches, plan.grid.pipeline, *plan.job.train.micro_batches));
}

/// What is not wrong, but hardly what was meant.
void warn_of_numbers(Plan& plan) {
  const job::Job& job = plan.job;
  const auto warn = [&plan](std::string text) { plan.warnings.push_back(std::move(text)); };
  if (sync::traits(job.sync).weights && plan.period() > plan.total_steps)
    warn(fmt::format("sync.period is {}, but the run has only {} step{}: the workers' weights meet once, at the end",
                     plan.period(), plan.total_steps, plan.total_steps == 1 ? "" : "s"));
  if (job.train.batch > plan.facts.train_rows)
    warn(fmt::format("train.batch is {}, but there are only {} training rows: every step takes them all",
                     job.train.batch, plan.facts.train_rows));
  if (job.data.format == job::Format::libsvm && plan.facts.nonzeros == 0 &&
      job.data.normalize.features != job::Fit::none && job.train.sparse != job::SparseUpdates::off)
    warn("data.normalize.features shifts features, so that zeros are zeros no more: rows are treated as dense");
  warn_of_stages(plan);
  const std::int64_t local = local_roles(plan);
  if (plan.threads > 1 && plan.threads * local > plan.host.cores)
    warn(fmt::format("{} roles of {} threads each share {} cores; topology.threads: auto avoids that", local,
                     plan.threads, plan.host.cores));
}

}  // namespace

Plan make_plan(const job::Job& job, const Host& host, const data::Facts& facts, Index width) {
  Plan plan;
  plan.job = job;
  plan.job.sync = job::resolve_sync(job.sync, job.topology.data_ranks());
  plan.host = host;
  plan.facts = facts;
  plan.width = width;
  plan.warnings = facts.remarks;
  plan.layout = model::make_layout(job.model, width);
  plan.grid = grid_of(job.topology);
  plan.workers = plan.grid.data;
  plan.cell = model::whole_cell(job.model);
  plan.job.train.micro_batches = decide_micro_batches(plan);
  count_steps(plan);
  if (plan.grid.split())
    spread(plan);
  else
    stay_whole(plan);
  warn_of_numbers(plan);
  check_memory(plan, job);
  return plan;
}

}  // namespace dtrain::plan
