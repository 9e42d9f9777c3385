#pragma once
/// What the ranks of a tensor group each have of a block becomes the block. The room's own.
///
/// Sums run over the ranks in order, so the result has the same bits at all of them. Pure; any thread.

#include <span>

#include "math/gemm.hpp"
#include "math/matrix.hpp"

namespace dtrain::model {

/// Columns [first, first + count) of a block.
template <class Real>
View<Real> columns_of(View<Real> block, Index first, Index count) {
  return {block.data + first, block.rows, count, block.stride};
}

/// Copies rows [first, first + count) of `from` to `to`, which has the same columns.
template <class Real>
void copy_rows(View<const Real> from, View<Real> to, Index first, Index count);

/// Rows of `part` of the sum of the blocks that have columns: to = its columns from `first` on, as many as `to` has.
template <class Real>
void sum_blocks(std::span<const View<const Real>> blocks, Index first, View<Real> to, const Part& part);

/// The same of the blocks side by side.
template <class Real>
void join_blocks(std::span<const View<const Real>> blocks, Index first, View<Real> to, const Part& part);

}  // namespace dtrain::model
