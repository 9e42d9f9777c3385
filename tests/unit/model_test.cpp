#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <random>

#include "math/fold.hpp"
#include "math/gemm.hpp"
#include "model/dropout.hpp"
#include "model/metrics.hpp"
#include "model/network.hpp"
#include "model_support.hpp"

using namespace dtrain;
using namespace dtrain::model;
using namespace model_support;
using job::Activation;
using job::Loss;

// Every allocation of the process is counted, so that a test can say that a step makes none.
namespace {
std::atomic<long> allocations{0};
}
#define OUT_OF_LINE __attribute__((noinline))  // half of a pair that is inlined looks mismatched to the compiler
OUT_OF_LINE void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
OUT_OF_LINE void operator delete(void* memory) noexcept { std::free(memory); }
OUT_OF_LINE void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

const bool blas_is_single = (set_blas_threads(1), true);

const Activation all_activations[] = {Activation::none, Activation::relu,    Activation::leaky_relu, Activation::gelu,
                                      Activation::tanh, Activation::sigmoid, Activation::softplus};

template <class Real>
double loss_of(Network<Real>& network, const Problem<Real>& problem, const std::vector<Real>& weights) {
  LayerEvents events;
  std::vector<Real> gradient(weights.size());
  return network.train_step(problem.batch(), weights, gradient, key, events).loss_sum /
         static_cast<double>(problem.rows);
}

template <class Real>
std::vector<Real> gradient_of(const Problem<Real>& problem, int threads = 1, int micro_batches = 1) {
  Network<Real> network(problem.model, problem.width, problem.rows, threads);
  LayerEvents events;
  std::vector<Real> gradient(problem.weights.size(), std::numeric_limits<Real>::quiet_NaN());
  network.train_step(problem.batch(), problem.weights, gradient, key, events, micro_batches);
  return gradient;
}

/// Largest distance of the gradient from fourth-order central differences, in units of its largest element.
double gradient_error(const Problem<double>& problem) {
  Network<double> network(problem.model, problem.width, problem.rows, 1);
  const auto gradient = gradient_of(problem);
  auto weights = problem.weights;
  const double h = 2e-4;
  double worst = 0, largest = 0;
  for (std::size_t k = 0; k < weights.size(); ++k) {
    const auto at = [&](double offset) {
      weights[k] = problem.weights[k] + offset;
      const double loss = loss_of(network, problem, weights);
      weights[k] = problem.weights[k];
      return loss;
    };
    const double slope = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
    worst = std::max(worst, std::abs(slope - gradient[k]));
    largest = std::max(largest, std::abs(gradient[k]));
  }
  REQUIRE(largest > 1e-3);
  return worst / largest;
}

job::Model small_model(Activation activation, Loss loss, double dropout, bool bias) {
  const Index outputs = loss == Loss::softmax_cross_entropy ? 3 : 1;
  return {{dense(6, activation, dropout, bias), dense(5, activation, dropout, bias), dense(outputs, Activation::none)},
          loss};
}

job::Model wide_model() {
  return {{dense(130, Activation::relu, 0.3), dense(70, Activation::gelu, 0.2), dense(10)},
          Loss::softmax_cross_entropy};
}

class Recorder : public LayerEvents {
 public:
  bool before_forward(int layer) override { return seen.push_back(layer), layer != stop_forward; }
  bool after_backward(int layer) override { return seen.push_back(100 + layer), layer != stop_backward; }
  std::vector<int> seen;
  int stop_forward = -1, stop_backward = -1;
};

std::optional<double> value_of(const Metrics& metrics, const std::string& name) {
  for (const auto& [key_name, value] : metrics.result())
    if (key_name == name) return value;
  return {};
}

}  // namespace

TEST_CASE("every gradient agrees with central differences in double precision") {
  for (const Activation activation : all_activations)
    for (const Loss loss : {Loss::softmax_cross_entropy, Loss::binary_cross_entropy, Loss::mean_squared_error})
      for (const double dropout : {0.0, 0.3})
        for (const bool bias : {true, false}) {
          CAPTURE(static_cast<int>(activation));
          CAPTURE(static_cast<int>(loss));
          CAPTURE(dropout);
          CAPTURE(bias);
          CHECK(gradient_error({small_model(activation, loss, dropout, bias), 4, 7}) < 1e-8);
        }
}

