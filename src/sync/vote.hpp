#pragma once
/// Majority vote by sign: one bit a weight each way (Bernstein et al. 2018, signSGD with majority vote).
///
/// A worker sends the signs of its gradient, an owner adds them (small integers as floats: exact, in any order), and
/// everybody takes the step of the majority: w -= rate * (vote + decay * w), where a vote is the sign of the sum
/// (math/signs.hpp, which says what a tied one is).

#include <span>

namespace dtrain::sync {

/// `votes`: +1 or -1 each. `next` may be the memory of the weights or of the votes. Pure; any thread.
void step_vote(std::span<const float> votes, float rate, float decay, std::span<const float> weights,
               std::span<float> next);

}  // namespace dtrain::sync
