#include "optim/optimizer.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "math/clones.hpp"

namespace dtrain::optim {
namespace {

using Type = job::OptimizerType;

/// One step's coefficients, rounded to float once.
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

struct Pass {
  const float* gradient;
  const float* weights;
  float* next_weights;
  const float* state[max_state];
  float* next_state[max_state];
  std::size_t count;
};

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

/// One element of one optimizer; `g` is already factored and, but for adamw, decayed. (Vectorised only where a square
/// root need not set errno: -fno-math-errno.)
template <Type type>
DTRAIN_INLINE void element(const Pass& p, const Coefficients& c, std::size_t k, float w, float g) {
  if constexpr (type == Type::sgd) {
    p.next_weights[k] = w - c.rate * g;
  } else if constexpr (type == Type::momentum || type == Type::nesterov) {
    const float velocity = c.keep1 * p.state[0][k] + g;
    p.next_state[0][k] = velocity;
    p.next_weights[k] = w - c.rate * (type == Type::momentum ? velocity : g + c.keep1 * velocity);
  } else if constexpr (type == Type::adagrad || type == Type::rmsprop) {
    const float before = p.state[0][k];
    const float squares = type == Type::adagrad ? before + g * g : c.keep1 * before + c.new1 * g * g;
    p.next_state[0][k] = squares;
    p.next_weights[k] = w - c.rate * (g / (std::sqrt(squares) + c.epsilon));
  } else {
    const float mean = c.keep1 * p.state[0][k] + c.new1 * g;
    const float squares = c.keep2 * p.state[1][k] + c.new2 * g * g;
    p.next_state[0][k] = mean;
    p.next_state[1][k] = squares;
    const float root = std::sqrt(squares) / c.debias + c.epsilon;
    p.next_weights[k] = (type == Type::adamw ? w * c.shrink : w) - c.rate_one * (mean / root);
  }
}

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
  switch (type) {
    case Type::sgd: return pass<Type::sgd>(p, c);
    case Type::momentum: return pass<Type::momentum>(p, c);
    case Type::nesterov: return pass<Type::nesterov>(p, c);
    case Type::adagrad: return pass<Type::adagrad>(p, c);
    case Type::rmsprop: return pass<Type::rmsprop>(p, c);
    case Type::adam: return pass<Type::adam>(p, c);
    case Type::adamw: return pass<Type::adamw>(p, c);
  }
}

}  // namespace

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
  assert(gradient.size() == weights.size() && weights.size() == next_weights.size());
  Pass p{gradient.data(), weights.data(), next_weights.data(), {}, {}, gradient.size()};
  for (int k = 0; k < state_count(optimizer.type); ++k) {
    assert(state[k].size() == weights.size() && next_state[k].size() == weights.size());
    p.state[k] = state[k].data();
    p.next_state[k] = next_state[k].data();
  }
  run(optimizer.type, p, coefficients(optimizer, input, decay));
}

float clip_factor(double clip_norm, double norm_squared) {
  if (clip_norm <= 0) return 1;
  return static_cast<float>(std::min(1.0, clip_norm / (std::sqrt(norm_squared) + 1e-6)));
}

}  // namespace dtrain::optim