TEST_CASE("a last layer with activation and dropout, and several regression outputs, have right gradients too") {
  for (const Activation activation : all_activations) {
    CAPTURE(static_cast<int>(activation));
    const job::Model model{{dense(4, Activation::tanh), dense(3, activation, 0.25)}, Loss::mean_squared_error};
    CHECK(gradient_error({model, 5, 6}) < 1e-8);
  }
}

TEST_CASE("a network of one layer has the right gradient") {
  CHECK(gradient_error({{{dense(3)}, Loss::softmax_cross_entropy}, 5, 4}) < 1e-8);
}

TEST_CASE("in float the gradient stays close to the one in double, for one thread and several") {
  const auto exact = gradient_of(Problem<double>(wide_model(), 200, 96));
  double largest = 0;
  for (const double value : exact) largest = std::max(largest, std::abs(value));
  for (const int threads : {1, 2, 3}) {
    const auto rounded = gradient_of(Problem<float>(wide_model(), 200, 96), threads);
    double worst = 0;
    for (std::size_t k = 0; k < exact.size(); ++k)
      worst = std::max(worst, std::abs(exact[k] - static_cast<double>(rounded[k])));
    CHECK(worst / largest < 1e-5);
  }
}

TEST_CASE("the same step on the same threads has the same bits") {
  const Problem<float> problem(wide_model(), 200, 96);
  for (const int threads : {1, 2, 3}) CHECK(gradient_of(problem, threads) == gradient_of(problem, threads));
}

TEST_CASE_TEMPLATE("activations have the values that PyTorch gives", Real, float, double) {
  const struct {
    Activation activation;
    double at[5];
  } expected[] = {
      {Activation::none, {-3, -0.5, 0, 0.7, 2.5}},
      {Activation::relu, {0, 0, 0, 0.7, 2.5}},
      {Activation::leaky_relu, {-0.03, -0.005, 0, 0.7, 2.5}},
      {Activation::gelu, {-0.004049694095, -0.1542687694, 0, 0.5306254434, 2.484475837}},
      {Activation::tanh, {-0.9950547537, -0.4621171573, 0, 0.6043677771, 0.9866142982}},
      {Activation::sigmoid, {0.04742587318, 0.3775406688, 0.5, 0.6681877722, 0.92414182}},
      {Activation::softplus, {0.04858735157, 0.4740769842, 0.6931471806, 1.103186049, 2.578889734}},
  };
  const Real inputs[] = {Real(-3), Real(-0.5), Real(0), Real(0.7), Real(2.5)};
  for (const auto& [activation, at] : expected) {
    CAPTURE(static_cast<int>(activation));
    Network<Real> network({{dense(1, activation, 0.5)}, Loss::mean_squared_error}, 1, 2, 1);
    const Real weights[] = {1, 0};
    Real out[5];
    network.predict({inputs, 5, 1}, weights, {out, 5, 1});
    for (int k = 0; k < 5; ++k) CHECK(static_cast<double>(out[k]) == doctest::Approx(at[k]).epsilon(1e-5));
  }
}

TEST_CASE("a number that is not one gets through every activation") {
  for (const Activation activation : all_activations) {
    Network<float> network({{dense(1, activation)}, Loss::mean_squared_error}, 1, 1, 1);
    const float weights[] = {1, 0}, input = std::numeric_limits<float>::quiet_NaN();
    float out = 0;
    network.predict({&input, 1, 1}, weights, {&out, 1, 1});
    CHECK(std::isnan(out));
  }
}

TEST_CASE("losses have the values that pencil and paper give, and stay finite far out") {
  const auto loss = [](Loss kind, std::vector<double> outputs, float target) {
    Network<double> network({{dense(static_cast<Index>(outputs.size()))}, kind}, 1, 1, 1);
    return network.loss_sum({outputs.data(), 1, static_cast<Index>(outputs.size())}, {&target, 1});
  };
  CHECK(loss(Loss::softmax_cross_entropy, {0, 0, 0, 0}, 2) == doctest::Approx(std::log(4.0)));
  CHECK(loss(Loss::softmax_cross_entropy, {1000, 0}, 1) == doctest::Approx(1000));
  CHECK(loss(Loss::softmax_cross_entropy, {1000, 0}, 0) == 0);
  CHECK(loss(Loss::binary_cross_entropy, {0}, 1) == doctest::Approx(std::log(2.0)));
  CHECK(loss(Loss::binary_cross_entropy, {-1000}, 1) == doctest::Approx(1000));
  CHECK(loss(Loss::binary_cross_entropy, {1000}, 1) == 0);
  CHECK(loss(Loss::mean_squared_error, {3}, 1) == 4);
  CHECK(loss(Loss::mean_squared_error, {3, 2}, 1) == 2.5);
}

