#pragma once
/// Who does what, where: a pure function of the resolved job, the roster and the facts of the data.
///
/// Every role computes the same plan from the same three inputs; after it nobody chooses anything.

#include <string>
#include <vector>

#include "base/json.hpp"
#include "collective/moves.hpp"
#include "data/data.hpp"
#include "job/job.hpp"
#include "model/cell.hpp"
#include "model/layout.hpp"

namespace dtrain::plan {

struct Host {
  std::string name;
  int cores = 1;
  std::size_t memory = 0;
};

/// A contiguous run of weights that travels as one message.
struct Piece {
  Index offset = 0;
  Index count = 0;
  int first_layer = 0;  ///< layers it touches: it may leave when all of them are backward, and is needed by the first
  int last_layer = 0;
  bool by_rows = false;  ///< part of the first weight matrix, of which only the rows that are touched travel
};

/// What one owner has: a server a range whose borders fall on multiples of block_weights; a worker, where there are no
/// servers, a part of every bucket.
struct Slice {
  Index begin = 0;
  Index end = 0;
  std::vector<Piece> pieces;  ///< ascending
};

/// Without servers: what is summed as one as soon as the backward of its layers is done, and where it is cut.
struct Bucket {
  Piece piece;
  std::vector<Index> borders;  ///< of the algorithm's parts
};

/// What is made of rows that are mostly zeros. none: nothing. input: the first layer computes with what is not zero.
/// rows: and only those rows of its weights that a step touches are stepped and exchanged.
enum class Sparse { none, input, rows };

/// Workers where the network is split: rank = (d * pipeline + p) * tensor + t. All (p, t) of one d are a replica and
/// learn from the same rows; all d of one cell p * tensor + t keep its weights in step.
struct Grid {
  int data = 1, pipeline = 1, tensor = 1;
  int cells() const { return pipeline * tensor; }
  int cell_of(int rank) const { return rank % cells(); }
  int data_of(int rank) const { return rank / cells(); }
  int rank_of(int d, int cell) const { return d * cells() + cell; }
  bool split() const { return cells() > 1; }
  bool operator==(const Grid&) const = default;
};

/// Of a network that is not split, the whole plan. Of one that is, its `cells` are each the plan of a cluster of its
/// own: grid.data workers and a share of the servers, by ranks that count from 0 in it, with the cell's weights for a
/// model. What is said of the whole (rows, steps, the job) is the same there, but for its job's workers and servers.
struct Plan {
  job::Job job;  ///< resolved: servers, threads and the policy's numbers decided
  Host host;     ///< where the local roles run
  data::Facts facts;
  Index width = 0;  ///< features of a row
  model::Layout layout;
  std::vector<Slice> slices;                                      ///< one per owner; exactly one when a worker is alone
  collective::Algorithm algorithm = collective::Algorithm::ring;  ///< without servers
  std::vector<Bucket> buckets;                                    ///< the same
  Grid grid;
  model::Cell cell;         ///< what its workers compute: all of the network, or one cell's part
  std::vector<Plan> cells;  ///< by grid.cell_of(rank); none unless the network is split
  int workers = 1;          ///< that share the rows, each with a replica: grid.data
  int servers = 0;          ///< in all
  int threads = 1;          ///< per role
  Index steps_per_epoch = 0;
  /// Clocks of a worker in the whole run. Under subset, whose steps fold the parts of a few ranks only, as many as it
  /// takes until the applied rows are those of train.epochs and train.steps.
  Index total_steps = 0;
  Index total_rows = 0;            ///< that the run applies; under subset up to a step more than it was asked for
  std::vector<Index> rows_before;  ///< subset only: rows that steps 0..t-1 apply, for t up to and with total_steps
  Sparse sparse = Sparse::none;
  std::vector<std::string> warnings;

