/// What a plan costs: operations, arenas, bytes on the wire and in memory.

#include <algorithm>
#include <cmath>

#include "model/network.hpp"
#include "optim/optimizer.hpp"
#include "optim/schedule.hpp"
#include "plan/packing.hpp"
#include "plan/plan.hpp"
#include "plan/sparse.hpp"
#include "sync/policy.hpp"
#include "sync/update.hpp"

namespace dtrain::plan {
namespace {

/// Versions that an owner holds: the current one, the one that is made, and the one before where that may be wanted.
int versions_of(const Plan& plan) { return plan.undo_possible() || sync::traits(plan.job.sync).weights ? 3 : 2; }

bool exchanges_rows(const Plan& plan) { return plan.servers > 0 && plan.sparse == Sparse::rows; }

/// Bytes of a batch's features as a worker holds them.
double batch_bytes(const Plan& plan, double rows) {
  const double numbers = plan.sparse == Sparse::none ? double(plan.width)
                                                     : 8 * double(plan.facts.nonzeros) / double(plan.facts.train_rows);
  return 4 * rows * (numbers + 1);
}

Memory greatest_worker(const std::vector<Plan>& cells) {
  Memory greatest;
  for (const Plan& part : cells)
    if (const Memory memory = worker_memory(part); memory.total() > greatest.total()) greatest = memory;
  return greatest;
}

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

double learning_rate(const Plan& plan, Index applied_rows) {
  return optim::learning_rate(plan.job.train.schedule, plan.job.train.optimizer.learning_rate,
                              {applied_rows, plan.facts.train_rows, plan.job.train.batch, plan.total_rows});
}

Memory server_memory(const Plan& plan, int rank) {
  if (!plan.cells.empty()) return server_memory(plan.of_cell(plan.cell_of_server(rank)), rank % plan.servers_of_cell());
  const Slice& slice = plan.slices[static_cast<std::size_t>(rank)];
  const auto bytes = static_cast<std::size_t>(4 * (slice.end - slice.begin));
  const auto workers = static_cast<std::size_t>(plan.workers);
  const auto versions = static_cast<std::size_t>(versions_of(plan));
  const std::size_t pulled = plan.job.sync.compensation == job::Compensation::delay ? workers : 0;
  const auto arenas = static_cast<std::size_t>(1 + plan.server_arenas()) * versions + pulled;
  if (exchanges_rows(plan)) {  // in place, but while a snapshot leaves
    const double pushed = touched_bytes(plan) * double(slice.end - slice.begin) / double(plan.layout.total);
    return {bytes * static_cast<std::size_t>(1 + plan.server_arenas()),
            workers * static_cast<std::size_t>(std::llround(2 * pushed))};
  }
  const auto pushes = static_cast<std::size_t>(plan.exchanged_arenas()) * workers * (plan.undo_possible() ? 2 : 1);
  // What was decoded or voted for, and what was made of that: at most as much.
  const std::size_t change = sync::traits(plan.job.sync).votes ? bytes / 32 : bytes;
  const std::size_t packed = packs_changes(plan) ? bytes + versions * change : 0;
  return {bytes * arenas, bytes * pushes + packed};
}

Memory worker_memory(const Plan& plan) {
  if (!plan.cells.empty()) return greatest_worker(plan.cells);
  const auto bytes = static_cast<std::size_t>(plan.step_bytes());
  const bool steps = sync::traits(plan.job.sync).weights;
  const int voted = sync::traits(plan.job.sync).votes ? 1 : 0;
  const int owned = plan.peers() ? versions_of(plan) * (1 + plan.server_arenas()) + voted : 0;
  // What a codec keeps back is there twice, as it is and as it was before the step, and once packed.
  const int kept = packs_gradients(plan) ? 2 * kept_arenas(plan) + 1 : 0;
  const auto arenas = static_cast<std::size_t>(owned + kept +
                                               (steps          ? 1 + versions_of(plan) * (1 + plan.worker_arenas())
                                                : plan.peers() ? 1
                                                               : 2));
  const Index rows = plan.worker_rows();
  const model::Network<float> network(plan.job.model, plan.width, rows, 1);
  const auto buffers = network.bytes() + static_cast<std::size_t>(std::llround(batch_bytes(plan, double(rows))));
  if (exchanges_rows(plan)) return {static_cast<std::size_t>(std::llround(2 * touched_bytes(plan))), buffers};
  return {arenas * bytes, buffers};
}

}  // namespace dtrain::plan