TEST_CASE("the loss of a step without dropout is the loss of its predictions") {
  for (const Loss kind : {Loss::softmax_cross_entropy, Loss::binary_cross_entropy, Loss::mean_squared_error}) {
    const Problem<float> problem(small_model(Activation::tanh, kind, 0, true), 4, 9);
    Network<float> network(problem.model, 4, 4, 1), whole(problem.model, 4, 9, 1);
    std::vector<float> outputs(static_cast<std::size_t>(9 * network.outputs())), gradient(problem.weights.size());
    const Matrix out(outputs.data(), 9, network.outputs());
    network.predict(problem.batch().features, problem.weights, out);
    LayerEvents events;
    const auto result = whole.train_step(problem.batch(), problem.weights, gradient, key, events);
    CHECK(network.loss_sum(out, problem.targets) == doctest::Approx(result.loss_sum).epsilon(1e-6));
  }
}

TEST_CASE("micro-batches have the bits of separate steps that are folded in order") {
  const Problem<float> problem(wide_model(), 50, 23);
  for (const int parts : {1, 2, 3, 4, 23, 40})
    for (const int threads : {1, 2}) {
      CAPTURE(parts);
      Network<float> network(problem.model, 50, 23, threads);
      LayerEvents events;
      std::vector<std::vector<float>> gradients;
      std::vector<Share> shares;
      const int pieces = std::min(parts, 23);
      double loss = 0;
      for (Index i = 0, first = 0; i < pieces; ++i) {
        const Index count = 23 / pieces + (i < 23 % pieces ? 1 : 0);
        gradients.emplace_back(problem.weights.size());
        const auto result =
            network.train_step(problem.batch(first, count), problem.weights, gradients.back(), key, events);
        loss += result.loss_sum;
        shares.push_back({gradients.back().data(), static_cast<float>(static_cast<double>(count) / 23)});
        first += count;
      }
      std::vector<float> folded(problem.weights.size()), whole(folded.size());
      fold(shares, folded);
      const auto result = network.train_step(problem.batch(), problem.weights, whole, key, events, parts);
      CHECK(whole == folded);
      CHECK(result.loss_sum == doctest::Approx(loss).epsilon(1e-12));
    }
}

TEST_CASE("a gradient comes from the last layer down, once, after every layer was asked for") {
  const Problem<float> problem(small_model(Activation::relu, Loss::softmax_cross_entropy, 0, true), 4, 6);
  Network<float> network(problem.model, 4, 6, 1);
  std::vector<float> gradient(problem.weights.size());
  Recorder events;
  CHECK(network.train_step(problem.batch(), problem.weights, gradient, key, events).completed);
  CHECK(events.seen == std::vector<int>{0, 1, 2, 102, 101, 100});
  events.seen.clear();
  CHECK(network.train_step(problem.batch(), problem.weights, gradient, key, events, 2).completed);
  CHECK(events.seen == std::vector<int>{0, 1, 2, 0, 1, 2, 102, 101, 100});
}

TEST_CASE("what has been announced as final does not change any more") {
  const Problem<float> problem(wide_model(), 50, 23);
  Network<float> network(problem.model, 50, 23, 2);
  std::vector<float> gradient(problem.weights.size());
  struct Snapshots : LayerEvents {
    const Layout& layout;
    const std::vector<float>& gradient;
    std::vector<float> copy;
    Snapshots(const Layout& l, const std::vector<float>& g) : layout(l), gradient(g), copy(g.size()) {}
    bool after_backward(int layer) override {
      const Range range = layout.layers[static_cast<std::size_t>(layer)];
      std::copy(gradient.begin() + range.begin, gradient.begin() + range.end, copy.begin() + range.begin);
      return true;
    }
  } events(network.layout(), gradient);
  for (const int parts : {1, 3}) {
    network.train_step(problem.batch(), problem.weights, gradient, key, events, parts);
    CHECK(events.copy == gradient);
  }
}

