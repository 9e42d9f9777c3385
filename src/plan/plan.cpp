#include "plan/plan.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "data/division.hpp"
#include "job/resolve.hpp"
#include "math/fold.hpp"
#include "optim/optimizer.hpp"
#include "plan/sparse.hpp"
#include "sync/policy.hpp"

namespace dtrain::plan {
namespace {

constexpr Index piece_weights = 262144;            // 1 MiB: smaller pieces cost more per byte (bench/REFERENCE.md)
constexpr Index part_weights = 65536;              // the same of the parts of a bucket, which are many
constexpr Index most_row_piece_weights = 1 << 23;  // 32 MiB if all rows are touched: half of what a message may have
constexpr Index small_weights = 16384;             // below 64 KiB a layer travels with its neighbour

/// Cuts [begin, end) of one or more layers into nearly equal pieces of about `size` weights.
void cut(Index begin, Index end, int first_layer, int last_layer, Index size, std::vector<Piece>& out) {
  const Index count = end - begin;
  const Index parts = std::max<Index>(1, (count + size / 2) / size);
  for (Index i = 0; i < parts; ++i) {
    const Index from = begin + count * i / parts, to = begin + count * (i + 1) / parts;
    out.push_back({from, to - from, first_layer, last_layer});
  }
}

/// Backward visits the last layer first: small layers wait for the next one that backward reaches.
std::vector<Piece> make_pieces(const model::Layout& layout, Index begin, Index end, Index size = piece_weights) {
  std::vector<Piece> pieces;
  Index open_end = end;  // upper border of the layers collected so far
  int last = -1;
  for (int layer = static_cast<int>(layout.layers.size()) - 1; layer >= 0; --layer) {
    const model::Range& range = layout.layers[static_cast<std::size_t>(layer)];
    const Index from = std::max(range.begin, begin);
    if (from >= std::min(range.end, end)) continue;
    if (last < 0) last = layer;
    if (open_end - from < small_weights && from > begin) continue;
    cut(from, open_end, layer, last, size, pieces);
    open_end = from;
    last = -1;
  }
  std::sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) { return a.offset < b.offset; });
  return pieces;
}

/// The first matrix in few pieces of whole rows, which travel without most of them, before what is left of the slice.
std::vector<Piece> make_row_pieces(const model::Layout& layout, Index begin, Index end) {
  const model::Tensor& matrix = layout.tensors.front();
  const Index size = std::max<Index>(1, most_row_piece_weights / matrix.cols) * matrix.cols;
  std::vector<Piece> pieces;
  Index from = begin;
  for (const Index last = std::min(end, matrix.count()); from < last;) {
    const Index to = std::min(last, (from / size + 1) * size);
    pieces.push_back({from, to - from, 0, 0, true});
    from = to;
  }
  if (from == end) return pieces;
  const std::vector<Piece> rest = make_pieces(layout, from, end);
  pieces.insert(pieces.end(), rest.begin(), rest.end());
  return pieces;
}

std::vector<Slice> make_slices(const model::Layout& layout, int servers, bool by_rows) {
  const Index blocks = (layout.total + block_weights - 1) / block_weights;
  std::vector<Slice> slices;
  for (Index m = 0; m < servers; ++m) {
    const Index begin = blocks * m / servers * block_weights;
    const Index end = std::min(layout.total, blocks * (m + 1) / servers * block_weights);
    slices.push_back({begin, end, by_rows ? make_row_pieces(layout, begin, end) : make_pieces(layout, begin, end)});
  }
  return slices;
}

collective::Algorithm decide_algorithm(const Plan& plan) {
  using Kind = job::TopologyKind;
  using collective::Algorithm;
  // What is packed is unpacked only by the owner: it would not be the same after each hop.
  if (plan.job.sync.codec != job::Codec::none || sync::traits(plan.job.sync).votes) return Algorithm::direct;
  switch (plan.job.topology.kind) {
    case Kind::halving_doubling: return Algorithm::halving_doubling;
    case Kind::tree: return Algorithm::tree;
    case Kind::automatic: return collective::choose(plan.layout.total, plan.workers);
    case Kind::ring:
    case Kind::parameter_server:
    case Kind::gossip: break;
  }
  return Algorithm::ring;
}

/// Buckets in the order of the weights, and every worker's parts of them.
void share_among_workers(Plan& plan) {
  constexpr Index line_weights = 16;  // parts end where cache lines do
  const Index size = std::max<Index>(piece_weights, plan.workers * part_weights);
  for (const Piece& piece : make_pieces(plan.layout, 0, plan.layout.total, size)) {
    const collective::Range range{piece.offset, piece.offset + piece.count};
    plan.buckets.push_back({piece, even_borders(plan.algorithm, plan.workers, range, line_weights)});
  }
  plan.slices.assign(static_cast<std::size_t>(plan.workers), {0, plan.layout.total, {}});
  for (const Bucket& bucket : plan.buckets)
    for (std::size_t c = 0; c + 1 < bucket.borders.size(); ++c) {
      const Index begin = bucket.borders[c], count = bucket.borders[c + 1] - begin;
      const int owner = collective::owner(plan.algorithm, static_cast<int>(c), plan.workers);
      if (count > 0)
        plan.slices[static_cast<std::size_t>(owner)].pieces.push_back(
            {begin, count, bucket.piece.first_layer, bucket.piece.last_layer});
    }
}

