#pragma once
/// What one step does to one weight, by every optimizer's rule. The room's own.

#include <cmath>
#include <cstddef>

#include "math/clones.hpp"
#include "optim/optimizer.hpp"

namespace dtrain::optim {

struct Pass {
  const float* gradient;
  const float* weights;
  float* next_weights;
  const float* state[max_state];
  float* next_state[max_state];
  std::size_t count;
};

/// Of element k, whose gradient `g` is already factored and, but for adamw, decayed. (Vectorised only where a square
/// root need not set errno: -fno-math-errno.)
template <job::OptimizerType type>
DTRAIN_INLINE void element(const Pass& p, const Coefficients& c, std::size_t k, float w, float g) {
  using Type = job::OptimizerType;
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

/// Calls visit.operator()<type>() with the type as a constant.
template <class Visit>
DTRAIN_INLINE void with_type(job::OptimizerType type, Visit&& visit) {
  using Type = job::OptimizerType;
  switch (type) {
    case Type::sgd: return visit.template operator()<Type::sgd>();
    case Type::momentum: return visit.template operator()<Type::momentum>();
    case Type::nesterov: return visit.template operator()<Type::nesterov>();
    case Type::adagrad: return visit.template operator()<Type::adagrad>();
    case Type::rmsprop: return visit.template operator()<Type::rmsprop>();
    case Type::adam: return visit.template operator()<Type::adam>();
    case Type::adamw: return visit.template operator()<Type::adamw>();
  }
}

}  // namespace dtrain::optim
