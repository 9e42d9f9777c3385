#pragma once
/// The one fold: gbar = ((f_0 g_0) + f_1 g_1) + ..., in the order given (ALGORITHMS.md, section 0).
///
/// Product and sum are rounded separately, so the result has the same bits whether it is computed in one pass, in
/// pieces, by a server or by the one-process reference. Pure; any thread.

#include <span>

#include "base/random.hpp"  // Index

namespace dtrain {

/// Slice borders fall on multiples of this many weights, and norms are summed by such blocks.
inline constexpr Index block_weights = 4096;

/// One contribution. `data` need not be aligned beyond that of float.
struct Share {
  const float* data;
  float factor;  ///< float(b_i / sum b); 1 for a single contribution
};

/// out[k] = fold of shares[.].data[k] over k in [0, out.size()). At least one share. out may alias shares[0].data.
void fold(std::span<const Share> shares, std::span<float> out);

/// The same fold where contributions come one after another: out = factor * gradient for the first of them, and
/// out = out + factor * gradient for each later one. `out` may alias `gradient`.
void fold_first(float factor, std::span<const float> gradient, std::span<float> out);
void fold_first(double factor, std::span<const double> gradient, std::span<double> out);
void fold_next(float factor, std::span<const float> gradient, std::span<float> out);
void fold_next(double factor, std::span<const double> gradient, std::span<double> out);

/// Sum of squares in double over one block of at most block_weights, in a fixed order.
double sum_of_squares(std::span<const float> block);

/// True if every element is finite.
bool all_finite(std::span<const float> values);

}  // namespace dtrain
