#pragma once
/// Small networks and rows to train them on, for the model room's tests.

#include <random>
#include <span>
#include <vector>

#include "model/network.hpp"

namespace model_support {

using namespace dtrain;
using namespace dtrain::model;

inline job::Layer dense(Index outputs, job::Activation activation = job::Activation::none, double dropout = 0,
                        bool bias = true) {
  job::Layer layer;
  layer.dense = outputs;
  layer.activation = activation;
  layer.dropout = dropout;
  layer.bias = bias;
  return layer;
}

inline const DropoutKey key{42, 3};

/// Rows, targets and row numbers for a model, and starting weights with biases that are not zero.
template <class Real>
struct Problem {
  job::Model model;
  Index width, rows;
  std::vector<Real> features, weights;
  std::vector<float> targets;
  std::vector<std::uint32_t> numbers;

  Problem(job::Model m, Index w, Index r) : model(std::move(m)), width(w), rows(r) {
    std::mt19937 engine(17);
    const auto next = [&] { return static_cast<double>(engine()) / 2147483648.0 - 1; };
    for (Index i = 0; i < rows * width; ++i) features.push_back(static_cast<Real>(static_cast<float>(next())));
    const Index outputs = model.layers.back().dense;
    for (Index i = 0; i < rows; ++i) {
      const auto number = static_cast<std::uint32_t>(engine() % 100000);
      numbers.push_back(number);
      const Index classes = model.loss == job::Loss::softmax_cross_entropy ? outputs : 2;
      targets.push_back(model.loss == job::Loss::mean_squared_error ? static_cast<float>(next())
                                                                    : static_cast<float>(number % classes));
    }
    for (Index i = 0; i < make_layout(model, width).total; ++i)
      weights.push_back(static_cast<Real>(static_cast<float>(0.7 * next())));
  }

  Batch<Real> batch(Index first, Index count) const {
    const auto from = static_cast<std::size_t>(first), many = static_cast<std::size_t>(count);
    return {{features.data() + first * width, count, width},
            std::span(targets).subspan(from, many),
            std::span(numbers).subspan(from, many)};
  }
  Batch<Real> batch() const { return batch(0, rows); }
};

}  // namespace model_support
