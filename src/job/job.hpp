#pragma once
/// The job: everything that a run was asked to do, with nothing left to default.
///
/// Produced by read_job() only. Ranges and units are enforced by the catalogue (job/catalogue.hpp), which names every
/// field below exactly once. Plain values; copy freely.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace dtrain::job {

enum class Activation { none, relu, leaky_relu, gelu, tanh, sigmoid, softplus };
enum class Init { automatic, he, glorot, uniform, zero };
enum class Loss { softmax_cross_entropy, binary_cross_entropy, mean_squared_error };

/// How a weight matrix is cut over a tensor group. output: by columns; input: by rows; none: one rank has all of it.
enum class LayerSplit { automatic, output, input, none };

/// One `model.layers` entry.
struct Layer {
  std::int64_t dense = 0;  ///< outputs, 1 or more
  Activation activation = Activation::none;
  double slope = 0.01;          ///< of leaky_relu below 0
  double dropout = 0;           ///< probability of zeroing an output in training, [0, 1)
  Init init = Init::automatic;  ///< automatic: he before relu, leaky_relu, gelu, softplus; glorot otherwise
  bool bias = true;
  std::optional<std::int64_t> stage{};       ///< of the pipeline, from 1; absent (`auto`): by cost
  LayerSplit split = LayerSplit::automatic;  ///< over a tensor group; automatic: by cost
  bool operator==(const Layer&) const = default;
};

struct Model {
  std::vector<Layer> layers;  ///< at least one
  Loss loss = Loss::softmax_cross_entropy;
  bool operator==(const Model&) const = default;
};

/// mapped: what `dtrain data convert` writes.
enum class Format { idx, npy, csv, tsv, libsvm, mapped, generated };
/// Who holds which rows (ALGORITHMS.md, section 6).
enum class Sharing { replicate, shard, central, shared_files, peer, staged };
enum class PartitionBy { stride, contiguous, hash, label, dirichlet };
enum class Fit { none, standardize, min_max };
enum class Generated { digits, blobs, line };
/// What a missing number becomes. category: of a category, a level of its own.
enum class Missing { error, mean, median, zero, constant, category };

/// The files of one part. Absolute or relative to `Data::dir`; a pattern with * ? [ ] stands for all files that match,
/// in the order of their names.
struct Files {
  std::string features;  ///< idx, npy: images or vectors ("file.npz:array" too); else the file. "" if there is no part
  std::string labels;    ///< idx and npy only
  bool operator==(const Files&) const = default;
};

struct Csv {
  std::string delimiter = ",";  ///< one character; "tab" and "space" are understood (space: runs of blanks)
  bool header = true;
  std::string target = "last";           ///< a column's name, its number from 1, "first" or "last"
  std::vector<std::string> categorical;  ///< names or numbers; a text column is categorical by itself
  std::vector<std::string> ignore;       ///< names or numbers
  std::vector<std::string> missing_values = {"", "NA", "NaN", "nan", "?"};
  Missing missing = Missing::error;  ///< what a missing number becomes; a missing category is a level of its own
  bool operator==(const Csv&) const = default;
};

enum class ColumnAs { automatic, number, category, hash, date, ignore };
enum class Logarithm { none, log, log1p };
enum class DatePart { year, month, day, weekday, hour, minute, day_of_year, days };

/// One `data.columns` entry: what is done to columns of a csv file, in the order of these fields. Whatever is fitted is
/// fitted on the training rows. A column is named by one entry at most.
struct ColumnRule {
  std::vector<std::string> names;  ///< names or numbers from 1; at least one
  ColumnAs as = ColumnAs::automatic;
  std::int64_t buckets = 1024;                                                      ///< hash
  std::vector<DatePart> parts{DatePart::year, DatePart::month, DatePart::weekday};  ///< date
  std::optional<Missing> missing;                                                   ///< absent: csv.missing
  double value = 0;                                                                 ///< missing: constant
  std::optional<double> low, high;                                                  ///< clipped to
  Logarithm log = Logarithm::none;
  double scale = 1;
  std::optional<Fit> fit;  ///< absent: normalize.features
  bool operator==(const ColumnRule&) const = default;
};

