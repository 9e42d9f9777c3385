#pragma once
/// Rows of which most numbers are zero: their products with weights, and which weights those touch.
///
/// Sums run over the non-zeros of a row in ascending order, and over the rows of a batch in theirs, one product after
/// another: so they have the same bits however the work is split. Pure but for what a Touched keeps; any thread.

#include <cstdint>
#include <span>
#include <vector>

#include "math/matrix.hpp"

namespace dtrain {

/// Sparse rows of a batch (CSR): row k has values[i] at features indices[i] (ascending), i in [begins[k],
/// begins[k+1]). Kept from batch to batch, so that filling it allocates only while it grows.
struct SparseBatch {
  std::vector<std::uint32_t> begins, indices;
  std::vector<float> values;
};

/// The same to be multiplied: the row of weights that belongs to values[i] is row places[i] of what it is given.
struct SparseRows {
  std::span<const std::uint32_t> begins;
  std::span<const std::uint32_t> places;
  std::span<const float> values;
  Index count() const { return begins.empty() ? 0 : std::ssize(begins) - 1; }
};

/// Which features occur in a batch, and in which of its rows.
class Touched {
 public:
  /// Linear in the non-zeros. Allocates only while it grows.
  void find(const SparseBatch& batch);

  /// Ascending, each once.
  std::span<const std::uint32_t> features() const { return features_; }
  Index count() const { return std::ssize(features_); }
  /// Of each of the batch's non-zeros: the place of its feature in features().
  std::span<const std::uint32_t> slots() const { return slots_; }

 private:
  template <class Real>
  friend void multiply_transposed(const Touched& touched, Index first_row, Index rows, View<const Real> b, Index first,
                                  View<Real> c);
  std::vector<std::uint32_t> features_, slots_;
  std::vector<std::uint32_t> begins_;  ///< of each feature's non-zeros in rows_ and values_, and the end
  std::vector<std::uint32_t> rows_;    ///< of the batch: ascending for each feature
  std::vector<float> values_;
  std::vector<std::uint64_t> keys_, other_keys_;
  std::vector<std::uint32_t> row_of_;
};

/// c = a b: rows [first, first + c.rows) of a.
template <class Real>
void multiply(const SparseRows& a, Index first, View<const Real> b, View<Real> c);

/// c = a^T b, of a batch's rows [first_row, first_row + rows), which are the rows of b. Row k of c belongs to feature
/// features()[first + k]; it is zero where that occurs in none of these rows.
template <class Real>
void multiply_transposed(const Touched& touched, Index first_row, Index rows, View<const Real> b, Index first,
                         View<Real> c);

/// The part of a run of a matrix's elements, as they lie row by row, that some of its rows have.
struct RowsWithin {
  std::size_t first = 0, count = 0;  ///< of the rows given: those that have a part in it
  Index begin = 0, end = 0;          ///< where it lies if only the rows given are written, one behind the other
  Index floats() const { return end - begin; }
};

/// Of `rows` (ascending) of a matrix with `cols` columns: what lies in elements [begin, end).
RowsWithin rows_within(std::span<const std::uint32_t> rows, Index cols, Index begin, Index end);

}  // namespace dtrain
