#pragma once
/// Judging a model on rows: the one loop behind a run's evaluations, `eval` and `predict`.

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "data/data.hpp"
#include "model/network.hpp"

namespace dtrain::role {

/// (name, value), as model/metrics.hpp orders them.
using Scores = std::vector<std::pair<std::string, double>>;

class Evaluator {
 public:
  Evaluator(const job::Model& model, const data::Encoding& encoding, int threads);

  Scores evaluate(const data::Rows& rows, std::span<const float> weights);

  /// Shows outputs before the loss ([rows, outputs]) and targets of consecutive rows, some hundred at a time.
  /// Features that are mostly zeros stay so.
  using See = std::function<void(Matrix outputs, std::span<const float> targets)>;
  void predict(const data::Rows& rows, std::span<const float> weights, const See& see);

 private:
  void predict(const data::Rows& rows, std::span<const std::uint32_t> numbers, std::span<const float> weights,
               std::span<float> targets, Matrix outputs);
  job::Loss loss_;
  double target_scale_, target_shift_;
  Index width_;
  model::Network<float> network_;
  Arena features_, outputs_;
  SparseBatch sparse_;
  std::vector<float> targets_;
  std::vector<std::uint32_t> numbers_;
};

}  // namespace dtrain::role