struct Partition {
  PartitionBy by = PartitionBy::stride;
  double alpha = 0.5;  ///< dirichlet: concentration, > 0; small ones give a worker few classes
  bool operator==(const Partition&) const = default;
};

struct Generate {
  Generated set = Generated::digits;
  std::int64_t rows = 12000;
  std::int64_t test_rows = 2000;
  std::int64_t features = 20;  ///< blobs, line; digits always has 784
  std::int64_t classes = 2;    ///< blobs; digits always has 10
  double noise = 1;            ///< spread of blobs, deviation of line's target, blur and jitter of digits
  bool operator==(const Generate&) const = default;
};

struct Normalize {
  double scale = 1;          ///< every feature is multiplied by it
  Fit features = Fit::none;  ///< fitted per column on the training rows, after `scale`
  Fit target = Fit::none;    ///< mean_squared_error only; metrics are reported in the original unit
  bool operator==(const Normalize&) const = default;
};

struct Data {
  Format format = Format::generated;
  std::string dir;  ///< absolute once read: relative paths start at the job file
  Files train;
  Files test;
  double holdout = 0;  ///< share of the training rows kept for testing, when `test` is absent; [0, 1)
  Csv csv;
  std::int64_t libsvm_features = 0;  ///< 0: the highest index in the training file
  std::int64_t skip_bad_rows = 0;    ///< how many rows that cannot be read may be left out; 0: the first is an error
  std::string cache = "auto";        ///< auto: .dtrain-cache beside the files; off; or a folder
  std::vector<ColumnRule> columns;
  Generate generate;
  Normalize normalize;
  Sharing sharing = Sharing::replicate;
  Partition partition;
  /// Batches that are fetched ahead of need, where rows come from other processes; absent: those of an epoch where
  /// workers trade them (peer), 4 otherwise.
  std::optional<std::int64_t> ahead;
  bool shuffle = true;
  bool operator==(const Data&) const = default;
};

enum class OptimizerType { sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw };

struct Optimizer {
  OptimizerType type = OptimizerType::sgd;
  double learning_rate = 0.05;  ///< > 0
  double momentum = 0.9;        ///< momentum, nesterov
  double beta1 = 0.9;           ///< adam, adamw
  double beta2 = 0.999;         ///< adam, adamw
  double decay_rate = 0.99;     ///< rmsprop: of the running mean of squares
  double epsilon = 1e-8;
  double weight_decay = 0;  ///< weights only, not biases
  bool operator==(const Optimizer&) const = default;
};

/// A length of training: applied steps (global batches) or epochs; `time` only for checkpoint.every.
enum class Unit { step, epoch, time };
struct Length {
  double value = 0;         ///< 0: never
  Unit unit = Unit::epoch;  ///< time: value is in seconds
  bool operator==(const Length&) const = default;
};

enum class ScheduleType { constant, step, exponential, cosine };

struct Schedule {
  ScheduleType type = ScheduleType::constant;
  Length warmup{0, Unit::epoch};  ///< linear from 0; the schedule proper starts after it
  Length every{1, Unit::epoch};   ///< step, exponential
  double factor = 0.5;            ///< step, exponential: multiplies the rate once (or continuously) per `every`
  double floor = 0;               ///< cosine: the last rate, as a share of the first, [0, 1]
  bool operator==(const Schedule&) const = default;
};

enum class OnNonfinite { stop, ignore };
/// How sparse rows train the first layer: as if they were dense; rows of weights caught up with when they are next
/// touched; or those that are not touched left as they are (moments and decay included).
enum class SparseUpdates { off, exact, lazy };

struct Train {
  std::int64_t epochs = 1;
  std::int64_t steps = 0;    ///< 0: no limit beside `epochs`
  std::int64_t batch = 128;  ///< rows of a global batch, over all workers
  /// Each worker's part is computed in that many pieces, folded in order. Absent (`auto`): make_plan() decides.
  std::optional<std::int64_t> micro_batches;
  Optimizer optimizer;
  double clip_norm = 0;  ///< global norm; 0: off
  Schedule schedule;
  OnNonfinite on_nonfinite = OnNonfinite::stop;
  Length evaluate{1, Unit::epoch};
  SparseUpdates sparse = SparseUpdates::exact;
  bool operator==(const Train&) const = default;
};