TEST_CASE("an event that says no ends the step at once") {
  const Problem<float> problem(small_model(Activation::relu, Loss::softmax_cross_entropy, 0, true), 4, 6);
  Network<float> network(problem.model, 4, 6, 1);
  std::vector<float> gradient(problem.weights.size());
  Recorder early, late;
  early.stop_forward = 1;
  CHECK_FALSE(network.train_step(problem.batch(), problem.weights, gradient, key, early, 2).completed);
  CHECK(early.seen == std::vector<int>{0, 1});
  late.stop_backward = 1;
  CHECK_FALSE(network.train_step(problem.batch(), problem.weights, gradient, key, late).completed);
  CHECK(late.seen == std::vector<int>{0, 1, 2, 102, 101});
}

TEST_CASE("after its first step a network allocates nothing") {
  const Problem<float> problem(wide_model(), 50, 23);
  for (const int threads : {1, 2}) {
    Network<float> network(problem.model, 50, 23, threads);
    std::vector<float> gradient(problem.weights.size());
    LayerEvents events;
    network.train_step(problem.batch(), problem.weights, gradient, key, events, 3);
    const long before = allocations;
    for (int step = 0; step < 3; ++step) network.train_step(problem.batch(), problem.weights, gradient, key, events, 3);
    CHECK(allocations == before);
  }
  const long before = allocations;
  const auto one = std::make_unique<int>(1);
  CHECK(allocations > before);
}

TEST_CASE("a mask is a function of seed, epoch, row, layer and unit, and of nothing else") {
  const MaskRow row{{(std::uint64_t{77} << 32) + 5, 9}, 123456, 2, 0.4};
  const Index units = 203;
  std::vector<float> whole(static_cast<std::size_t>(units));
  dropout_mask(row, 0, whole);
  for (Index u = 0; u < units; ++u) {
    const Block block = draw(row.key.seed, Purpose::dropout, row.key.epoch, (std::uint64_t{2} << 32) | row.row,
                             static_cast<std::uint32_t>(u / 4));
    const bool dropped = static_cast<double>(block[static_cast<std::size_t>(u % 4)]) < 0.4 * 0x1p32 - 0.5;
    CHECK(whole[static_cast<std::size_t>(u)] == (dropped ? 0.0f : static_cast<float>(1 / 0.6)));
  }
  for (const Index first : {1, 2, 3, 4, 7, 16, 63, 64, 65, 100, 150}) {
    std::vector<float> part(static_cast<std::size_t>(units - first));
    dropout_mask(row, first, part);
    CHECK(std::equal(part.begin(), part.end(), whole.begin() + first));
  }
  std::vector<double> precise(whole.size());
  dropout_mask(row, 0, precise);
  for (std::size_t u = 0; u < whole.size(); ++u) CHECK((precise[u] == 0) == (whole[u] == 0));
  for (const MaskRow other : {MaskRow{{6, 9}, 123456, 2, 0.4}, MaskRow{{row.key.seed, 8}, 123456, 2, 0.4},
                              MaskRow{row.key, 123457, 2, 0.4}, MaskRow{row.key, 123456, 3, 0.4}}) {
    std::vector<float> different(whole.size());
    dropout_mask(other, 0, different);
    CHECK(different != whole);
  }
}

TEST_CASE("a mask drops its share and keeps the mean") {
  for (const double probability : {0.1, 0.5, 0.9}) {
    const Index units = 100000;
    std::vector<double> mask(static_cast<std::size_t>(units));
    dropout_mask({key, 1, 0, probability}, 0, mask);
    const auto dropped = static_cast<double>(std::count(mask.begin(), mask.end(), 0.0));
    const double deviation = std::sqrt(static_cast<double>(units) * probability * (1 - probability));
    CHECK(std::abs(dropped - probability * static_cast<double>(units)) < 5 * deviation);
    CHECK(*std::max_element(mask.begin(), mask.end()) == 1 / (1 - probability));
  }
}

TEST_CASE("dropout follows a row to wherever in a batch it is computed") {
  const Problem<double> problem(small_model(Activation::tanh, Loss::mean_squared_error, 0.5, true), 4, 8);
  Network<double> network(problem.model, 4, 8, 1);
  LayerEvents events;
  std::vector<double> gradient(problem.weights.size());
  const double whole = network.train_step(problem.batch(), problem.weights, gradient, key, events).loss_sum;
  double pieces = 0;
  for (Index r = 7; r >= 0; --r)
    pieces += network.train_step(problem.batch(r, 1), problem.weights, gradient, key, events).loss_sum;
  CHECK(pieces == doctest::Approx(whole).epsilon(1e-12));
  const double other_epoch = network.train_step(problem.batch(), problem.weights, gradient, {42, 4}, events).loss_sum;
  CHECK(other_epoch != doctest::Approx(whole).epsilon(1e-6));
}

