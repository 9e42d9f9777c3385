#pragma once
/// The loss of one row, and its gradient. The room's own; others see Network and Metrics.
///
/// Exponentials are taken in Real, sums and logarithms in double. Pure; any thread.

#include "job/job.hpp"
#include "math/matrix.hpp"

namespace dtrain::model {

/// Loss of a row of `outputs` numbers (logits or values). softmax: target is the class index, within [0, outputs).
/// binary: 0 or 1, one output. mean squared error: the mean over the outputs of (output - target)^2.
template <class Real>
double row_loss(job::Loss loss, const Real* row, Index outputs, float target);

/// The same, and overwrites the row with the gradient by its outputs, times `scale`.
template <class Real>
double row_loss_and_gradient(job::Loss loss, Real* row, Index outputs, float target, Real scale);

/// Subtracts the largest element, takes exponentials in place and returns their sum.
template <class Real>
double exponentials(Real* row, Index outputs);

}  // namespace dtrain::model