/// Servers in the middle, or how workers exchange among themselves (automatic: by sizes and numbers; gossip: in pairs).
enum class TopologyKind { parameter_server, ring, halving_doubling, tree, automatic, gossip };
/// How roles of one machine hand each other numbers; others always use tcp.
enum class Transport { shared_memory, ipc, tcp };

/// In which order a pipeline's stage computes its micro-batches: all forward, then all backward; or one forward, one
/// backward as soon as that can be.
enum class PipelineSchedule { gpipe, one_f_one_b };

/// One network over several workers; those who are left over share the rows.
struct Split {
  std::int64_t pipeline = 1;  ///< stages: by layers
  std::int64_t tensor = 1;    ///< ranks of a group: by weight matrices
  PipelineSchedule schedule = PipelineSchedule::one_f_one_b;
  std::int64_t cells() const { return pipeline * tensor; }
  bool operator==(const Split&) const = default;
};

/// How roles on other hosts are started: over ssh, or by a person who is told the lines.
enum class Launch { ssh, print };

/// One `topology.hosts` entry.
struct HostRoles {
  std::string host;  ///< as ssh takes it, HOST or USER@HOST; localhost: the machine that `dtrain run` runs on
  std::int64_t workers = 0;
  std::int64_t servers = 0;
  std::string data_dir;  ///< where the data lies there; "": where the job says
  bool operator==(const HostRoles&) const = default;
};

struct Topology {
  TopologyKind kind = TopologyKind::parameter_server;
  Transport transport = Transport::shared_memory;
  std::int64_t workers = 1;
  std::int64_t external = 0;  ///< how many of `workers` join from outside
  /// Places for workers, of which `workers` are taken when the run begins; absent (`auto`): as many as workers.
  std::optional<std::int64_t> max_workers;
  std::int64_t external_servers = 0;    ///< how many of `servers` join from outside
  std::int64_t loaders = 1;             ///< processes that read and transform; sharing: staged
  std::optional<std::int64_t> servers;  ///< absent (`auto`): 0 for one local worker, 1 otherwise
  std::optional<std::int64_t> threads;  ///< absent (`auto`): cores / roles of the machine
  Split split;
  double memory = 0;  ///< bytes that a worker may have; 0: no limit
  /// Ranks count through this list, of workers and of servers; workers, servers and externals follow from it
  /// (job/hosts.hpp). Empty: all roles are local or join from outside.
  std::vector<HostRoles> hosts;
  Launch launch = Launch::ssh;
  std::string program = "dtrain";  ///< on other hosts
  /// How many share the rows: each is one worker or, where the network is split, one of every cell.
  std::int64_t data_ranks() const { return std::max<std::int64_t>(1, workers / split.cells()); }
  bool operator==(const Topology&) const = default;
};

enum class PolicyName { bsp, asp, ssp, quorum, subset, local, easgd, bmuf, adaptive, sign_vote, gossip };
enum class Rate { full, share };
enum class Compensation { none, staleness, delay };
enum class AverageMomentum { keep, reset, average };
enum class Adapts { staleness, period };
/// What a gradient is sent as. zstd packs what another of them wrote.
enum class Codec { none, fp16, bf16, qsgd, onebit, topk, zstd };