TEST_CASE("the layout covers the flat vector without gaps, weight before bias, in layer order") {
  const job::Model model{{dense(7), dense(5, Activation::relu, 0, false), dense(3)}, Loss::softmax_cross_entropy};
  const Layout layout = make_layout(model, 11);
  const std::vector<std::string> names{"layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.2.weight",
                                       "layers.2.bias"};
  Index at = 0;
  REQUIRE(layout.tensors.size() == names.size());
  for (std::size_t t = 0; t < names.size(); ++t) {
    CHECK(layout.tensors[t].name == names[t]);
    CHECK(layout.tensors[t].offset == at);
    at += layout.tensors[t].count();
  }
  CHECK(layout.total == at);
  CHECK(at == 11 * 7 + 7 + 7 * 5 + 5 * 3 + 3);
  CHECK(layout.layers == std::vector<Range>{{0, 84}, {84, 119}, {119, 137}});
  CHECK(layout.decayed == std::vector<Range>{{0, 77}, {84, 119}, {119, 134}});
}

TEST_CASE("initial weights have the spread that their scheme says, and biases are zero") {
  const struct {
    job::Init init;
    Activation activation;
    double variance, bound;
  } cases[] = {{job::Init::he, Activation::none, 2.0 / 300, 1},
               {job::Init::glorot, Activation::relu, 2.0 / 500, std::sqrt(6.0 / 500)},
               {job::Init::uniform, Activation::relu, 1.0 / 900, 1 / std::sqrt(300.0)},
               {job::Init::automatic, Activation::gelu, 2.0 / 300, 1},
               {job::Init::automatic, Activation::tanh, 2.0 / 500, std::sqrt(6.0 / 500)},
               {job::Init::zero, Activation::relu, 0, 0}};
  for (const auto& [init, activation, variance, bound] : cases) {
    job::Model model{{dense(200, activation)}, Loss::mean_squared_error};
    model.layers[0].init = init;
    const Layout layout = make_layout(model, 300);
    std::vector<float> weights(static_cast<std::size_t>(layout.total), 9);
    initialise(model, layout, 5, weights);
    double sum = 0, squares = 0;
    for (std::size_t k = 0; k < 60000; ++k) {
      const auto w = static_cast<double>(weights[k]);
      sum += w, squares += w * w;
      CHECK_FALSE(std::abs(w) > bound * (1 + 1e-6));
    }
    CHECK(std::abs(sum / 60000) <= 5 * std::sqrt(variance / 60000));
    CHECK(squares / 60000 == doctest::Approx(variance).epsilon(0.03));
    CHECK(std::all_of(weights.begin() + 60000, weights.end(), [](float b) { return b == 0; }));
  }
}

TEST_CASE("initial weights depend on seed, layer and element, not on what else the model has") {
  const auto weights = [](job::Model model, std::uint64_t seed) {
    const Layout layout = make_layout(model, 20);
    std::vector<float> out(static_cast<std::size_t>(layout.total));
    initialise(model, layout, seed, out);
    return out;
  };
  const job::Model with{{dense(30, Activation::relu), dense(20)}, Loss::mean_squared_error};
  job::Model without = with;
  without.layers[0].bias = false;
  const auto a = weights(with, 1), b = weights(without, 1);
  CHECK(std::equal(a.begin(), a.begin() + 600, b.begin()));
  CHECK(std::equal(a.begin() + 630, a.end(), b.begin() + 600));
  CHECK(weights(with, 2) != a);
  CHECK(weights(with, 1) == a);
}

TEST_CASE("metrics are the same whatever the pieces were") {
  for (const Loss kind : {Loss::softmax_cross_entropy, Loss::binary_cross_entropy, Loss::mean_squared_error}) {
    const Problem<float> problem(small_model(Activation::tanh, kind, 0, true), 4, 50);
    const Index columns = kind == Loss::softmax_cross_entropy ? 3 : 1;
    const ConstMatrix outputs(problem.features.data(), 50, columns);
    Metrics whole(kind, 3, -1), pieces(kind, 3, -1);
    whole.add(outputs, problem.targets);
    for (Index first = 0; first < 50; first += 7) {
      const Index count = std::min<Index>(7, 50 - first);
      pieces.add(outputs.below(first, count),
                 std::span(problem.targets).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)));
    }
    CHECK(whole.result() == pieces.result());
    std::vector<std::string> names;
    for (const auto& [name, value] : whole.result()) names.push_back(name);
    CHECK(names == metric_names(kind));
  }
}