  /// Places for workers that share the rows, those that are empty when the run begins included.
  int places() const;
  /// Whether the workers that take part may change while a run goes on.
  bool may_change() const;
  /// Worker processes when the run begins: grid.data * grid.cells().
  int processes() const { return workers * grid.cells(); }
  /// The plan by which the workers of a cell go, and its servers.
  const Plan& of_cell(int c) const { return cells.empty() ? *this : cells[static_cast<std::size_t>(c)]; }
  int servers_of_cell() const { return servers / grid.cells(); }
  /// The first servers are those of the first cell, and so on.
  int cell_of_server(int rank) const { return rank / servers_of_cell(); }
  /// Whether one process has all the network and exchanges with nobody.
  bool alone() const { return servers == 0 && !peers(); }
  /// Whether workers exchange among themselves. (One alone does, where it has but a part of the network.)
  bool peers() const { return servers == 0 && (workers > 1 || grid.split() || !cell.whole()); }
  /// Whether they do so in pairs (gossip): nobody owns a part, each has all weights of its own.
  bool pairs() const { return peers() && job.sync.policy == job::PolicyName::gossip; }
  /// Processes that read rows for workers (data.sharing: central, peer, staged); 0 where each reads for itself.
  int readers() const;
  /// These, and under staged as many again that encode what they read: reader k's rows go to loader readers() + k.
  int loaders() const;
  /// Whether workers serve each other rows of the shards that they hold.
  bool trades_rows() const { return loaders() > 0 && job.data.sharing == job::Sharing::peer; }
  /// Batches that a worker asks for ahead of need.
  Index ahead() const;
  /// Who owns a part of the weights: servers or, without any, all workers.
  int owners() const { return servers > 0 ? servers : workers; }
  /// Where the first of our weights lies in the whole network's vector; where that is cut by layers only, all others
  /// follow it there as here.
  Index origin() const { return layout.tensors.empty() ? 0 : layout.tensors.front().whole.offset; }
  /// Bytes of one arena: 4n.
  Index step_bytes() const { return 4 * layout.total; }
  /// Payload that a worker sends, and receives, per step in the mean over a run in which all take part.
  double push_bytes() const;
  double pull_bytes() const;
  /// The same one way without a codec, where every rank takes part.
  double plain_bytes() const;
  double direct_bytes() const;
  /// In how many of its steps a worker pushes.
  double share_of_pushes() const;
  /// Both, as a whole number; 0 in one process.
  Index bytes_per_worker_step() const;
  /// Rows that the first `steps` steps of the run apply.
  Index rows_of_steps(Index steps) const;
  /// The most rows that a worker can have in one step: all of them where a loss may leave it alone, or under `shard`,
  /// whose shares are uneven.
  Index worker_rows() const;
  /// A lost worker may make a server take its last step back (two or more servers, may_change(), and
  /// a policy that takes back: bsp, sign_vote, subset).
  bool undo_possible() const;
  /// Floating-point operations of a row forward and backward; the first layer needs no input gradient.
  double flops_per_row() const;
  /// Optimizer moments per weight, wherever they are kept.
  int moments() const;
  /// Steps from one exchange to the next, at first where that is set while running: 1 where gradients travel.
  Index period() const;
  /// Whether the moments are averaged with the weights and travel behind them.
  bool averages_moments() const;
  /// What a server holds beside the weights, in this order: where owners step, the optimizer's moments, and otherwise
  /// the averaged ones if there are such; then sync::extra_arenas(); then, where changes are packed and lose something
  /// (plan/packing.hpp), the weights as they would be if all of every change had been sent.
  int server_arenas() const;
  /// Whether a worker has state of its own, which checkpoints hold: its weights and moments, under policies whose
  /// workers step; what its codec keeps back, where gradients are packed.
  bool workers_keep() const;
  /// How many arenas that is beside the first.
  int worker_arenas() const;
  /// What one exchange carries each way: a gradient or weights, and the moments if they are averaged.
  int exchanged_arenas() const;

 private:
  double mean_of_cells(double (Plan::*bytes)() const) const;
};

/// Bytes that a role of this kind will hold at most, as far as that can be foreseen: what its process will have
/// resident.
struct Memory {
  std::size_t weights = 0;  ///< published versions, gradients and moments
  std::size_t buffers = 0;  ///< pushes waiting to be folded, activations, batches, and what it reads of other roles
  std::size_t rows = 0;     ///< to learn from
  std::size_t process = 0;  ///< of any role
  std::size_t total() const { return weights + buffers + rows + process; }
};
Memory server_memory(const Plan& plan, int rank);
/// Of the worker that needs most.
Memory worker_memory(const Plan& plan);

/// Rows of a micro-batch, the longest, of the greatest part of a full batch.
Index micro_batch_rows(const Plan& plan);

/// The share of a step in which a stage of a pipeline has nothing to do, if all stages take equally long and nothing
/// else takes time: (K - 1) / (m + K - 1).
double ideal_bubble(const Plan& plan);

/// What the workers of one replica send each other in a step: stage to stage, and within tensor groups.
struct ReplicaBytes {
  double stages = 0, groups = 0;
};
ReplicaBytes replica_bytes(const Plan& plan);

/// sync.single_until in steps, rounded up; at most all of them. 0 unless the policy is local.
Index single_until_steps(const Plan& plan);

/// Where the clocks of the run end, for sync::Setup; 0: that is found while running (quorum, subset).
std::uint64_t last_clock(const Plan& plan);

/// The learning rate at a point of the run.
double learning_rate(const Plan& plan, Index applied_rows);

/// Global batches that so many applied rows make, counted down: steps, except under subset.
Index steps_of(const Plan& plan, Index applied_rows);

/// Whether something that happens every `every` falls due when the applied rows grow from `before` to `after`. A length
/// of time never does: it is not the plan's to measure.
bool due(const Plan& plan, const job::Length& every, Index before, Index after);

/// Throws Error(Kind::job) where a network cannot be split as its job has it, or a worker would need more memory than
/// that allows.
Plan make_plan(const job::Job& job, const Host& host, const data::Facts& facts, Index width);

/// For `plan --json` and plan.json; and for people.
Json to_json(const Plan& plan);
std::string render(const Plan& plan);

}  // namespace dtrain::plan
