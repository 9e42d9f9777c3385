#include "model/elementwise.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "math/clones.hpp"

namespace dtrain::model {
namespace {

using job::Activation;

template <Activation activation, class Real>
DTRAIN_INLINE Real forward(Real z, Real slope) {
  if constexpr (activation == Activation::none) return z;
  // Not max(): a value that is not a number must get through.
  if constexpr (activation == Activation::relu) return z < 0 ? Real{0} : z;
  if constexpr (activation == Activation::leaky_relu) return z < 0 ? slope * z : z;
  if constexpr (activation == Activation::gelu)
    return z * (Real{0.5} * (1 + std::erf(z * static_cast<Real>(std::numbers::sqrt2 / 2))));
  if constexpr (activation == Activation::tanh) return std::tanh(z);
  if constexpr (activation == Activation::sigmoid) return 1 / (1 + std::exp(-z));
  if constexpr (activation == Activation::softplus) return std::max(z, Real{0}) + std::log1p(std::exp(-std::abs(z)));
}

/// The derivative at `s`: the activation's output, or gelu's input.
template <Activation activation, class Real>
DTRAIN_INLINE Real derivative(Real s, Real slope) {
  if constexpr (activation == Activation::none) return 1;
  if constexpr (activation == Activation::relu) return s > 0 ? Real{1} : Real{0};
  if constexpr (activation == Activation::leaky_relu) return s > 0 ? Real{1} : slope;
  if constexpr (activation == Activation::gelu) {
    const Real share = Real{0.5} * (1 + std::erf(s * static_cast<Real>(std::numbers::sqrt2 / 2)));
    const auto height = static_cast<Real>(std::numbers::inv_sqrtpi * std::numbers::sqrt2 / 2);
    return share + s * height * std::exp(Real{-0.5} * s * s);
  }
  if constexpr (activation == Activation::tanh) return 1 - s * s;
  if constexpr (activation == Activation::sigmoid) return s * (1 - s);
  if constexpr (activation == Activation::softplus) return -std::expm1(-s);  // 1 - e^-log(1+e^z) = sigmoid(z)
}

template <Activation activation, class Real>
DTRAIN_INLINE void forward_row(const Units<Real>& u, Index r, Index first, Index count) {
  Real* out = u.outputs.row(r) + first;
  const Real* bias = u.bias == nullptr ? nullptr : u.bias + first;
  const Real slope = u.slope;
  if (activation == Activation::gelu) {
    Real* kept = u.source.row(r) + first;
    for (Index c = 0; c < count; ++c) kept[c] = bias == nullptr ? out[c] : out[c] + bias[c];
    for (Index c = 0; c < count; ++c) out[c] = forward<activation>(kept[c], slope);
  } else if (bias == nullptr) {
    for (Index c = 0; c < count; ++c) out[c] = forward<activation>(out[c], slope);
  } else {
#pragma GCC ivdep
    for (Index c = 0; c < count; ++c) out[c] = forward<activation>(out[c] + bias[c], slope);
  }
  if (u.mask.data == nullptr) return;
  if (activation != Activation::gelu) std::copy_n(out, count, u.source.row(r) + first);
  const Real* mask = u.mask.row(r) + first;
#pragma GCC ivdep
  for (Index c = 0; c < count; ++c) out[c] *= mask[c];
}

template <Activation activation, class Real>
DTRAIN_INLINE void backward_row(const Units<Real>& u, Real* gradient, Index r, Index first, Index count) {
  const Real* source = u.source.row(r) + first;
  const Real slope = u.slope;
  if (u.mask.data != nullptr) {
    const Real* mask = u.mask.row(r) + first;
#pragma GCC ivdep
    for (Index c = 0; c < count; ++c) gradient[c] *= mask[c];
  }
  if (activation == Activation::none) return;
#pragma GCC ivdep
  for (Index c = 0; c < count; ++c) gradient[c] *= derivative<activation>(source[c], slope);
}

template <Activation activation, class Real>
DTRAIN_INLINE void forward_block(const Units<Real>& given, const Part& part) {
  const Units<Real> u = given;
  for (Index r = part.row; r < part.row + part.rows; ++r) forward_row<activation>(u, r, part.col, part.cols);
}

template <Activation activation, class Real>
DTRAIN_INLINE void backward_block(const Units<Real>& given, View<Real> gradient, const Part& part) {
  const Units<Real> u = given;
  for (Index r = part.row; r < part.row + part.rows; ++r)
    backward_row<activation>(u, gradient.row(r) + part.col, r, part.col, part.cols);
}

/// Calls `work.template operator()<activation>()` with the value as a constant.
template <class Work>
DTRAIN_INLINE void with(Activation activation, Work&& work) {
  switch (activation) {
    case Activation::none: return work.template operator()<Activation::none>();
    case Activation::relu: return work.template operator()<Activation::relu>();
    case Activation::leaky_relu: return work.template operator()<Activation::leaky_relu>();
    case Activation::gelu: return work.template operator()<Activation::gelu>();
    case Activation::tanh: return work.template operator()<Activation::tanh>();
    case Activation::sigmoid: return work.template operator()<Activation::sigmoid>();
    case Activation::softplus: return work.template operator()<Activation::softplus>();
  }
}

template <class Real>
DTRAIN_INLINE void forward_any(const Units<Real>& u, const Part& part) {
  with(
      u.activation, [&]<Activation activation>()
                        __attribute__((always_inline)) { forward_block<activation>(u, part); });
}

template <class Real>
DTRAIN_INLINE void backward_any(const Units<Real>& u, View<Real> gradient, const Part& part) {
  with(
      u.activation, [&]<Activation activation>()
                        __attribute__((always_inline)) { backward_block<activation>(u, gradient, part); });
}

template <class Real>
DTRAIN_INLINE void add_rows(View<const Real> values, Index first, Index count, Real* out) {
  std::copy_n(values.row(0) + first, count, out + first);
  for (Index r = 1; r < values.rows; ++r) {
    const Real* row = values.row(r);
#pragma GCC ivdep
    for (Index c = first; c < first + count; ++c) out[c] += row[c];
  }
}

DTRAIN_CLONES void forward_floats(const Units<float>& u, const Part& part) { forward_any(u, part); }
DTRAIN_CLONES void backward_floats(const Units<float>& u, View<float> gradient, const Part& part) {
  backward_any(u, gradient, part);
}
DTRAIN_CLONES void add_float_rows(View<const float> values, Index first, Index count, float* out) {
  add_rows(values, first, count, out);
}

}  // namespace

bool derivative_needs_input(Activation activation) { return activation == Activation::gelu; }

template <>
void activate(const Units<float>& units, const Part& part) {
  forward_floats(units, part);
}
template <>
void activate(const Units<double>& units, const Part& part) {
  forward_any(units, part);
}

template <>
void activate_backward(const Units<float>& units, View<float> gradient, const Part& part) {
  backward_floats(units, gradient, part);
}
template <>
void activate_backward(const Units<double>& units, View<double> gradient, const Part& part) {
  backward_any(units, gradient, part);
}

template <>
void sum_rows(View<const float> values, Index first, Index count, float* out) {
  if (count > 0) add_float_rows(values, first, count, out);
}
template <>
void sum_rows(View<const double> values, Index first, Index count, double* out) {
  if (count > 0) add_rows(values, first, count, out);
}

}  // namespace dtrain::model
