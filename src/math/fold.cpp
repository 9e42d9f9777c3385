#include "math/fold.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstdint>

#include "math/clones.hpp"

namespace dtrain {
namespace {

// Wide enough for two registers of eight doubles; the number is part of the sum's value.
constexpr std::size_t lanes = 16;

template <class Real>
DTRAIN_INLINE void scale(Real factor, const Real* gradient, Real* out, std::size_t count) {
#pragma GCC ivdep
  for (std::size_t k = 0; k < count; ++k) out[k] = factor * gradient[k];
}

template <class Real>
DTRAIN_INLINE void add(Real factor, const Real* gradient, Real* out, std::size_t count) {
#pragma GCC ivdep
  for (std::size_t k = 0; k < count; ++k) out[k] = out[k] + factor * gradient[k];
}

DTRAIN_CLONES void scale_floats(float factor, const float* gradient, float* out, std::size_t count) {
  scale(factor, gradient, out, count);
}

DTRAIN_CLONES void add_floats(float factor, const float* gradient, float* out, std::size_t count) {
  add(factor, gradient, out, count);
}

DTRAIN_CLONES void add_squares(const float* values, std::size_t count, double* sums) {
  std::size_t k = 0;
  for (; k + lanes <= count; k += lanes)
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      const double value = values[k + lane];
      sums[lane] += value * value;
    }
  for (; k < count; ++k) sums[k % lanes] += static_cast<double>(values[k]) * static_cast<double>(values[k]);
}

DTRAIN_CLONES bool finite(const float* values, std::size_t count) {
  std::uint32_t bad = 0;
  for (std::size_t k = 0; k < count; ++k)
    bad |= (std::bit_cast<std::uint32_t>(values[k]) & 0x7f800000u) == 0x7f800000u ? 1u : 0u;
  return bad == 0;
}

}  // namespace

void fold_first(float factor, std::span<const float> gradient, std::span<float> out) {
  assert(gradient.size() == out.size());
  scale_floats(factor, gradient.data(), out.data(), out.size());
}

void fold_first(double factor, std::span<const double> gradient, std::span<double> out) {
  assert(gradient.size() == out.size());
  scale(factor, gradient.data(), out.data(), out.size());
}

void fold_next(float factor, std::span<const float> gradient, std::span<float> out) {
  assert(gradient.size() == out.size());
  add_floats(factor, gradient.data(), out.data(), out.size());
}

void fold_next(double factor, std::span<const double> gradient, std::span<double> out) {
  assert(gradient.size() == out.size());
  add(factor, gradient.data(), out.data(), out.size());
}

void fold(std::span<const Share> shares, std::span<float> out) {
  assert(!shares.empty());
  // By blocks, so that the running sum stays in the first-level cache whatever the number of shares.
  for (std::size_t begin = 0; begin < out.size(); begin += block_weights) {
    const auto count = std::min<std::size_t>(block_weights, out.size() - begin);
    scale_floats(shares[0].factor, shares[0].data + begin, out.data() + begin, count);
    for (const Share& share : shares.subspan(1))
      add_floats(share.factor, share.data + begin, out.data() + begin, count);
  }
}

double sum_of_squares(std::span<const float> block) {
  assert(block.size() <= block_weights);
  std::array<double, lanes> sums{};
  add_squares(block.data(), block.size(), sums.data());
  for (std::size_t half = lanes / 2; half > 0; half /= 2)
    for (std::size_t lane = 0; lane < half; ++lane) sums[lane] += sums[lane + half];
  return sums[0];
}

bool all_finite(std::span<const float> values) { return finite(values.data(), values.size()); }

}  // namespace dtrain
