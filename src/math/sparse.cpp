#include "math/sparse.hpp"

#include <algorithm>
#include <array>
#include <cassert>

#include "math/clones.hpp"

namespace dtrain {
namespace {

constexpr int digit_bits = 11;
constexpr std::size_t digits = std::size_t{1} << digit_bits;
// Rows of weights lie anywhere in memory: that many are asked for ahead of need.
constexpr std::size_t ahead = 8;

struct Terms {
  const std::uint32_t* places;
  const float* values;
  std::size_t count;
  std::uint32_t from;  ///< the place of the first row that is there
};

/// out = sum over the terms of value * row of `base`.
template <class Real>
DTRAIN_INLINE void sum(const Terms& terms, const Real* base, std::size_t cols, Real* out) {
  for (std::size_t c = 0; c < cols; ++c) out[c] = 0;
  for (std::size_t k = 0; k < terms.count; ++k) {
    if (k + ahead < terms.count) __builtin_prefetch(base + (terms.places[k + ahead] - terms.from) * cols);
    const Real* row = base + (terms.places[k] - terms.from) * cols;
    const Real value = static_cast<Real>(terms.values[k]);
#pragma GCC ivdep
    for (std::size_t c = 0; c < cols; ++c) out[c] += value * row[c];
  }
}

DTRAIN_CLONES void sum_terms(const Terms& terms, const float* base, std::size_t cols, float* out) {
  sum(terms, base, cols, out);
}

DTRAIN_CLONES void sum_terms(const Terms& terms, const double* base, std::size_t cols, double* out) {
  sum(terms, base, cols, out);
}

/// Sorts by one digit of the upper half; equal ones stay in order.
void sort_by_digit(std::span<const std::uint64_t> from, int shift, std::span<std::uint64_t> to) {
  std::array<std::size_t, digits + 1> at{};
  const auto digit = [shift](std::uint64_t key) { return static_cast<std::size_t>(key >> shift) & (digits - 1); };
  for (const std::uint64_t key : from) ++at[digit(key) + 1];
  for (std::size_t d = 0; d < digits; ++d) at[d + 1] += at[d];
  for (const std::uint64_t key : from) to[at[digit(key)]++] = key;
}

}  // namespace

void Touched::find(const SparseBatch& batch) {
  const std::size_t count = batch.indices.size();
  keys_.resize(count), other_keys_.resize(count), row_of_.resize(count);
  rows_.resize(count), values_.resize(count), slots_.resize(count);
  std::uint32_t highest = 0;
  for (std::size_t k = 0; k < count; ++k) {
    keys_[k] = std::uint64_t{batch.indices[k]} << 32 | k;
    highest = std::max(highest, batch.indices[k]);
  }
  for (std::uint32_t row = 0; row + 1 < batch.begins.size(); ++row)
    std::fill(row_of_.begin() + batch.begins[row], row_of_.begin() + batch.begins[row + 1], row);
  for (int shift = 32; shift < 64 && (std::uint64_t{highest} << 32) >> shift > 0; shift += digit_bits) {
    sort_by_digit(keys_, shift, other_keys_);
    std::swap(keys_, other_keys_);
  }
  features_.clear(), begins_.clear();
  for (std::size_t k = 0; k < count; ++k) {
    const auto feature = static_cast<std::uint32_t>(keys_[k] >> 32), at = static_cast<std::uint32_t>(keys_[k]);
    if (features_.empty() || features_.back() != feature) {
      features_.push_back(feature);
      begins_.push_back(static_cast<std::uint32_t>(k));
    }
    slots_[at] = static_cast<std::uint32_t>(features_.size() - 1);
    rows_[k] = row_of_[at];
    values_[k] = batch.values[at];
  }
  begins_.push_back(static_cast<std::uint32_t>(count));
}

template <class Real>
void multiply(const SparseRows& a, Index first, View<const Real> b, View<Real> c) {
  assert(first + c.rows <= a.count() && b.stride == c.cols);
  for (Index r = 0; r < c.rows; ++r) {
    const auto row = static_cast<std::size_t>(first + r);
    const std::uint32_t begin = a.begins[row], end = a.begins[row + 1];
    sum_terms({a.places.data() + begin, a.values.data() + begin, end - begin, 0}, b.data,
              static_cast<std::size_t>(c.cols), c.row(r));
  }
}

template <class Real>
void multiply_transposed(const Touched& touched, Index first_row, Index rows, View<const Real> b, Index first,
                         View<Real> c) {
  assert(b.stride == c.cols);
  for (Index k = 0; k < c.rows; ++k) {
    const auto slot = static_cast<std::size_t>(first + k);
    const auto all = touched.rows_.begin();
    const auto begin = std::lower_bound(all + touched.begins_[slot], all + touched.begins_[slot + 1], first_row);
    const auto end = std::lower_bound(begin, all + touched.begins_[slot + 1], first_row + rows);
    const auto at = static_cast<std::size_t>(begin - all);
    sum_terms({touched.rows_.data() + at, touched.values_.data() + at, static_cast<std::size_t>(end - begin),
               static_cast<std::uint32_t>(first_row)},
              b.data, static_cast<std::size_t>(c.cols), c.row(k));
  }
}

RowsWithin rows_within(std::span<const std::uint32_t> rows, Index cols, Index begin, Index end) {
  if (begin >= end) return {};
  const auto first = std::lower_bound(rows.begin(), rows.end(), begin / cols);
  const auto last = std::lower_bound(first, rows.end(), (end + cols - 1) / cols);
  if (first == last) return {};
  const Index before = first - rows.begin(), behind = last - rows.begin();
  const Index cut_before = std::max<Index>(0, begin - Index{*first} * cols);
  const Index cut_behind = std::max<Index>(0, (Index{*(last - 1)} + 1) * cols - end);
  return {static_cast<std::size_t>(before), static_cast<std::size_t>(last - first), before * cols + cut_before,
          behind * cols - cut_behind};
}

template void multiply(const SparseRows&, Index, View<const float>, View<float>);
template void multiply(const SparseRows&, Index, View<const double>, View<double>);
template void multiply_transposed(const Touched&, Index, Index, View<const float>, Index, View<float>);
template void multiply_transposed(const Touched&, Index, Index, View<const double>, Index, View<double>);

}  // namespace dtrain
