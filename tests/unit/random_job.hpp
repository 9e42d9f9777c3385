#pragma once
/// Sound jobs at random: each seed names one, in which any key may hold any value that its siblings allow.

#include <algorithm>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/random.hpp"
#include "job/job.hpp"

namespace dtrain::job {

/// Draws for one random job; the seed names it.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : seed_(seed) {}
  std::int64_t upto(std::int64_t most) {
    return static_cast<std::int64_t>(roll() % static_cast<std::uint64_t>(most + 1));
  }
  bool coin() { return upto(1) == 1; }
  double real(double low, double high) { return low + (high - low) * unit(roll(), roll()); }
  template <class E>
  E pick(std::initializer_list<E> all) {
    return all.begin()[upto(static_cast<std::int64_t>(all.size()) - 1)];
  }
  Length length(bool time_too) {
    switch (upto(time_too ? 3 : 2)) {
      case 0: return {0, Unit::epoch};
      case 1: return {static_cast<double>(1 + upto(5000)), Unit::step};
      case 2: return {real(0.01, 20), Unit::epoch};
      default: return {real(0.001, 5000), Unit::time};
    }
  }

 private:
  std::uint32_t roll() { return draw(seed_, Purpose::fault, 0, count_++)[0]; }
  std::uint64_t seed_, count_ = 0;
};

inline void random_model(Dice& dice, Job& job) {
  job.model.loss = dice.pick({Loss::softmax_cross_entropy, Loss::binary_cross_entropy, Loss::mean_squared_error});
  job.model.layers.resize(static_cast<std::size_t>(1 + dice.upto(4)));
  for (Layer& layer : job.model.layers) {
    layer.dense = 1 + dice.upto(999);
    layer.activation = dice.pick({Activation::none, Activation::relu, Activation::leaky_relu, Activation::gelu,
                                  Activation::tanh, Activation::sigmoid, Activation::softplus});
    layer.slope = layer.activation == Activation::leaky_relu ? dice.real(0, 1) : 0.01;
    layer.dropout = dice.real(0, 0.99);
    layer.init = dice.pick({Init::automatic, Init::he, Init::glorot, Init::uniform, Init::zero});
    layer.bias = dice.coin();
  }
  Layer& last = job.model.layers.back();
  last.dense = job.model.loss == Loss::softmax_cross_entropy ? 2 + dice.upto(20) : 1;
  last.activation = Activation::none;
  last.slope = 0.01;
}

inline ColumnRule random_column(Dice& dice, std::string name) {
  ColumnRule rule;
  rule.names = {std::move(name)};
  rule.as = dice.pick({ColumnAs::automatic, ColumnAs::number, ColumnAs::date, ColumnAs::category, ColumnAs::hash});
  if (rule.as == ColumnAs::hash) rule.buckets = 1 + dice.upto(100000);
  if (rule.as == ColumnAs::date) rule.parts = {DatePart::days, dice.pick({DatePart::hour, DatePart::weekday})};
  if (rule.as == ColumnAs::category || rule.as == ColumnAs::hash) {
    if (dice.coin()) rule.missing = dice.pick({Missing::error, Missing::category});
    return rule;
  }
  if (dice.coin()) rule.missing = dice.pick({Missing::mean, Missing::median, Missing::zero, Missing::constant});
  if (rule.missing == Missing::constant) rule.value = dice.real(-1e6, 1e6);
  rule.log = dice.pick({Logarithm::none, Logarithm::log, Logarithm::log1p});
  if (dice.coin()) rule.low = dice.real(1e-9, 2);
  if (dice.coin()) rule.high = dice.real(2, 1e9);
  rule.scale = dice.real(1e-9, 10);
  if (dice.coin()) rule.fit = dice.pick({Fit::none, Fit::standardize, Fit::min_max});
  return rule;
}

