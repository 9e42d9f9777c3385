/// step: samples per second of one process on a dense network, from random rows: forward, backward into an arena, and
/// an optimizer pass out of place; no wire, no data reading.
///   step [--layers 784-512-512-10] [--batch 128] [--threads 2] [--optimizer sgd] [--dropout 0] [--seconds 1]
///        [--runs 5] [--micro_batches 1]
/// Prints one line of JSON: the best and the median run, and where the best run's time went.

#include <algorithm>
#include <cstdio>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "math/gemm.hpp"
#include "math/teams.hpp"
#include "model/network.hpp"
#include "optim/optimizer.hpp"

using namespace dtrain;

namespace {

struct Options {
  std::map<std::string, std::string> given;
  double number(const std::string& key, double otherwise) const {
    const auto found = given.find(key);
    return found == given.end() ? otherwise : std::stod(found->second);
  }
  std::string text(const std::string& key, const std::string& otherwise) const {
    const auto found = given.find(key);
    return found == given.end() ? otherwise : found->second;
  }
};

job::OptimizerType optimizer_named(const std::string& name) {
  using Type = job::OptimizerType;
  const std::map<std::string, Type> types{{"sgd", Type::sgd},           {"momentum", Type::momentum},
                                          {"nesterov", Type::nesterov}, {"adagrad", Type::adagrad},
                                          {"rmsprop", Type::rmsprop},   {"adam", Type::adam},
                                          {"adamw", Type::adamw}};
  return types.at(name);
}

std::vector<Index> widths_of(const std::string& text) {
  std::vector<Index> widths;
  std::stringstream parts(text);
  for (std::string part; std::getline(parts, part, '-');) widths.push_back(std::stoll(part));
  return widths;
}

job::Model model_of(const std::vector<Index>& widths, double dropout) {
  job::Model model;
  for (std::size_t l = 1; l < widths.size(); ++l) {
    const bool hidden = l + 1 < widths.size();
    job::Layer layer;
    layer.dense = widths[l];
    layer.activation = hidden ? job::Activation::relu : job::Activation::none;
    layer.dropout = hidden ? dropout : 0;
    model.layers.push_back(layer);
  }
  return model;
}

/// Rows and labels, enough that they do not stay in the second-level cache.
struct Rows {
  Index count = 8192;
  Arena features;
  std::vector<float> targets;
  std::vector<std::uint32_t> numbers;
  Rows(Index width, Index classes) : features(count * width) {
    for (Index i = 0; i < features.size(); ++i) features.data()[i] = unit(static_cast<std::uint32_t>(i) * 2654435761u);
    for (Index r = 0; r < count; ++r) {
      targets.push_back(static_cast<float>(r * 7 % classes));
      numbers.push_back(static_cast<std::uint32_t>(r));
    }
  }
};

/// Steps the optimizer on a layer as soon as its gradient is final, while it is still in the caches.
class Stepper : public model::LayerEvents {
 public:
  Stepper(const model::Layout& layout, job::OptimizerType type, int threads)
      : layout_(layout), threads_(threads), gradient(layout.total) {
    optimizer_.type = type;
    for (auto& block : weights) block = Arena(layout.total);
    for (int k = 0; k < 2 * optim::state_count(type); ++k) state_.emplace_back(layout.total);
  }

  bool after_backward(int layer) override {
    const Lap lap(optimizer_seconds);
    const model::Range range = layout_.layers[static_cast<std::size_t>(layer)];
    const int teams = useful_teams(static_cast<double>(range.count()), 32768, threads_);
    in_teams(teams, [&](int team) {
      step(range.begin + cut(range.count(), teams, team, 16), range.begin + cut(range.count(), teams, team + 1, 16));
    });
    return true;
  }

  void next_step() {
    std::swap(weights[0], weights[1]);
    for (std::size_t k = 0; k + 1 < state_.size(); k += 2) std::swap(state_[k], state_[k + 1]);
    ++steps_;
  }

  model::Layout layout_;
  int threads_;
  Arena gradient;
  Arena weights[2];
  double optimizer_seconds = 0;

 private:
  static std::span<float> piece(Arena& arena, Index begin, Index end) {
    return arena.span().subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
  }

  void step(Index begin, Index end) {
    std::span<const float> state[optim::max_state];
    std::span<float> next[optim::max_state];
    for (std::size_t k = 0; 2 * k < state_.size(); ++k) {
      state[k] = piece(state_[2 * k], begin, end);
      next[k] = piece(state_[2 * k + 1], begin, end);
    }
    optim::apply(optimizer_, {.learning_rate = 1e-3, .step = steps_}, piece(gradient, begin, end), false,
                 piece(weights[0], begin, end), state, piece(weights[1], begin, end), next);
  }

  job::Optimizer optimizer_;
  std::vector<Arena> state_;
  std::uint64_t steps_ = 1;
};

struct Run {
  double samples_per_second = 0;
  double optimizer_share = 0;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) options.given[std::string(argv[i]).substr(2)] = argv[i + 1];
  const auto widths = widths_of(options.text("layers", "784-512-512-10"));
  const auto batch_rows = static_cast<Index>(options.number("batch", 128));
  const int threads = static_cast<int>(options.number("threads", 2));
  const int parts = static_cast<int>(options.number("micro_batches", 1));
  const double seconds = options.number("seconds", 1);
  set_blas_threads(1);

  const job::Model model = model_of(widths, options.number("dropout", 0));
  model::Network<float> network(model, widths[0], batch_rows, threads);
  Stepper stepper(network.layout(), optimizer_named(options.text("optimizer", "sgd")), threads);
  model::initialise(model, network.layout(), 1, stepper.weights[0].span());
  Rows rows(widths[0], widths.back());

  Index first = 0;
  const auto step = [&] {
    if (first + batch_rows > rows.count) first = 0;
    const auto from = static_cast<std::size_t>(first), many = static_cast<std::size_t>(batch_rows);
    const model::Batch<float> batch{{rows.features.data() + first * widths[0], batch_rows, widths[0]},
                                    std::span(rows.targets).subspan(from, many),
                                    std::span(rows.numbers).subspan(from, many)};
    network.train_step(batch, std::as_const(stepper.weights[0]).span(), stepper.gradient.span(), {1, 0}, stepper,
                       parts);
    stepper.next_step();
    first += batch_rows;
  };

  std::vector<Run> runs;
  for (int r = 0; r < static_cast<int>(options.number("runs", 5)); ++r) {
    for (int warm = 0; warm < 10; ++warm) step();
    stepper.optimizer_seconds = 0;
    Index done = 0;
    const auto start = Clock::now();
    while (seconds_since(start) < seconds) step(), done += batch_rows;
    const double took = seconds_since(start);
    runs.push_back({static_cast<double>(done) / took, stepper.optimizer_seconds / took});
  }
  std::sort(runs.begin(), runs.end(), [](auto& a, auto& b) { return a.samples_per_second > b.samples_per_second; });
  const Run best = runs.front();
  std::printf(
      "{\"kernels\": \"%s\", \"batch\": %lld, \"threads\": %d, \"samples_per_second\": %.0f, \"median\": %.0f, "
      "\"gflops\": %.0f, \"optimizer_share\": %.2f}\n",
      blas_kernels(), static_cast<long long>(batch_rows), threads, best.samples_per_second,
      runs[runs.size() / 2].samples_per_second, best.samples_per_second * network.flops_per_row() / 1e9,
      best.optimizer_share);
}
