#include "model/loss.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace dtrain::model {
namespace {

Index class_of(float target, [[maybe_unused]] Index outputs) {
  const auto index = static_cast<Index>(target);
  assert(index >= 0 && index < outputs);
  return index;
}

/// log(1 + e^z) - y z without overflow.
double binary_loss(double z, double y) { return std::max(z, 0.0) - z * y + std::log1p(std::exp(-std::abs(z))); }

template <class Real>
double squared_loss(const Real* row, Index outputs, float target) {
  double sum = 0;
  for (Index c = 0; c < outputs; ++c) {
    const double error = static_cast<double>(row[c]) - static_cast<double>(target);
    sum += error * error;
  }
  return sum / static_cast<double>(outputs);
}

template <class Real>
double softmax_loss(const Real* row, Index outputs, float target) {
  const Real top = *std::max_element(row, row + outputs);
  double sum = 0;
  for (Index c = 0; c < outputs; ++c) sum += static_cast<double>(std::exp(row[c] - top));
  return std::log(sum) - static_cast<double>(row[class_of(target, outputs)] - top);
}

template <class Real>
double softmax_gradient(Real* row, Index outputs, float target, Real scale) {
  const Index right = class_of(target, outputs);
  const Real chosen = row[right] - *std::max_element(row, row + outputs);
  const double sum = exponentials(row, outputs);
  const auto factor = static_cast<Real>(static_cast<double>(scale) / sum);
  for (Index c = 0; c < outputs; ++c) row[c] *= factor;
  row[right] -= scale;
  return std::log(sum) - static_cast<double>(chosen);
}

template <class Real>
double binary_gradient(Real* row, float target, Real scale) {
  const double loss = binary_loss(static_cast<double>(*row), static_cast<double>(target));
  *row = (1 / (1 + std::exp(-*row)) - static_cast<Real>(target)) * scale;
  return loss;
}

template <class Real>
double squared_gradient(Real* row, Index outputs, float target, Real scale) {
  const double loss = squared_loss(row, outputs, target);
  const Real factor = 2 * scale / static_cast<Real>(outputs);
  for (Index c = 0; c < outputs; ++c) row[c] = (row[c] - static_cast<Real>(target)) * factor;
  return loss;
}

}  // namespace

template <class Real>
double exponentials(Real* row, Index outputs) {
  const Real top = *std::max_element(row, row + outputs);
  double sum = 0;
  for (Index c = 0; c < outputs; ++c) {
    row[c] = std::exp(row[c] - top);
    sum += static_cast<double>(row[c]);
  }
  return sum;
}

template <class Real>
double row_loss(job::Loss loss, const Real* row, Index outputs, float target) {
  switch (loss) {
    case job::Loss::softmax_cross_entropy: return softmax_loss(row, outputs, target);
    case job::Loss::binary_cross_entropy: return binary_loss(static_cast<double>(*row), static_cast<double>(target));
    case job::Loss::mean_squared_error: return squared_loss(row, outputs, target);
  }
  return 0;
}

template <class Real>
double row_loss_and_gradient(job::Loss loss, Real* row, Index outputs, float target, Real scale) {
  switch (loss) {
    case job::Loss::softmax_cross_entropy: return softmax_gradient(row, outputs, target, scale);
    case job::Loss::binary_cross_entropy: return binary_gradient(row, target, scale);
    case job::Loss::mean_squared_error: return squared_gradient(row, outputs, target, scale);
  }
  return 0;
}

template double exponentials(float*, Index);
template double exponentials(double*, Index);
template double row_loss(job::Loss, const float*, Index, float);
template double row_loss(job::Loss, const double*, Index, float);
template double row_loss_and_gradient(job::Loss, float*, Index, float, float);
template double row_loss_and_gradient(job::Loss, double*, Index, float, double);

}  // namespace dtrain::model
