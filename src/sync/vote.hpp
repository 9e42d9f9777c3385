#pragma once
/// Majority vote by sign: one bit a weight each way (Bernstein et al. 2018, signSGD with majority vote).
///
/// A worker sends the signs of its gradient, an owner counts them (small integers as floats: exact, in any order) and
/// everybody takes the step of the majority: w -= rate * (vote + decay * w). Where there is no sign, a gradient of zero
/// or a tied vote, it is (-1)^(step + index), so that a weight without a gradient moves to and fro and does not drift.
///
/// Bits: that of the k-th weight is bit k % 8 of byte k / 8, 1 for +1; the bits behind the last weight are 0.
/// Flat passes over equally long spans; an output may be the same memory as an input. Pure; any thread.

#include <cstddef>
#include <cstdint>
#include <span>

#include "math/matrix.hpp"

namespace dtrain::sync {

/// Where a span lies, for those signs that values do not have.
struct VotePlace {
  std::uint64_t step = 0;
  Index first = 0;  ///< index in the flat vector of the span's first weight
};

inline std::size_t sign_bytes(std::size_t weights) { return (weights + 7) / 8; }

/// +1 or -1 for each value. Not-a-number has no sign.
void signs_of(std::span<const float> values, VotePlace place, std::span<float> signs);

/// The same as bits: of a gradient, or of a sum of votes. `bits` has sign_bytes(values.size()).
void sign_bits(std::span<const float> values, VotePlace place, std::span<std::byte> bits);

/// Whether bytes from elsewhere can be the signs of so many weights.
bool are_sign_bits(std::span<const std::byte> bits, std::size_t weights);

/// +1 or -1 for each bit.
void signs_of(std::span<const std::byte> bits, std::span<float> signs);

/// Takes the majority's step, from the sum of the votes or from the bits of it: with the same bits.
void step_vote(std::span<const float> sums, VotePlace place, float rate, float decay, std::span<const float> weights,
               std::span<float> next);
void step_vote(std::span<const std::byte> bits, float rate, float decay, std::span<const float> weights,
               std::span<float> next);

/// What signs leave out is not lost: it is added to the next gradient (Karimireddy et al. 2019, EF-signSGD).
///
/// The signs of a range stand for the mean magnitude of what they are the signs of. So at any time, for a constant
/// rate, the gradients that came in are the sum of sign times magnitude of what went out, and the residual.
class VoteFeedback {
 public:
  explicit VoteFeedback(Index weights) : residual_(weights) {}

  /// The signs of gradient plus residual, +1 or -1, for the range that begins at place.first; and what they leave out
  /// becomes its residual. `rate`: the learning rate of this step, the same for all ranges of a step; the residual is
  /// carried over in steps, not in gradients. `signs` may be the gradient's memory.
  void take_signs(std::span<const float> gradient, VotePlace place, double rate, std::span<float> signs);

  /// State, to be saved with rate().
  Arena& residual() { return residual_; }
  /// Of the last step; 0 before the first.
  double rate() const { return rate_; }
  void set_rate(double rate) { rate_ = rate; }

 private:
  void follow(double rate);
  Arena residual_;
  double rate_ = 0;
};

}  // namespace dtrain::sync