inline void random_data(Dice& dice, Job& job) {
  const std::vector<std::string> names{"a.csv", "/b c/d", "it's", "\"q\"", "x: y", "#", "\xc3\xa9", "- 1", "null", "7"};
  const auto name = [&] {
    return names[static_cast<std::size_t>(dice.upto(static_cast<std::int64_t>(names.size()) - 1))];
  };
  Data& data = job.data;
  data.format = dice.pick({Format::idx, Format::csv, Format::libsvm});
  const bool idx = data.format == Format::idx;
  data.dir = std::filesystem::path("/data/" + name()).lexically_normal().string();
  data.train = {name(), idx ? name() : ""};
  if (dice.coin()) {
    data.test = {name(), idx ? name() : ""};
  } else {
    data.holdout = dice.real(0, 0.9);
  }
  if (data.format == Format::csv) {
    data.csv.delimiter = dice.pick<std::string>({",", ";", "tab", "space", "|", "'", "#", "\\"});
    data.csv.header = dice.coin();
    data.csv.target = name();
    data.csv.categorical = {name(), name()};
    data.csv.ignore = {name()};
    data.csv.missing_values = {"", name(), "a\tb"};
    data.csv.missing = dice.pick({Missing::error, Missing::mean, Missing::median, Missing::zero});
    for (std::int64_t i = dice.upto(3); i > 0; --i)
      data.columns.push_back(random_column(dice, fmt::format("column {}", i)));
    data.skip_bad_rows = dice.upto(100);
  }
  if (data.format == Format::libsvm) data.libsvm_features = dice.upto(100000);
  const auto fit = [&] { return dice.pick({Fit::none, Fit::standardize, Fit::min_max}); };
  data.normalize = {dice.real(1e-9, 2), fit(), job.model.loss == Loss::mean_squared_error ? fit() : Fit::none};
  data.sharing = dice.pick({Sharing::replicate, Sharing::shard});
  data.partition.by = dice.pick({PartitionBy::stride, PartitionBy::contiguous});
  data.shuffle = dice.coin();
}

inline void random_train(Dice& dice, Job& job) {
  Train& train = job.train;
  train.epochs = 1 + dice.upto(100);
  train.steps = dice.upto(100000);
  train.batch = 100 + dice.upto(1000);
  train.micro_batches = 1 + dice.upto(4);
  train.optimizer = {
      dice.pick({OptimizerType::sgd, OptimizerType::momentum, OptimizerType::nesterov, OptimizerType::adagrad,
                 OptimizerType::rmsprop, OptimizerType::adam, OptimizerType::adamw}),
      dice.real(1e-9, 3),
      dice.real(0, 0.999),
      dice.real(0, 0.999),
      dice.real(0, 0.999),
      dice.real(0, 0.999),
      dice.real(1e-12, 1e-3),
      dice.real(0, 0.1)};
  train.clip_norm = dice.real(0, 10);
  train.schedule = {
      dice.pick({ScheduleType::constant, ScheduleType::step, ScheduleType::exponential, ScheduleType::cosine}),
      dice.length(false),
      {1 + dice.real(0, 4), Unit::epoch},
      dice.real(0.01, 1),
      dice.real(0, 1)};
  train.on_nonfinite = dice.pick({OnNonfinite::stop, OnNonfinite::ignore});
  train.evaluate = dice.length(false);
}

inline void random_sync(Dice& dice, Job& job) {
  const std::int64_t workers = job.topology.workers;
  Sync& sync = job.sync;
  sync.policy =
      dice.pick({PolicyName::bsp, PolicyName::asp, PolicyName::ssp, PolicyName::quorum, PolicyName::subset,
                 PolicyName::local, PolicyName::easgd, PolicyName::bmuf, PolicyName::adaptive, PolicyName::sign_vote});
  sync.vote_feedback = dice.coin();
  if (sync.policy == PolicyName::sign_vote) {
    job.train.optimizer.type = OptimizerType::sgd;
    job.train.clip_norm = 0;
  }
  sync.staleness = dice.upto(100);
  sync.eager = dice.coin();
  if (dice.coin()) sync.quorum = 1 + dice.upto(workers - 1);
  if (dice.coin()) sync.size = 1 + dice.upto(workers - 1);
  sync.period = 1 + dice.upto(100);
  sync.single_until = dice.length(false);
  sync.momentum = dice.pick({AverageMomentum::keep, AverageMomentum::reset, AverageMomentum::average});
  if (dice.coin()) sync.alpha = dice.real(1e-9, 0.99);
  if (dice.coin()) sync.block_momentum = dice.real(0, 0.99);
  sync.block_rate = dice.real(1e-9, 3);
  sync.nesterov = dice.coin();
  sync.adapt = dice.pick({Adapts::staleness, Adapts::period});
  sync.low = 1 + dice.upto(9);
  sync.high = sync.low + dice.upto(9);
  if (sync.policy == PolicyName::asp || sync.policy == PolicyName::ssp)
    sync.compensation = dice.pick({Compensation::none, Compensation::staleness, Compensation::delay});
  sync.lambda = dice.real(0, 2);
  sync.adaptive_lambda = dice.coin();
  sync.rate = dice.pick({Rate::full, Rate::share});
  if (sync.policy == PolicyName::bsp || sync.policy == PolicyName::asp || sync.policy == PolicyName::quorum)
    sync.codec =
        dice.pick({Codec::none, Codec::fp16, Codec::bf16, Codec::qsgd, Codec::onebit, Codec::topk, Codec::zstd});
  sync.zstd_of = dice.pick({Codec::none, Codec::fp16, Codec::bf16, Codec::qsgd, Codec::onebit, Codec::topk});
  if (dice.coin()) sync.feedback = dice.coin();
  sync.levels = 23 + dice.upto(30000);
  sync.density = dice.real(1e-9, 1);
  sync.first_density = dice.real(1e-9, 1);
  sync.density_warmup = dice.length(false);
  sync.topk_momentum = dice.real(0, 0.99);
  sync.masking = dice.coin();
  sync.topk_clip = dice.real(0, 10);
}

