#include "sync/update.hpp"

#include <cassert>
#include <cmath>
#include <stdexcept>

#include "math/clones.hpp"

namespace dtrain::sync {
namespace {

DTRAIN_CLONES void pull_centre_floats(float alpha, const float* pushed, const float* centre, float* next,
                                      std::size_t count) {
#pragma GCC ivdep
  for (std::size_t k = 0; k < count; ++k) next[k] = centre[k] + alpha * (pushed[k] - centre[k]);
}

DTRAIN_CLONES void pull_worker_floats(float alpha, const float* pushed, const float* centre, float* weights,
                                      std::size_t count) {
#pragma GCC ivdep
  for (std::size_t k = 0; k < count; ++k) weights[k] = weights[k] - alpha * (pushed[k] - centre[k]);
}

struct BlockPass {
  const float *average, *start, *change, *model;
  float *next_start, *next_change, *next_model;
  std::size_t count;
};

/// `ahead`: the share of the change that the next block starts ahead of the model.
DTRAIN_CLONES void step_block_floats(float momentum, float rate, float ahead, const BlockPass& given) {
  const BlockPass p = given;
#pragma GCC ivdep
  for (std::size_t k = 0; k < p.count; ++k) {
    const float change = momentum * p.change[k] + rate * (p.average[k] - p.start[k]);
    const float model = p.model[k] + change;
    p.next_change[k] = change;
    p.next_model[k] = model;
    p.next_start[k] = model + ahead * change;
  }
}

DTRAIN_CLONES void compensate_floats(float lambda, const float* gradient, const float* weights, const float* pulled,
                                     float* out, std::size_t count) {
#pragma GCC ivdep
  for (std::size_t k = 0; k < count; ++k) {
    const float g = gradient[k];
    out[k] = g + lambda * g * g * (weights[k] - pulled[k]);
  }
}

struct SquaresPass {
  const float *gradient, *weights, *pulled, *squares;
  float *next_squares, *out;
  std::size_t count;
};

DTRAIN_CLONES void compensate_by_squares_floats(float lambda, const SquaresPass& given) {
  const SquaresPass p = given;
#pragma GCC ivdep
  for (std::size_t k = 0; k < p.count; ++k) {
    const float g = p.gradient[k];
    const float squares = 0.95f * p.squares[k] + 0.05f * g * g;
    p.next_squares[k] = squares;
    p.out[k] = g + lambda / std::sqrt(squares + 1e-7f) * g * g * (p.weights[k] - p.pulled[k]);
  }
}

}  // namespace

Update update_of(const job::Sync& sync) {
  using Name = job::PolicyName;
  switch (sync.policy) {
    case Name::bsp:
    case Name::asp:
    case Name::ssp:
    case Name::quorum:
    case Name::subset: return OptimizerStep{};
    case Name::sign_vote: return Vote{};
    case Name::local:
    case Name::gossip: return Average{};
    case Name::easgd: return Elastic{static_cast<float>(sync.alpha.value())};
    case Name::bmuf:
      return Block{static_cast<float>(sync.block_momentum.value()), static_cast<float>(sync.block_rate), sync.nesterov};
    case Name::adaptive:
      if (sync.adapt == job::Adapts::period) return Average{};
      return OptimizerStep{};
  }
  throw std::logic_error("a policy without an update");
}

int extra_arenas(const job::Sync& sync) {
  if (sync.policy == job::PolicyName::bmuf) return 2;
  return sync.compensation == job::Compensation::delay && sync.adaptive_lambda ? 1 : 0;
}

void pull_centre(const Elastic& rule, std::span<const float> pushed, std::span<const float> centre,
                 std::span<float> next_centre) {
  assert(pushed.size() == centre.size() && pushed.size() == next_centre.size());
  pull_centre_floats(rule.alpha, pushed.data(), centre.data(), next_centre.data(), pushed.size());
}

void pull_worker(const Elastic& rule, std::span<const float> pushed, std::span<const float> centre,
                 std::span<float> weights) {
  assert(pushed.size() == centre.size() && pushed.size() == weights.size());
  pull_worker_floats(rule.alpha, pushed.data(), centre.data(), weights.data(), pushed.size());
}

void step_block(const Block& rule, std::span<const float> average, std::span<const float> start,
                std::span<const float> change, std::span<const float> model, std::span<float> next_start,
                std::span<float> next_change, std::span<float> next_model) {
  assert(average.size() == start.size() && average.size() == change.size() && average.size() == model.size());
  assert(average.size() == next_start.size() && average.size() == next_change.size());
  assert(average.size() == next_model.size());
  step_block_floats(rule.momentum, rule.rate, rule.nesterov ? rule.momentum : 0,
                    {average.data(), start.data(), change.data(), model.data(), next_start.data(), next_change.data(),
                     next_model.data(), average.size()});
}

void compensate_delay(float lambda, std::span<const float> gradient, std::span<const float> weights,
                      std::span<const float> pulled, std::span<float> out) {
  assert(gradient.size() == weights.size() && gradient.size() == pulled.size() && gradient.size() == out.size());
  compensate_floats(lambda, gradient.data(), weights.data(), pulled.data(), out.data(), out.size());
}

void compensate_delay(float lambda, std::span<const float> gradient, std::span<const float> weights,
                      std::span<const float> pulled, std::span<const float> mean_squares, std::span<float> next_squares,
                      std::span<float> out) {
  assert(gradient.size() == weights.size() && gradient.size() == pulled.size() && gradient.size() == out.size());
  assert(gradient.size() == mean_squares.size() && gradient.size() == next_squares.size());
  compensate_by_squares_floats(lambda, {gradient.data(), weights.data(), pulled.data(), mean_squares.data(),
                                        next_squares.data(), out.data(), out.size()});
}

}  // namespace dtrain::sync
