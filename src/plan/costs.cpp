/// What a plan costs: operations, arenas, bytes on the wire.

#include <algorithm>
#include <cmath>

#include "optim/optimizer.hpp"
#include "optim/schedule.hpp"
#include "plan/packing.hpp"
#include "plan/plan.hpp"
#include "plan/sparse.hpp"
#include "plan/splitting.hpp"
#include "sync/policy.hpp"
#include "sync/update.hpp"

namespace dtrain::plan {
namespace {

bool exchanges_rows(const Plan& plan) { return plan.servers > 0 && plan.sparse == Sparse::rows; }

}  // namespace

double Plan::flops_per_row() const {
  double flops = 0;
  for (const model::Tensor& tensor : layout.tensors)
    if (!tensor.is_bias) flops += (tensor.layer == 0 && cell.first() ? 4.0 : 6.0) * double(tensor.count());
  return flops;
}

int Plan::moments() const { return optim::state_count(job.train.optimizer.type); }

bool Plan::averages_moments() const {
  return sync::traits(job.sync).weights && job.sync.policy != job::PolicyName::easgd &&
         job.sync.policy != job::PolicyName::gossip && job.sync.momentum == job::AverageMomentum::average;
}

int Plan::server_arenas() const {
  const bool holds_moments = !sync::traits(job.sync).weights || averages_moments();
  return sync::extra_arenas(job.sync) + (holds_moments ? moments() : 0) + (keeps_model_apart(*this) ? 1 : 0);
}

bool Plan::workers_keep() const { return sync::traits(job.sync).weights || kept_arenas(*this) > 0; }

int Plan::worker_arenas() const {
  if (sync::traits(job.sync).weights) return moments();
  return std::max(0, kept_arenas(*this) - 1);
}

int Plan::exchanged_arenas() const { return 1 + (averages_moments() ? moments() : 0); }

Index Plan::period() const {
  const job::Sync& sync = job.sync;
  if (!sync::traits(sync).weights || sync.policy == job::PolicyName::gossip) return 1;
  return sync.policy == job::PolicyName::adaptive ? std::clamp(sync.period, sync.low, sync.high) : sync.period;
}

/// Without servers: every part goes to its owner and back, but for those that are one's own.
double Plan::direct_bytes() const {
  if (!cells.empty()) return mean_of_cells(&Plan::direct_bytes);
  const double down = packs_changes(*this) ? packed_bytes(*this, change_options(job)) : double(step_bytes());
  return (workers - 1.0) / workers * (packed_bytes(*this, codec_options(job)) + down);
}

/// The mean over workers of different cells.
double Plan::mean_of_cells(double (Plan::*bytes)() const) const {
  double sum = 0;
  for (const Plan& part : cells) sum += (part.*bytes)();
  return sum / double(cells.size());
}

double Plan::pull_bytes() const {
  if (!cells.empty()) return mean_of_cells(&Plan::pull_bytes);
  if (peers() && packs_gradients(*this)) return direct_bytes();
  if (packs_changes(*this)) return packed_bytes(*this, change_options(job));
  if (exchanges_rows(*this)) return touched_bytes(*this);
  return plain_bytes();
}

double Plan::plain_bytes() const {
  if (!cells.empty()) return mean_of_cells(&Plan::plain_bytes);
  if (owners() == 1 && servers == 0) return 0;
  // All ranks together move 2 (N-1) n elements; in pairs each active one sends and gets n.
  const int messages = pairs() ? (workers + 1) / 2 : workers - 1;  // each answered or gathered again
  const double moved = peers() ? 2.0 * messages / workers : 1;
  if (total_steps == 0) return 0;
  // The last block of a run may be short.
  const Index single = single_until_steps(*this);
  const Index exchanges = single + (total_steps - single + period() - 1) / period();
  return moved * double(step_bytes()) * exchanged_arenas() * double(exchanges) / double(total_steps);
}

double Plan::push_bytes() const {
  if (!cells.empty()) return mean_of_cells(&Plan::push_bytes);
  if (peers() && packs_gradients(*this)) return direct_bytes();
  // A worker says first which rows it will need.
  if (exchanges_rows(*this)) return touched_bytes(*this) + 4 * touched_rows(*this);
  const double whole = packs_gradients(*this) ? packed_bytes(*this, codec_options(job)) : plain_bytes();
  return whole * share_of_pushes();
}

double Plan::share_of_pushes() const {
  const bool drawn = servers > 0 && job.sync.policy == job::PolicyName::subset;
  return drawn ? double(*job.sync.size) / workers : 1.0;
}

Index Plan::bytes_per_worker_step() const { return std::llround(push_bytes() + pull_bytes()); }

Index micro_batch_rows(const Plan& plan) {
  const Index pieces = *plan.job.train.micro_batches;
  return (plan.worker_rows() + pieces - 1) / pieces;
}

double ideal_bubble(const Plan& plan) {
  const double others = plan.grid.pipeline - 1;
  return others / (double(*plan.job.train.micro_batches) + others);
}

ReplicaBytes replica_bytes(const Plan& plan) {
  const double float_rows = 4.0 * double(plan.job.train.batch) / plan.workers;
  ReplicaBytes bytes;
  for (const Plan& part : plan.cells) {
    const model::Cell& cell = part.cell;
    // Outputs go up, and their gradients come back down.
    if (!cell.last())
      bytes.stages +=
          2 * float_rows * double(plan.job.model.layers[static_cast<std::size_t>(cell.end_layer - 1)].dense);
    // The columns are those of all ranks together, each of whom sends to all others.
    if (cell.rank == 0)
      bytes.groups += float_rows * double(exchanges_of(plan.job.model, plan.width, cell).columns) * (cell.ranks - 1);
  }
  return bytes;
}

double learning_rate(const Plan& plan, Index applied_rows) {
  return optim::learning_rate(plan.job.train.schedule, plan.job.train.optimizer.learning_rate,
                              {applied_rows, plan.facts.train_rows, plan.job.train.batch, plan.total_rows});
}

}  // namespace dtrain::plan
