#include "math/row_products.hpp"

#include <algorithm>

#if defined(__x86_64__)
#include <immintrin.h>
#define WIDE __attribute__((target("avx512f,fma")))
#endif

namespace dtrain {

#if defined(__x86_64__)

namespace {

constexpr Index lanes = 16;
// Rows of b that stay in the first-level cache while all rows of a pass over them.
constexpr Index depth_step = 256;
// Rows of a that stay in the second-level cache while all columns pass over them.
constexpr Index row_step = 128;

using Vector = __m512;

__mmask16 first_lanes(Index count) { return static_cast<__mmask16>((1u << std::clamp<Index>(count, 0, lanes)) - 1); }

/// rows x 32 of c, of which it has the first or all: c = a b, or c += a b where `more`.
template <int rows>
WIDE inline void plain_tile(View<const float> a, View<const float> b, View<float> c, bool more) {
  const __mmask16 left = first_lanes(c.cols), right = first_lanes(c.cols - lanes);
  Vector sums[rows][2];
  for (int r = 0; r < rows; ++r) {
    sums[r][0] = more ? _mm512_maskz_loadu_ps(left, c.row(r)) : _mm512_setzero_ps();
    sums[r][1] = more ? _mm512_maskz_loadu_ps(right, c.row(r) + lanes) : _mm512_setzero_ps();
  }
  for (Index k = 0; k < a.cols; ++k) {
    const Vector b0 = _mm512_maskz_loadu_ps(left, b.row(k)), b1 = _mm512_maskz_loadu_ps(right, b.row(k) + lanes);
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      const Vector factor = _mm512_set1_ps(a.row(r)[k]);
      sums[r][0] = _mm512_fmadd_ps(factor, b0, sums[r][0]);
      sums[r][1] = _mm512_fmadd_ps(factor, b1, sums[r][1]);
    }
  }
  for (int r = 0; r < rows; ++r) {
    _mm512_mask_storeu_ps(c.row(r), left, sums[r][0]);
    _mm512_mask_storeu_ps(c.row(r) + lanes, right, sums[r][1]);
  }
}

/// Four sums of sixteen lanes each. (The forms with a full mask are the plain ones to the processor; g++ 12 warns
/// falsely of uninitialised values inside the others.)
WIDE inline __m128 add_lanes(Vector a, Vector b, Vector c, Vector d) {
  constexpr __mmask16 all = 0xffff;
  const Vector ab = _mm512_add_ps(_mm512_maskz_unpacklo_ps(all, a, b), _mm512_maskz_unpackhi_ps(all, a, b));
  const Vector cd = _mm512_add_ps(_mm512_maskz_unpacklo_ps(all, c, d), _mm512_maskz_unpackhi_ps(all, c, d));
  const Vector four =
      _mm512_add_ps(_mm512_maskz_shuffle_ps(all, ab, cd, 0x44), _mm512_maskz_shuffle_ps(all, ab, cd, 0xee));
  const __m128 low = _mm_add_ps(_mm512_maskz_extractf32x4_ps(0xf, four, 0), _mm512_maskz_extractf32x4_ps(0xf, four, 1));
  const __m128 high =
      _mm_add_ps(_mm512_maskz_extractf32x4_ps(0xf, four, 2), _mm512_maskz_extractf32x4_ps(0xf, four, 3));
  return _mm_add_ps(low, high);
}

/// One step of sixteen depths of transposed_tile().
template <int rows>
WIDE inline void add_products(View<const float> a, const float* const from[4], Index k, __mmask16 valid,
                              Vector sums[rows][4]) {
  Vector weights[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) weights[i] = _mm512_maskz_loadu_ps(valid, from[i] + k);
#pragma GCC unroll 4
  for (int r = 0; r < rows; ++r) {
    const Vector factor = _mm512_maskz_loadu_ps(valid, a.row(r) + k);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) sums[r][i] = _mm512_fmadd_ps(factor, weights[i], sums[r][i]);
  }
}

/// rows x 4 of c = a b^T; c has 1 to 4 columns.
template <int rows>
WIDE inline void transposed_tile(View<const float> a, View<const float> b, View<float> c) {
  const float* from[4];
#pragma GCC unroll 4
  for (Index i = 0; i < 4; ++i) from[i] = b.row(std::min(i, c.cols - 1));
  Vector sums[rows][4];
#pragma GCC unroll 4
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) sums[r][i] = _mm512_setzero_ps();
  Index k = 0;
  for (; k + lanes <= a.cols; k += lanes) add_products<rows>(a, from, k, 0xffff, sums);
  if (k < a.cols) add_products<rows>(a, from, k, first_lanes(a.cols - k), sums);
  const auto stored = static_cast<__mmask16>((1u << c.cols) - 1);
#pragma GCC unroll 4
  for (int r = 0; r < rows; ++r) {
    const __m128 four = add_lanes(sums[r][0], sums[r][1], sums[r][2], sums[r][3]);
    _mm512_mask_storeu_ps(c.row(r), stored, _mm512_castps128_ps512(four));
  }
}

/// All rows of one panel of 32 columns.
WIDE void plain_panel(View<const float> a, View<const float> b, View<float> c, bool more) {
  Index r = 0;
  for (; r + 8 <= c.rows; r += 8) plain_tile<8>(a.below(r, 8), b, c.below(r, 8), more);
  for (; r + 4 <= c.rows; r += 4) plain_tile<4>(a.below(r, 4), b, c.below(r, 4), more);
  for (; r < c.rows; ++r) plain_tile<1>(a.below(r, 1), b, c.below(r, 1), more);
}

/// All rows of four columns.
WIDE void transposed_panel(View<const float> a, View<const float> b, View<float> c) {
  Index r = 0;
  for (; r + 4 <= c.rows; r += 4) transposed_tile<4>(a.below(r, 4), b, c.below(r, 4));
  for (; r < c.rows; ++r) transposed_tile<1>(a.below(r, 1), b, c.below(r, 1));
}

template <class Real>
View<Real> columns(View<Real> m, Index first, Index count) {
  return {m.data + first, m.rows, std::min(count, m.cols - first), m.stride};
}

}  // namespace

bool row_products_supported() { return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("fma"); }

void multiply_rows(View<const float> a, View<const float> b, View<float> c) {
  for (Index r = 0; r < c.rows; r += row_step) {
    const Index rows = std::min(row_step, c.rows - r);
    for (Index col = 0; col < c.cols; col += 2 * lanes)
      for (Index k = 0; k < b.rows; k += depth_step) {
        const Index depths = std::min(depth_step, b.rows - k);
        plain_panel(columns(a.below(r, rows), k, depths), columns(b.below(k, depths), col, 2 * lanes),
                    columns(c.below(r, rows), col, 2 * lanes), k > 0);
      }
  }
}

void multiply_rows_transposed(View<const float> a, View<const float> b, View<float> c) {
  for (Index r = 0; r < c.rows; r += row_step) {
    const Index rows = std::min(row_step, c.rows - r);
    for (Index col = 0; col < c.cols; col += 4)
      transposed_panel(a.below(r, rows), b.below(col, std::min<Index>(4, c.cols - col)),
                       columns(c.below(r, rows), col, 4));
  }
}

#else

bool row_products_supported() { return false; }
void multiply_rows(View<const float>, View<const float>, View<float>) {}
void multiply_rows_transposed(View<const float>, View<const float>, View<float>) {}

#endif

}  // namespace dtrain
