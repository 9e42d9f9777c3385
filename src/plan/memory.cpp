/// What a plan holds in memory. Constants are measured: resident sizes of roles at their end, as summaries have them.

#include <algorithm>
#include <bit>
#include <cmath>

#include "model/network.hpp"
#include "model/pipeline.hpp"
#include "plan/packing.hpp"
#include "plan/plan.hpp"
#include "plan/sparse.hpp"
#include "plan/standby.hpp"
#include "sync/policy.hpp"

namespace dtrain::plan {
namespace {

// A role that does nothing, with its libraries; and what a thread packs for itself of a dense product.
constexpr std::size_t idle_bytes = std::size_t{16} << 20;
constexpr std::size_t product_bytes = std::size_t{2} << 20;

// Of what a worker exchanges, the share that lies in messages which have come and are not taken.
constexpr double under_way = 0.4;

std::size_t rounded(double bytes) { return static_cast<std::size_t>(std::llround(bytes)); }
std::size_t times(int count, Index bytes) { return static_cast<std::size_t>(count) * static_cast<std::size_t>(bytes); }

/// Versions that an owner holds: the current one, the one that is made, and the one before where that may be wanted.
int versions_of(const Plan& plan) { return plan.undo_possible() || sync::traits(plan.job.sync).weights ? 3 : 2; }

bool exchanges_rows(const Plan& plan) { return plan.servers > 0 && plan.sparse == Sparse::rows; }

/// Whether roles of this machine read each other's floats where these lie: what is read is resident here too, and all
/// of an arena as soon as any of it is.
bool maps_others(const Plan& plan) {
  return plan.job.topology.transport == job::Transport::shared_memory && !plan.job.faults.inject.slows_links() &&
         !packs_gradients(plan);
}

/// Arenas of one worker that others may read: its gradient or, where weights are exchanged, all its versions of these.
int read_of_worker(const Plan& plan) {
  return sync::traits(plan.job.sync).weights ? versions_of(plan) * plan.exchanged_arenas() : 1;
}

/// Without servers: arenas of others that the rank reads which reads most. Of some it reads what they sum, of some the
/// results, of most both.
int read_of_peers(const Plan& plan) {
  using A = collective::Algorithm;
  const int sums = read_of_worker(plan), results = versions_of(plan) * plan.exchanged_arenas();
  const auto rounds = static_cast<int>(std::bit_width(static_cast<unsigned>(plan.workers - 1)));  // log2, rounded up
  if (plan.workers == 1 || plan.pairs()) return 0;
  switch (plan.algorithm) {
    case A::ring: return sums + results;
    case A::direct: return (plan.workers - 1) * (sums + results);
    case A::halving_doubling: return rounds * (sums + results);
    case A::tree: return (rounds - 1) * sums + results;
  }
  return 0;
}

/// Arenas of others that a worker reads.
int read_of_others(const Plan& plan) {
  if (!maps_others(plan)) return 0;
  return plan.peers() ? read_of_peers(plan) : plan.servers > 0 ? versions_of(plan) * plan.exchanged_arenas() : 0;
}

/// Bytes of a batch's features and targets as a worker holds them.
double batch_bytes(const Plan& plan, Index rows) {
  double numbers = 0;
  if (plan.cell.first() || plan.loaders() > 0)
    numbers = plan.sparse == Sparse::none ? double(plan.width)
                                          : 8 * double(plan.facts.nonzeros) / double(plan.facts.train_rows);
  return 4 * double(rows) * (numbers + 1);
}

/// Rows that a worker holds to learn from: all, or batches that are sent ahead.
double row_bytes(const Plan& plan) {
  if (plan.loaders() == 0) return double(plan.facts.train_bytes);
  return double(plan.ahead()) * batch_bytes(plan, plan.worker_rows());
}

/// What goes to the others of a replica and comes from them while a step is under way.
double replica_buffers(const Plan& plan, int micro_batches) {
  const model::Cell& cell = plan.cell;
  const model::PipelineOrder order(plan.job.topology.split.schedule, cell.stage, cell.stages, micro_batches);
  Index columns = 0, widest = 0;
  if (!cell.first())
    columns += (order.in_flight() + 1) * model::inputs_of(plan.job.model, plan.width, cell.first_layer);
  if (!cell.last()) columns += (order.in_flight() + 1) * model::inputs_of(plan.job.model, plan.width, cell.end_layer);
  // Features are at every rank; all else that is exchanged is there as it is sent, as it is read, and once more before
  // the next exchange.
  for (int l = std::max(1, cell.first_layer); l <= cell.end_layer; ++l)
    widest = std::max(widest, model::inputs_of(plan.job.model, plan.width, l));
  if (cell.ranks > 1) columns += 3 * cell.ranks * widest;
  return 4.0 * double(micro_batch_rows(plan) * columns);
}

/// What a worker needs beside arenas to compute a step and to hand on what it makes.
double step_buffers(const Plan& plan) {
  const auto micro_batches = static_cast<int>(*plan.job.train.micro_batches);
  const model::Split<float> split{plan.cell, plan.job.topology.split.schedule, micro_batches, nullptr};
  const Index rows = plan.worker_rows();
  const auto network = double(model::network_bytes<float>(plan.job.model, plan.width, rows, split));
  const double messages = packs_gradients(plan)                    ? plan.push_bytes() + plan.pull_bytes()
                          : maps_others(plan) || plan.workers == 1 ? 0
                                                                   : under_way * double(plan.step_bytes());
  return network + batch_bytes(plan, rows) + (plan.cell.whole() ? 0 : replica_buffers(plan, micro_batches)) + messages;
}

/// Arenas of a worker: what it computes with and, where it steps weights, what it steps them with.
int arenas_of_worker(const Plan& plan) {
  const int stored = 1 + plan.server_arenas();
  // A copy of what is saved or evaluated goes aside. Rows are stepped in place.
  if (plan.alone()) return plan.sparse == Sparse::rows ? 2 * stored : 1 + versions_of(plan) * stored + stored;
  const int voted = sync::traits(plan.job.sync).votes ? 1 : 0;
  const int owned = plan.peers() ? versions_of(plan) * stored + voted : 0;
  // What a codec keeps back is there twice, as it is and as it was before the step, and once packed.
  const int kept = packs_gradients(plan) ? 2 * kept_arenas(plan) + 1 : 0;
  const bool steps = sync::traits(plan.job.sync).weights;
  const int centre = plan.servers > 0 && plan.job.sync.policy == job::PolicyName::easgd ? 1 : 0;
  return owned + kept + centre + (steps ? 1 + versions_of(plan) * (1 + plan.worker_arenas()) : plan.peers() ? 1 : 2);
}

Memory greatest_worker(const std::vector<Plan>& cells) {
  Memory greatest;
  for (const Plan& part : cells)
    if (const Memory memory = worker_memory(part); memory.total() > greatest.total()) greatest = memory;
  return greatest;
}

/// Contributions of all workers as a server has them: whole, where it reads them in their memory, or what came of them
/// for its slice. What workers keep passes through on its way to a checkpoint.
std::size_t pushed_bytes(const Plan& plan, Index slice_bytes) {
  const int arenas = plan.exchanged_arenas() * plan.places() * (plan.undo_possible() ? 2 : 1);
  const int kept = sync::traits(plan.job.sync).weights ? plan.places() * (1 + plan.worker_arenas()) : 0;
  return (maps_others(plan) ? times(plan.places() * read_of_worker(plan), plan.step_bytes())
                            : times(arenas, slice_bytes)) +
         times(kept, slice_bytes);
}

}  // namespace

Memory server_memory(const Plan& plan, int rank) {
  if (!plan.cells.empty()) return server_memory(plan.of_cell(plan.cell_of_server(rank)), rank % plan.servers_of_cell());
  const Slice& slice = plan.slices[static_cast<std::size_t>(rank)];
  const Index bytes = 4 * (slice.end - slice.begin);
  if (exchanges_rows(plan)) {  // in place, but while a snapshot leaves
    const double pushed = touched_bytes(plan) * double(slice.end - slice.begin) / double(plan.layout.total);
    return {times(1 + plan.server_arenas(), bytes), times(plan.places(), std::llround(2 * pushed)), 0, idle_bytes};
  }
  const int versions = versions_of(plan);
  const int pulled = plan.job.sync.compensation == job::Compensation::delay ? plan.places() : 0;
  // What was decoded or voted for, and what was made of that: at most as much.
  const Index change = sync::traits(plan.job.sync).votes ? bytes / 32 : bytes;
  const std::size_t packed = packs_changes(plan) ? times(1, bytes) + times(versions, change) : 0;
  return {times((1 + plan.server_arenas()) * versions + pulled, bytes), pushed_bytes(plan, bytes) + packed, 0,
          idle_bytes};
}

double kept_bytes(const Plan& plan, int rank) {
  const Slice& slice = plan.slices[static_cast<std::size_t>(rank)];
  return double(times(1 + plan.server_arenas(), 4 * (slice.end - slice.begin)));
}

Memory standby_memory(const Plan& plan, int rank) {
  Memory memory = server_memory(plan, rank);
  memory.buffers += times(maps_others(plan) ? versions_of(plan) : 1, std::llround(kept_bytes(plan, rank)));
  return memory;
}

Memory worker_memory(const Plan& plan) {
  if (!plan.cells.empty()) return greatest_worker(plan.cells);
  const std::size_t process = idle_bytes + times(plan.threads, product_bytes);
  const std::size_t rows = rounded(row_bytes(plan)), buffers = rounded(step_buffers(plan));
  if (exchanges_rows(plan)) return {rounded(2 * touched_bytes(plan)), buffers, rows, process};
  return {times(arenas_of_worker(plan), plan.step_bytes()), buffers + times(read_of_others(plan), plan.step_bytes()),
          rows, process};
}

}  // namespace dtrain::plan