int decide_servers(const job::Topology& topology, Index blocks, std::vector<std::string>& warnings) {
  if (topology.kind != job::TopologyKind::parameter_server) return 0;
  const bool alone = topology.workers == 1 && topology.external == 0 && topology.external_servers == 0;
  const std::int64_t fallback = alone ? 0 : 1;
  const std::int64_t wanted = topology.servers.value_or(fallback);
  if (wanted <= blocks) return static_cast<int>(wanted);
  warnings.push_back(
      fmt::format("topology.servers is {}, but the model has only {} block{} of {} weights to own: {} will be used",
                  wanted, blocks, blocks == 1 ? "" : "s", block_weights, blocks));
  return static_cast<int>(blocks);
}

std::int64_t local_roles(const Plan& plan) {
  const job::Topology& topology = plan.job.topology;
  return plan.servers - topology.external_servers + plan.workers - topology.external;
}

int decide_threads(const Plan& plan) {
  const std::int64_t local = local_roles(plan);
  const std::int64_t fallback = std::max<std::int64_t>(1, plan.host.cores / std::max<std::int64_t>(1, local));
  return static_cast<int>(plan.job.topology.threads.value_or(fallback));
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
    for (const int rank :
         sync::subset_of(plan.job.seed, static_cast<sync::Clock>(step), *plan.job.sync.size, everyone, everyone.size()))
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

Index Plan::worker_rows() const {
  const bool may_grow =
      job.faults.on_worker_loss == job::OnWorkerLoss::keep_going || job.data.sharing == job::Sharing::shard;
  const Index shares = may_grow ? 1 : std::max(1, workers);
  return std::min(facts.train_rows, (job.train.batch + shares - 1) / shares);
}

Index Plan::rows_of_steps(Index steps) const {
  if (!rows_before.empty()) return rows_before[static_cast<std::size_t>(std::min(steps, total_steps))];
  return steps / steps_per_epoch * facts.train_rows +
         std::min(facts.train_rows, steps % steps_per_epoch * job.train.batch);
}

int Plan::readers() const {
  if (workers == 1 && servers == 0) return 0;
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
  return servers > 1 && job.faults.on_worker_loss == job::OnWorkerLoss::keep_going && takes_back;
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

Plan make_plan(const job::Job& job, const Host& host, const data::Facts& facts, Index width) {
  Plan plan;
  plan.job = job;
  plan.job.sync = job::resolve_sync(job.sync, job.topology.data_ranks());
  plan.host = host;
  plan.facts = facts;
  plan.width = width;
  plan.warnings = facts.remarks;
  plan.layout = model::make_layout(job.model, width);
  const Index blocks = (plan.layout.total + block_weights - 1) / block_weights;
  plan.servers = decide_servers(job.topology, blocks, plan.warnings);
  plan.workers = plan.grid.data = static_cast<int>(job.topology.data_ranks());
  plan.cell = model::whole_cell(job.model);
  plan.threads = decide_threads(plan);
  plan.algorithm = decide_algorithm(plan);
  plan.sparse = decide_sparse(plan);
  if (plan.pairs()) {
    plan.slices.assign(static_cast<std::size_t>(plan.workers), {0, plan.layout.total, {}});
    plan.slices.front().pieces = make_pieces(plan.layout, 0, plan.layout.total);
  } else if (plan.peers())
    share_among_workers(plan);
  else
    plan.slices = make_slices(plan.layout, std::max(1, plan.servers), plan.sparse == Sparse::rows);

  count_steps(plan);
  if (sync::traits(plan.job.sync).weights && plan.period() > plan.total_steps)
    plan.warnings.push_back(
        fmt::format("sync.period is {}, but the run has only {} step{}: the workers' weights meet once, at the end",
                    plan.period(), plan.total_steps, plan.total_steps == 1 ? "" : "s"));
  plan.job.topology.servers = plan.servers;
  plan.job.topology.threads = plan.threads;
  plan.job.train.micro_batches = job.train.micro_batches.value_or(1);
  if (job.train.batch > facts.train_rows)
    plan.warnings.push_back(
        fmt::format("train.batch is {}, but there are only {} training rows: every step takes them all",
                    job.train.batch, facts.train_rows));
  if (job.data.format == job::Format::libsvm && facts.nonzeros == 0 && job.data.normalize.features != job::Fit::none &&
      job.train.sparse != job::SparseUpdates::off)
    plan.warnings.push_back(
        "data.normalize.features shifts features, so that zeros are zeros no more: rows are treated as dense");
  const std::int64_t local = local_roles(plan);
  if (plan.threads > 1 && plan.threads * local > host.cores)
    plan.warnings.push_back(
        fmt::format("{} roles of {} threads each share {} cores; topology.threads: auto avoids that", local,
                    plan.threads, host.cores));
  return plan;
}

}  // namespace dtrain::plan
