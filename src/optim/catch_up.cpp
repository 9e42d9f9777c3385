#include "optim/catch_up.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "optim/element.hpp"

namespace dtrain::optim {
namespace {

using Type = job::OptimizerType;

// What is this small a share of a weight is less than half of the distance to its neighbours.
constexpr float lost_share = 0x1p-27f;
// Steps between two looks whether anything still changes.
constexpr std::size_t look_every = 16;

bool moves_weights(Type type) {
  return type == Type::momentum || type == Type::nesterov || type == Type::adam || type == Type::adamw;
}

template <Type type>
DTRAIN_INLINE void replay_step(const Pass& p, const Coefficients& c) {
  // A gradient of zero takes part in the sums, so that negative zeros become what they would.
  if (c.decay == 0 || type == Type::adamw) {
#pragma GCC ivdep
    for (std::size_t k = 0; k < p.count; ++k) element<type>(p, c, k, p.weights[k], 0.0f);
  } else {
#pragma GCC ivdep
    for (std::size_t k = 0; k < p.count; ++k) element<type>(p, c, k, p.weights[k], 0.0f + c.decay * p.weights[k]);
  }
}

/// Whether no step to come changes a weight, if none multiplies the moments by more than `reach`.
template <Type type>
DTRAIN_INLINE bool settled(const Pass& p, float reach) {
  bool all = true;
  for (std::size_t k = 0; k < p.count; ++k) {
    const float push = reach * std::fabs(p.state[0][k]);
    const bool adam = type == Type::adam || type == Type::adamw;
    const float scale = adam ? std::sqrt(p.state[max_state - 1][k]) : 1.0f;
    all = all && (push <= lost_share * std::fabs(p.weights[k]) * scale || p.state[0][k] == 0);
  }
  return all;
}

/// Returns how many steps were done before nothing more can happen to the weights.
DTRAIN_CLONES std::size_t replay(Type type, const Pass& p, const Coefficients* steps, std::size_t count, float reach) {
  std::size_t done = 0;
  with_type(type, [&]<Type known>() DTRAIN_INLINE_LAMBDA {
    for (; done < count; ++done) {
      if constexpr (known == Type::momentum || known == Type::nesterov || known == Type::adam || known == Type::adamw)
        if (reach > 0 && done % look_every == 0 && settled<known>(p, reach)) return;
      replay_step<known>(p, steps[done]);
    }
  });
  return done;
}

/// The moment alone goes on, until it does not change any more.
DTRAIN_CLONES void wear_off(float keep, std::size_t steps, float* moment, std::size_t count) {
  for (std::size_t done = 0; done < steps; ++done) {
    bool changes = done % look_every != 0;
    for (std::size_t k = 0; k < count; ++k) {
      const float next = keep * moment[k] + 0.0f;
      changes = changes || next != moment[k];
      moment[k] = next;
    }
    if (!changes) return;
  }
}

}  // namespace

CatchUp::CatchUp(const job::Optimizer& optimizer, bool decay)
    : optimizer_(optimizer),
      decay_(decay && optimizer.weight_decay > 0),
      needed_(decay_ || moves_weights(optimizer.type) || optimizer.type == Type::rmsprop) {
  const bool adam = optimizer.type == Type::adam || optimizer.type == Type::adamw;
  settles_ = !decay_ && moves_weights(optimizer.type) && (!adam || optimizer.beta1 < 0.99 * std::sqrt(optimizer.beta2));
}

void CatchUp::note(const StepInput& input) {
  if (!needed_) return;
  const Coefficients c = coefficients(optimizer_, input, decay_);
  const bool adam = optimizer_.type == Type::adam || optimizer_.type == Type::adamw;
  reach_ = std::max(reach_, adam ? c.rate_one * c.debias : c.rate);
  steps_.push_back(c);
}

void CatchUp::forget() {
  steps_.clear();
  reach_ = 0;
}

void CatchUp::apply(std::size_t done, std::span<float> weights, const std::span<float>* state) const {
  assert(done <= steps_.size());
  const int moments = state_count(optimizer_.type);
  const auto all_zero = [](std::span<const float> values) {
    return std::all_of(values.begin(), values.end(), [](float v) { return v == 0; });
  };
  if (!needed_ || done == steps_.size()) return;
  if (!decay_ && std::all_of(state, state + moments, all_zero)) return;
  Pass p{nullptr, weights.data(), weights.data(), {}, {}, weights.size()};
  for (int k = 0; k < moments; ++k) p.state[k] = p.next_state[k] = state[k].data();
  const std::size_t count = steps_.size() - done;
  std::size_t replayed = 0;
  if (decay_ || moves_weights(optimizer_.type))
    replayed = replay(optimizer_.type, p, steps_.data() + done, count, settles_ ? reach_ : 0);
  const Coefficients& c = steps_.back();
  for (int k = 0; k < moments && replayed < count; ++k)
    wear_off(k == 0 ? c.keep1 : c.keep2, count - replayed, state[k].data(), weights.size());
}

}  // namespace dtrain::optim