/// Absent numbers (`auto`) follow from the number of workers; make_plan() fills them in.
struct Sync {
  PolicyName policy = PolicyName::bsp;
  std::int64_t staleness = 3;           ///< ssp: clocks that a rank may be ahead of the slowest
  bool eager = false;                   ///< ssp: fresh weights for all whenever the slowest moves on
  std::optional<std::int64_t> quorum;   ///< quorum: pushes that end a step; auto: workers - 1, at least 1
  std::optional<std::int64_t> size;     ///< subset: ranks drawn for a step; auto: half of the workers, at least 1
  std::int64_t period = 10;             ///< local, bmuf, easgd: own steps between two exchanges; adaptive: the first
  Length single_until{0, Unit::epoch};  ///< local: a period of 1 until then (post-local)
  AverageMomentum momentum = AverageMomentum::keep;  ///< local, bmuf: the optimizers' moments when weights are averaged
  std::optional<double> alpha;                       ///< easgd: elastic rate; auto: 0.9 / workers
  std::optional<double> block_momentum;              ///< bmuf; auto: 1 - 1 / workers
  double block_rate = 1;                             ///< bmuf
  bool nesterov = true;                              ///< bmuf: the next block starts ahead, where momentum leads
  Adapts adapt = Adapts::staleness;                  ///< adaptive: what is set while running
  std::int64_t low = 0, high = 10;                   ///< adaptive: its bounds
  Compensation compensation = Compensation::none;    ///< asp, ssp
  double lambda = 0.04;                              ///< compensation: delay
  bool adaptive_lambda = false;                      ///< compensation: delay, by a running mean of squares
  bool vote_feedback = false;                        ///< sign_vote: what signs leave out is added to the next gradient
  Rate rate = Rate::full;  ///< asp, ssp: a push applied as it is, or scaled by its share of the batch
  Codec codec = Codec::none;
  Codec zstd_of = Codec::none;            ///< zstd: whose bytes are packed once more; any but zstd
  std::optional<bool> feedback;           ///< fp16, bf16, qsgd, onebit; auto: onebit only
  std::int64_t levels = 127;              ///< qsgd: s
  double density = 0.01;                  ///< topk: share of the values that is sent, (0, 1]
  double first_density = 0.25;            ///< topk: that share where the warm-up begins
  Length density_warmup{1, Unit::epoch};  ///< topk: until the density is reached
  double topk_momentum = 0;               ///< topk: of the velocity that workers keep
  bool masking = true;                    ///< topk: the velocity of what is sent is cleared too
  double topk_clip = 0;                   ///< topk: the most that a piece's norm may be; 0: any
  bool operator==(const Sync&) const = default;
};

struct Checkpoint {
  Length every{1, Unit::epoch};
  std::int64_t keep = 3;
  bool operator==(const Checkpoint&) const = default;
};

enum class OnWorkerLoss { stop, keep_going, restart };

/// Faults made on purpose. `unit` times a draw of `compute` is what a step of a rank takes at least.
struct Inject {
  std::string compute;   ///< a distribution as in job/distribution.hpp; "": none
  double unit = 0.1;     ///< seconds
  double bandwidth = 0;  ///< bit/s of each role's link, each way; 0: no limit
  double latency = 0;    ///< seconds that a message is under way
  bool slows_links() const { return bandwidth > 0 || latency > 0; }
  bool operator==(const Inject&) const = default;
};

struct Faults {
  double stalled_after = 10;  ///< seconds without a beat
  double join_within = 60;    ///< seconds until every role must have joined
  OnWorkerLoss on_worker_loss = OnWorkerLoss::stop;
  std::int64_t min_workers = 1;
  std::int64_t max_restarts = 3;  ///< times that roles are started anew, or the run goes back to its last checkpoint
  std::int64_t replicas = 0;      ///< servers beside its own that keep each slice: 0 or 1
  Inject inject;
  bool operator==(const Faults&) const = default;
};

enum class IfExists { make_new, replace, fail };

struct Output {
  std::string dir;  ///< absolute once read; default "runs" beside the job file
  IfExists if_exists = IfExists::make_new;
  std::int64_t log_every = 50;  ///< steps between `step` events
  bool trace = false;           ///< trace.jsonl: every push, pull, release and application
  bool operator==(const Output&) const = default;
};

/// `test.accuracy >= 0.97`
struct Assertion {
  std::string metric;
  std::string comparison;  ///< one of >= > <= < == !=
  double bound = 0;
  std::string text;
  bool operator==(const Assertion&) const = default;
};

struct Job {
  std::string name;
  std::uint64_t seed = 1;
  Model model;
  Data data;
  Train train;
  Topology topology;
  Sync sync;
  Checkpoint checkpoint;
  Faults faults;
  Output output;
  std::vector<Assertion> assertions;
  bool operator==(const Job&) const = default;
};

}  // namespace dtrain::job
