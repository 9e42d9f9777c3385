/// sign_vote. gate and fold: those of bsp, a vote a rank whatever its rows.  update: the step of the majority.

#include "sync/vote.hpp"

#include <cassert>

#include "math/clones.hpp"

namespace dtrain::sync {
namespace {

DTRAIN_CLONES void step_floats(const float* votes, float rate, float decay, const float* weights, float* next,
                               std::size_t count) {
#pragma GCC ivdep
  for (std::size_t k = 0; k < count; ++k) next[k] = weights[k] - rate * (votes[k] + decay * weights[k]);
}

}  // namespace

void step_vote(std::span<const float> votes, float rate, float decay, std::span<const float> weights,
               std::span<float> next) {
  assert(votes.size() == weights.size() && votes.size() == next.size());
  step_floats(votes.data(), rate, decay, weights.data(), next.data(), votes.size());
}

}  // namespace dtrain::sync
