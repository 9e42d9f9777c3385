#include "role/evaluate.hpp"

#include <algorithm>
#include <numeric>

#include "model/metrics.hpp"

namespace dtrain::role {
namespace {

constexpr Index chunk_rows = 512;

}  // namespace

Evaluator::Evaluator(const job::Model& model, const data::Encoding& encoding, int threads)
    : loss_(model.loss),
      target_scale_(encoding.target_scale),
      target_shift_(encoding.target_shift),
      width_(encoding.width),
      network_(model, encoding.width, chunk_rows, threads),
      outputs_(chunk_rows * network_.outputs()),
      targets_(static_cast<std::size_t>(chunk_rows)),
      numbers_(static_cast<std::size_t>(chunk_rows)) {}

void Evaluator::predict(const data::Rows& rows, std::span<const float> weights, const See& see) {
  for (Index first = 0; first < rows.count(); first += chunk_rows) {
    const Index count = std::min(chunk_rows, rows.count() - first);
    const std::span<std::uint32_t> numbers(numbers_.data(), static_cast<std::size_t>(count));
    std::iota(numbers.begin(), numbers.end(), static_cast<std::uint32_t>(first));
    const Matrix outputs(outputs_.data(), count, network_.outputs());
    const std::span<float> targets(targets_.data(), static_cast<std::size_t>(count));
    predict(rows, numbers, weights, targets, outputs);
    see(outputs, targets);
  }
}

void Evaluator::predict(const data::Rows& rows, std::span<const std::uint32_t> numbers, std::span<const float> weights,
                        std::span<float> targets, Matrix outputs) {
  if (rows.sparse()) {
    rows.gather_sparse(numbers, sparse_, targets);
    return network_.predict(SparseRows{sparse_.begins, sparse_.indices, sparse_.values}, weights, outputs);
  }
  if (features_.size() == 0) features_ = Arena(chunk_rows * width_);
  const Matrix features(features_.data(), outputs.rows, width_);
  rows.gather(numbers, features, targets);
  network_.predict(features, weights, outputs);
}

Scores Evaluator::evaluate(const data::Rows& rows, std::span<const float> weights) {
  model::Metrics metrics(loss_, target_scale_, target_shift_);
  predict(rows, weights, [&](Matrix outputs, std::span<const float> targets) { metrics.add(outputs, targets); });
  return metrics.result();
}

}  // namespace dtrain::role
