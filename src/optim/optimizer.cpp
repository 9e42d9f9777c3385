#include "optim/optimizer.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "optim/element.hpp"

namespace dtrain::optim {
namespace {

using Type = job::OptimizerType;

template <Type type>
DTRAIN_INLINE void pass(const Pass p, const Coefficients c) {
  // Without decay the weight must not enter the gradient at all: 0 * infinity is not a number.
  if (c.decay == 0 || type == Type::adamw) {
#pragma GCC ivdep
    for (std::size_t k = 0; k < p.count; ++k) element<type>(p, c, k, p.weights[k], c.factor * p.gradient[k]);
  } else {
#pragma GCC ivdep
    for (std::size_t k = 0; k < p.count; ++k) {
      const float w = p.weights[k];
      element<type>(p, c, k, w, c.factor * p.gradient[k] + c.decay * w);
    }
  }
}

DTRAIN_CLONES void run(Type type, const Pass& p, const Coefficients& c) {
  with_type(type, [&]<Type known>() DTRAIN_INLINE_LAMBDA { pass<known>(p, c); });
}

}  // namespace

Coefficients coefficients(const job::Optimizer& o, const StepInput& input, bool decays) {
  const auto real = [](double value) { return static_cast<float>(value); };
  const auto step = static_cast<double>(input.step);
  const double rate = input.learning_rate, keep1 = o.type == Type::rmsprop ? o.decay_rate : o.beta1;
  const double decay = decays ? o.weight_decay : 0;
  const bool moments = o.type == Type::momentum || o.type == Type::nesterov;
  return {.rate = real(rate),
          .factor = input.gradient_factor,
          .decay = real(decay),
          .shrink = real(1 - rate * decay),
          .keep1 = real(moments ? o.momentum : keep1),
          .new1 = real(1 - keep1),
          .keep2 = real(o.beta2),
          .new2 = real(1 - o.beta2),
          .epsilon = real(o.epsilon),
          .debias = real(std::sqrt(1 - std::pow(o.beta2, step))),
          .rate_one = real(rate / (1 - std::pow(o.beta1, step)))};
}

int state_count(job::OptimizerType type) {
  switch (type) {
    case Type::sgd: return 0;
    case Type::momentum:
    case Type::nesterov:
    case Type::adagrad:
    case Type::rmsprop: return 1;
    case Type::adam:
    case Type::adamw: return 2;
  }
  return 0;
}

void apply(const job::Optimizer& optimizer, const StepInput& input, std::span<const float> gradient, bool decay,
           std::span<const float> weights, const std::span<const float>* state, std::span<float> next_weights,
           const std::span<float>* next_state) {
  apply(optimizer.type, coefficients(optimizer, input, decay), gradient, weights, state, next_weights, next_state);
}

void apply(job::OptimizerType type, const Coefficients& c, std::span<const float> gradient,
           std::span<const float> weights, const std::span<const float>* state, std::span<float> next_weights,
           const std::span<float>* next_state) {
  assert(gradient.size() == weights.size() && weights.size() == next_weights.size());
  Pass p{gradient.data(), weights.data(), next_weights.data(), {}, {}, gradient.size()};
  for (int k = 0; k < state_count(type); ++k) {
    assert(state[k].size() == weights.size() && next_state[k].size() == weights.size());
    p.state[k] = state[k].data();
    p.next_state[k] = next_state[k].data();
  }
  run(type, p, c);
}

float clip_factor(double clip_norm, double norm_squared) {
  if (clip_norm <= 0) return 1;
  return static_cast<float>(std::min(1.0, clip_norm / (std::sqrt(norm_squared) + 1e-6)));
}

}  // namespace dtrain::optim
