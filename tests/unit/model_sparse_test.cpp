#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "model/network.hpp"

using namespace dtrain;
using namespace dtrain::model;

namespace {

constexpr Index width = 50, batch_rows = 13;
const DropoutKey key{4, 1};

job::Model model_of(Index hidden, double dropout, bool bias = true) {
  job::Model model;
  model.layers.resize(hidden > 0 ? 2 : 1);
  model.layers.front().dense = hidden;
  model.layers.front().activation = job::Activation::tanh;
  model.layers.front().dropout = hidden > 0 ? dropout : 0;
  model.layers.front().bias = bias;
  model.layers.back().dense = 3;
  return model;
}

/// The same rows with their zeros and without.
template <class Real>
struct Rows {
  std::vector<Real> dense = std::vector<Real>(static_cast<std::size_t>(width * batch_rows));
  SparseBatch sparse;
  Touched touched;
  std::vector<float> targets;
  std::vector<std::uint32_t> numbers;
  std::vector<Real> weights, first_weights, first_gradient;

  explicit Rows(const job::Model& model) {
    std::mt19937 engine(3);
    sparse.begins.push_back(0);
    for (std::uint32_t r = 0; r < batch_rows; ++r) {
      for (std::uint32_t f = 0; f < width; ++f) {
        if (r == 5 || engine() % 6 != 0) continue;  // one row without features
        const float value = static_cast<float>(engine() % 1000) / 500 - 1;
        dense[r * width + f] = static_cast<Real>(value);
        sparse.indices.push_back(f);
        sparse.values.push_back(value);
      }
      sparse.begins.push_back(static_cast<std::uint32_t>(sparse.indices.size()));
      targets.push_back(static_cast<float>(r % 3));
      numbers.push_back(r * 7);
    }
    touched.find(sparse);
    for (Index i = 0; i < make_layout(model, width).total; ++i)
      weights.push_back(static_cast<Real>(static_cast<double>(engine() % 2000) / 2000 - 0.5));
    const auto out = static_cast<std::size_t>(model.layers.front().dense);
    for (const std::uint32_t f : touched.features())
      first_weights.insert(first_weights.end(), weights.begin() + static_cast<std::ptrdiff_t>(f * out),
                           weights.begin() + static_cast<std::ptrdiff_t>((f + 1) * out));
    first_gradient.resize(first_weights.size());
  }

  Batch<Real> dense_batch() const { return {{dense.data(), batch_rows, width}, targets, numbers}; }
  Batch<Real> batch(bool compact, bool fills) {
    const SparseRows rows{sparse.begins, compact ? touched.slots() : std::span<const std::uint32_t>(sparse.indices),
                          sparse.values};
    SparseInput<Real> input{rows, 0, &touched, {}, first_gradient, fills};
    if (compact) input.first_weights = first_weights;
    return {{nullptr, batch_rows, width}, targets, numbers, input};
  }
};

template <class Real>
std::vector<Real> gradient_of(const job::Model& model, const Rows<Real>& rows, const Batch<Real>& batch, int threads,
                              int parts, double& loss) {
  Network<Real> network(model, width, batch_rows, threads);
  std::vector<Real> gradient(rows.weights.size(), Real(77));
  LayerEvents events;
  loss = network.train_step(batch, rows.weights, gradient, key, events, parts).loss_sum;
  return gradient;
}

}  // namespace

TEST_CASE("sparse rows give the gradient and the loss of the same rows with their zeros, but for rounding") {
  for (const Index hidden : {0, 6, 17})
    for (const int parts : {1, 4}) {
      const job::Model model = model_of(hidden, 0.3);
      job::Model fixed = model;
      if (hidden == 0) fixed.layers.front().dense = 3, fixed.layers.front().activation = job::Activation::none;
      Rows<double> rows(fixed);
      double loss = 0, dense_loss = 0;
      const auto dense = gradient_of(fixed, rows, rows.dense_batch(), 1, parts, dense_loss);
      const auto sparse = gradient_of(fixed, rows, rows.batch(false, true), 1, parts, loss);
      CHECK(loss == doctest::Approx(dense_loss).epsilon(1e-12));
      for (std::size_t k = 0; k < dense.size(); ++k) CHECK(std::fabs(sparse[k] - dense[k]) < 1e-13);
    }
}

TEST_CASE("sparse gradients have the same bits for any number of threads, and wherever the weights lie") {
  for (const int parts : {1, 3}) {
    const job::Model model = model_of(21, 0.25);
    Rows<float> rows(model);
    double loss = 0, other = 0;
    const auto gradient = gradient_of(model, rows, rows.batch(false, true), 1, parts, loss);
    const auto first = rows.first_gradient;
    for (const int threads : {1, 2, 5})
      for (const bool compact : {false, true}) {
        CHECK(gradient_of(model, rows, rows.batch(compact, true), threads, parts, other) == gradient);
        CHECK(other == loss);
        CHECK(rows.first_gradient == first);
      }
  }
}

TEST_CASE("only touched rows are written, and the whole gradient is those rows among zeros where it is asked for") {
  const job::Model model = model_of(8, 0, false);
  Rows<float> rows(model);
  double loss = 0;
  const auto alone = gradient_of(model, rows, rows.batch(false, false), 1, 2, loss);
  const auto whole = gradient_of(model, rows, rows.batch(false, true), 1, 2, loss);
  const Index out = 8;
  std::size_t slot = 0;
  for (std::uint32_t f = 0; f < width; ++f) {
    const bool here = slot < rows.touched.features().size() && rows.touched.features()[slot] == f;
    for (std::size_t c = 0; c < out; ++c) {
      CHECK(alone[f * out + c] == 77);
      CHECK(whole[f * out + c] == (here ? rows.first_gradient[slot * out + c] : 0));
    }
    slot += here ? 1 : 0;
  }
  CHECK(slot == rows.touched.features().size());
  for (std::size_t k = width * out; k < alone.size(); ++k) CHECK(alone[k] == whole[k]);
}

TEST_CASE("parts of a batch of sparse rows are folded as those of dense ones") {
  const job::Model model = model_of(5, 0);
  Rows<float> rows(model);
  double loss = 0;
  const auto whole = gradient_of(model, rows, rows.batch(false, true), 1, 1, loss);
  const auto folded = gradient_of(model, rows, rows.batch(false, true), 1, 3, loss);
  bool any = false;
  for (std::size_t k = 0; k < whole.size(); ++k) {
    CHECK(std::fabs(whole[k] - folded[k]) < 1e-6);
    any = any || whole[k] != folded[k];
  }
  CHECK(any);
}

TEST_CASE("predictions from sparse rows are those from dense ones, chunk by chunk") {
  const job::Model model = model_of(9, 0.5);
  Rows<double> rows(model);
  Network<double> network(model, width, 4, 2);
  std::vector<double> dense(batch_rows * 3), sparse(batch_rows * 3);
  network.predict(rows.dense_batch().features, rows.weights, {dense.data(), batch_rows, 3});
  network.predict(SparseRows{rows.sparse.begins, rows.sparse.indices, rows.sparse.values}, rows.weights,
                  {sparse.data(), batch_rows, 3});
  for (std::size_t k = 0; k < dense.size(); ++k) CHECK(std::fabs(dense[k] - sparse[k]) < 1e-13);
}
