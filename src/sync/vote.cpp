/// sign_vote. gate and fold: those of bsp, a vote a rank whatever its rows.  update: the step of the majority.

#include "sync/vote.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>

#include "math/clones.hpp"

namespace dtrain::sync {
namespace {

DTRAIN_INLINE float sign_of(float value, float absent) { return value > 0 ? 1.0f : value < 0 ? -1.0f : absent; }

/// The sign that the first weight of a span has for want of one; the next has the other.
float first_absent(VotePlace place) {
  return (place.step + static_cast<std::uint64_t>(place.first)) % 2 == 0 ? 1.0f : -1.0f;
}

DTRAIN_CLONES void take_signs_floats(const float* values, float absent, float* signs, std::size_t count) {
#pragma GCC ivdep
  for (std::size_t k = 0; k < count; ++k) signs[k] = sign_of(values[k], (k & 1) == 0 ? absent : -absent);
}

DTRAIN_CLONES void step_by_sums(const float* sums, float absent, float rate, float decay, const float* weights,
                                float* next, std::size_t count) {
#pragma GCC ivdep
  for (std::size_t k = 0; k < count; ++k) {
    const float vote = sign_of(sums[k], (k & 1) == 0 ? absent : -absent);
    next[k] = weights[k] - rate * (vote + decay * weights[k]);
  }
}

DTRAIN_CLONES void step_by_signs(const float* votes, float rate, float decay, const float* weights, float* next,
                                 std::size_t count) {
#pragma GCC ivdep
  for (std::size_t k = 0; k < count; ++k) next[k] = weights[k] - rate * (votes[k] + decay * weights[k]);
}

DTRAIN_CLONES void add_floats(const float* gradient, const float* residual, float* sum, std::size_t count) {
#pragma GCC ivdep
  for (std::size_t k = 0; k < count; ++k) sum[k] = gradient[k] + residual[k];
}

/// Puts signs in the place of `values`, and into `residual` what `magnitude` times them leaves of those.
DTRAIN_CLONES void split_floats(const float* values, float absent, float magnitude, float* signs, float* residual,
                                std::size_t count) {
#pragma GCC ivdep
  for (std::size_t k = 0; k < count; ++k) {
    const float value = values[k], sign = sign_of(value, (k & 1) == 0 ? absent : -absent);
    residual[k] = value - magnitude * sign;
    signs[k] = sign;
  }
}

DTRAIN_CLONES void scale_floats(float factor, float* values, std::size_t count) {
#pragma GCC ivdep
  for (std::size_t k = 0; k < count; ++k) values[k] *= factor;
}

float mean_magnitude(std::span<const float> values) {
  double sum = 0;
  for (const float value : values) sum += std::abs(value);
  return values.empty() ? 0.0f : static_cast<float>(sum / static_cast<double>(values.size()));
}

/// Weights of which the signs are unpacked at a time: a multiple of 8.
constexpr std::size_t at_once = 1024;

}  // namespace

void signs_of(std::span<const float> values, VotePlace place, std::span<float> signs) {
  assert(values.size() == signs.size());
  take_signs_floats(values.data(), first_absent(place), signs.data(), values.size());
}

void sign_bits(std::span<const float> values, VotePlace place, std::span<std::byte> bits) {
  assert(bits.size() == sign_bytes(values.size()));
  const bool absent[] = {first_absent(place) > 0, first_absent(place) < 0};
  for (std::size_t byte = 0; byte < bits.size(); ++byte) {
    const std::size_t begin = 8 * byte, count = std::min<std::size_t>(8, values.size() - begin);
    unsigned packed = 0;
    for (std::size_t k = 0; k < count; ++k) {
      const float value = values[begin + k];
      packed |= static_cast<unsigned>(value > 0 || (!(value < 0) && absent[k % 2])) << k;
    }
    bits[byte] = static_cast<std::byte>(packed);
  }
}

bool are_sign_bits(std::span<const std::byte> bits, std::size_t weights) {
  if (bits.size() != sign_bytes(weights)) return false;
  return weights % 8 == 0 || std::to_integer<unsigned>(bits.back()) >> (weights % 8) == 0;
}

void signs_of(std::span<const std::byte> bits, std::span<float> signs) {
  assert(bits.size() == sign_bytes(signs.size()));
  for (std::size_t k = 0; k < signs.size(); ++k)
    signs[k] = static_cast<float>(2 * static_cast<int>(std::to_integer<unsigned>(bits[k / 8]) >> (k % 8) & 1) - 1);
}

void step_vote(std::span<const float> sums, VotePlace place, float rate, float decay, std::span<const float> weights,
               std::span<float> next) {
  assert(sums.size() == weights.size() && sums.size() == next.size());
  step_by_sums(sums.data(), first_absent(place), rate, decay, weights.data(), next.data(), sums.size());
}

void step_vote(std::span<const std::byte> bits, float rate, float decay, std::span<const float> weights,
               std::span<float> next) {
  assert(bits.size() == sign_bytes(weights.size()) && weights.size() == next.size());
  alignas(64) std::array<float, at_once> votes;
  for (std::size_t at = 0; at < weights.size(); at += at_once) {
    const std::size_t count = std::min(at_once, weights.size() - at);
    signs_of(bits.subspan(at / 8, sign_bytes(count)), std::span(votes).first(count));
    step_by_signs(votes.data(), rate, decay, weights.data() + at, next.data() + at, count);
  }
}

void VoteFeedback::follow(double rate) {
  if (rate == rate_) return;
  if (rate_ > 0 && rate > 0) scale_floats(static_cast<float>(rate_ / rate), residual_.data(), residual_.span().size());
  rate_ = rate;
}

void VoteFeedback::take_signs(std::span<const float> gradient, VotePlace place, double rate, std::span<float> signs) {
  assert(gradient.size() == signs.size());
  follow(rate);
  const std::span<float> residual = residual_.span().subspan(static_cast<std::size_t>(place.first), gradient.size());
  add_floats(gradient.data(), residual.data(), signs.data(), signs.size());
  split_floats(signs.data(), first_absent(place), mean_magnitude(signs), signs.data(), residual.data(), signs.size());
}

}  // namespace dtrain::sync