/// The network over several workers, and what has no meaning then left out.
inline void random_split(Dice& dice, Job& job) {
  Topology& topology = job.topology;
  topology.split = {1 + dice.upto(static_cast<std::int64_t>(job.model.layers.size()) - 1), 1 + dice.upto(2),
                    dice.pick({PipelineSchedule::gpipe, PipelineSchedule::one_f_one_b})};
  const std::int64_t replicas = 2 + dice.upto(3), cells = topology.split.cells();
  topology.workers = replicas * cells;
  topology.external = dice.upto(topology.workers);
  if (topology.servers) topology.servers = *topology.servers * cells;
  if (dice.coin()) {
    job.model.layers.front().stage = 1;
    for (std::size_t l = 1; l < job.model.layers.size(); ++l)
      job.model.layers[l].stage = std::min(static_cast<std::int64_t>(l) + 1, topology.split.pipeline);
  }
  for (Layer& layer : job.model.layers) layer.split = dice.pick({LayerSplit::automatic, LayerSplit::none});
  if (job.model.layers.front().dense >= topology.split.tensor) job.model.layers.front().split = LayerSplit::output;
  const bool alike = job.sync.policy != PolicyName::quorum && job.sync.policy != PolicyName::adaptive;
  if (!alike) job.sync.policy = PolicyName::bsp;
  if (job.sync.size) job.sync.size = 1 + dice.upto(replicas - 1);
  if (job.sync.quorum) job.sync.quorum = 1 + dice.upto(replicas - 1);
  job.train.clip_norm = 0;
  if (job.checkpoint.every.unit == Unit::time) job.checkpoint.every = {3, Unit::step};
  job.faults.on_worker_loss = OnWorkerLoss::stop;
  job.faults.min_workers = 1 + dice.upto(topology.workers - 1);
}

inline Job random_job(std::uint64_t seed) {
  Dice dice(seed);
  Job job;
  job.name = dice.pick<std::string>({"a", "a b", "x:y", "~", "0x1f", "true"});
  job.seed = static_cast<std::uint64_t>(dice.upto(1000000000000));
  random_model(dice, job);
  random_data(dice, job);
  random_train(dice, job);
  job.topology.workers = 2 + dice.upto(18);
  job.topology.external = dice.upto(job.topology.workers);
  if (dice.coin()) job.topology.servers = 1 + dice.upto(7);
  job.topology.external_servers = dice.upto(job.topology.servers.value_or(1));
  if (dice.coin()) job.topology.threads = 1 + dice.upto(7);
  if (dice.coin()) job.topology.memory = dice.real(1, 1e12);
  random_sync(dice, job);
  job.checkpoint = {dice.length(true), 1 + dice.upto(9)};
  job.faults = {dice.real(0.1, 1e4),
                dice.real(0.1, 1e4),
                dice.pick({OnWorkerLoss::stop, OnWorkerLoss::keep_going}),
                1 + dice.upto(job.topology.workers - 1),
                dice.upto(9),
                0,
                {dice.pick<std::string>({"", "constant:1", "pareto:1,2.5", "two_point: 1, 5, 1/10", "slow:1,3,1"}),
                 dice.real(1e-3, 1), dice.coin() ? dice.real(1, 1e11) : 0, dice.coin() ? dice.real(1e-6, 10) : 0}};
  if (dice.upto(2) == 0) random_split(dice, job);
  job.output = {"/runs/" + job.name, dice.pick({IfExists::make_new, IfExists::replace, IfExists::fail}),
                1 + dice.upto(999), dice.coin()};
  const double bound = dice.real(-1, 1);
  job.assertions = {{"train.loss", "<=", bound, fmt::format("train.loss <= {}", bound)}};
  return job;
}

}  // namespace dtrain::job