TEST_CASE("the area under the curve is the share of pairs in the right order, ties counting half") {
  std::mt19937 engine(3);
  std::vector<float> scores, classes;
  for (int k = 0; k < 300; ++k) {
    classes.push_back(static_cast<float>(engine() % 3 == 0));
    scores.push_back(static_cast<float>(engine() % 20) + classes.back());
  }
  double won = 0, pairs = 0;
  for (std::size_t i = 0; i < scores.size(); ++i)
    for (std::size_t j = 0; j < scores.size(); ++j)
      if (classes[i] > classes[j]) {
        ++pairs;
        won += scores[i] > scores[j] ? 1 : scores[i] == scores[j] ? 0.5 : 0;
      }
  Metrics metrics(Loss::binary_cross_entropy);
  metrics.add({scores.data(), 300, 1}, classes);
  CHECK(*value_of(metrics, "auc") == doctest::Approx(won / pairs).epsilon(1e-14));
}

TEST_CASE("a metric that has no meaning is absent") {
  const float outputs[] = {0.5f, 1.5f}, same[] = {1, 1}, nan[] = {std::nanf(""), 1}, mixed[] = {0, 1};
  Metrics one_class(Loss::binary_cross_entropy), not_numbers(Loss::binary_cross_entropy),
      constant(Loss::mean_squared_error);
  one_class.add({outputs, 2, 1}, same);
  not_numbers.add({nan, 2, 1}, mixed);
  constant.add({outputs, 2, 1}, same);
  CHECK_FALSE(value_of(one_class, "auc").has_value());
  CHECK_FALSE(value_of(not_numbers, "auc").has_value());
  CHECK_FALSE(value_of(constant, "r2").has_value());
  CHECK(value_of(constant, "rmse") == 0.5);
  CHECK(Metrics(Loss::mean_squared_error).result().empty());
}

TEST_CASE("metrics agree with pencil and paper, in the target's own unit") {
  const float logits[] = {2, 1, 0, 0, 3, 1}, classes[] = {0, 2};
  Metrics softmax(Loss::softmax_cross_entropy);
  softmax.add({logits, 2, 3}, classes);
  CHECK(value_of(softmax, "accuracy") == 0.5);
  const double first = std::log(std::exp(2.0) + std::exp(1.0) + 1) - 2;
  const double second = std::log(1 + std::exp(3.0) + std::exp(1.0)) - 1;
  CHECK(*value_of(softmax, "loss") == doctest::Approx((first + second) / 2).epsilon(1e-6));

  const float values[] = {1, 2, 3}, targets[] = {1, 2, 5};
  Metrics regression(Loss::mean_squared_error, 10, 7);
  regression.add({values, 3, 1}, targets);
  CHECK(*value_of(regression, "loss") == doctest::Approx(4.0 / 3));
  CHECK(*value_of(regression, "rmse") == doctest::Approx(std::sqrt(400.0 / 3)));
  CHECK(*value_of(regression, "mae") == doctest::Approx(20.0 / 3));
  CHECK(*value_of(regression, "r2") == doctest::Approx(1 - 400 / (100 * (26.0 / 3))));
}

TEST_CASE("outputs become probabilities without overflow") {
  float logits[] = {1000, 1000, 0, 0};
  to_probabilities(Loss::softmax_cross_entropy, {logits, 1, 4});
  CHECK(logits[0] == 0.5f);
  CHECK(logits[2] == 0.0f);
  float scores[] = {0, -1000, 1000};
  to_probabilities(Loss::binary_cross_entropy, {scores, 3, 1});
  CHECK(scores[0] == 0.5f);
  CHECK(scores[1] == 0.0f);
  CHECK(scores[2] == 1.0f);
  float value = 17;
  to_probabilities(Loss::mean_squared_error, {&value, 1, 1});
  CHECK(value == 17);
}

TEST_CASE("a network counts its floating-point operations without the first layer's input gradient") {
  const job::Model model{{dense(512, Activation::relu), dense(512, Activation::relu), dense(10)},
                         Loss::softmax_cross_entropy};
  const Network<float> network(model, 784, 4, 1);
  CHECK(network.flops_per_row() == 2.0 * (2 * 784 * 512 + 3 * 512 * 512 + 3 * 512 * 10));
  CHECK(network.outputs() == 10);
  CHECK(network.bytes() >= 4 * 4 * (512 + 512 + 10));
}
