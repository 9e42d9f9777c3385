#pragma once
/// The passes between products: bias, activation and dropout forward, and their backward, fused. The room's own.
///
/// Each works on one block of a layer; blocks may be computed by different threads. Pure.

#include "job/job.hpp"
#include "math/gemm.hpp"

namespace dtrain::model {

/// What an activation's derivative is computed from: its own input (gelu) or its output (all others).
bool derivative_needs_input(job::Activation activation);

/// One layer of activations. `source` is where the derivative is read from: the same view as `outputs`, unless dropout
/// or the activation itself asks for a copy. `mask` has no data where there is no dropout; `bias` may be null.
template <class Real>
struct Units {
  job::Activation activation;
  Real slope;
  const Real* bias;
  View<Real> outputs;
  View<Real> source;
  View<const Real> mask;
};

/// outputs = mask * activation(outputs + bias) over the block.
template <class Real>
void activate(const Units<Real>& units, const Part& part);

/// gradient = gradient * mask * activation'(...) over the block.
template <class Real>
void activate_backward(const Units<Real>& units, View<Real> gradient, const Part& part);

/// out[c] = sum over rows of values[r][c], in row order, for columns [first, first + count).
template <class Real>
void sum_rows(View<const Real> values, Index first, Index count, Real* out);

}  // namespace dtrain::model
