#pragma once
/// Optimizers as one flat out-of-place pass: from (weights, state, gradient) to (new weights, new state).
///
/// Out of place, because a published version of the weights is immutable while it is being sent or saved; in place is
/// allowed too (next == current). Pure; any thread. Sources: Polyak 1964 (momentum), Sutskever et al. 2013 (nesterov,
/// as PyTorch states it), Duchi et al. 2011 (adagrad), Tieleman & Hinton 2012 (rmsprop), Kingma & Ba 2015 (adam),
/// Loshchilov & Hutter 2019 (adamw). Formulas and defaults agree with torch.optim.

#include <cstdint>
#include <span>
#include <vector>

#include "base/random.hpp"
#include "job/job.hpp"

namespace dtrain::optim {

/// Moments per weight: sgd 0, momentum, nesterov, adagrad, rmsprop 1, adam, adamw 2.
int state_count(job::OptimizerType type);

struct StepInput {
  double learning_rate = 0;
  std::uint64_t step = 1;     ///< steps applied including this one, from 1 (adam's bias correction)
  float gradient_factor = 1;  ///< clipping, rate share: multiplies the gradient first
};

inline constexpr int max_state = 2;

/// One step's numbers, rounded to float once: whoever steps many short ranges makes them once.
struct Coefficients {
  float rate;      ///< learning rate
  float factor;    ///< of the gradient
  float decay;     ///< added to the gradient, times the weight
  float shrink;    ///< adamw: multiplies the weight
  float keep1;     ///< momentum, beta1, decay_rate
  float new1;      ///< 1 - beta1, 1 - decay_rate
  float keep2;     ///< beta2
  float new2;      ///< 1 - beta2
  float epsilon;   ///< outside the root
  float debias;    ///< adam: sqrt(1 - beta2^step)
  float rate_one;  ///< adam: rate / (1 - beta1^step)
};
Coefficients coefficients(const job::Optimizer& optimizer, const StepInput& input, bool decays);

/// One step over a range; all spans are equally long. `decay`: weight decay applies to this range.
/// state[k] and next_state[k] are used for k < state_count(type).
void apply(const job::Optimizer& optimizer, const StepInput& input, std::span<const float> gradient, bool decay,
           std::span<const float> weights, const std::span<const float>* state, std::span<float> next_weights,
           const std::span<float>* next_state);

void apply(job::OptimizerType type, const Coefficients& coefficients, std::span<const float> gradient,
           std::span<const float> weights, const std::span<const float>* state, std::span<float> next_weights,
           const std::span<float>* next_state);

/// The factor that clips a gradient of this global norm squared to `clip_norm`: 1 when within, off (0) or zero.
/// float(clip_norm / (norm + 1e-6)) as torch.nn.utils.clip_grad_norm_ has it.
float clip_factor(double clip_norm, double norm_squared);

}  // namespace dtrain::optim
