#include "model/group.hpp"

#include <algorithm>

#include "math/fold.hpp"

namespace dtrain::model {

template <class Real>
void copy_rows(View<const Real> from, View<Real> to, Index first, Index count) {
  for (Index r = first; r < first + count; ++r) std::copy_n(from.row(r), from.cols, to.row(r));
}

template <class Real>
void sum_blocks(std::span<const View<const Real>> blocks, Index first, View<Real> to, const Part& part) {
  const auto count = static_cast<std::size_t>(to.cols);
  // By rows, so that the running sum stays in the first-level cache whatever the number of ranks.
  for (Index r = part.row; r < part.row + part.rows; ++r) {
    bool any = false;
    for (const View<const Real>& block : blocks) {
      if (block.cols == 0) continue;
      if (any)
        fold_next(Real{1}, std::span(block.row(r) + first, count), std::span(to.row(r), count));
      else
        std::copy_n(block.row(r) + first, count, to.row(r));
      any = true;
    }
  }
}

template <class Real>
void join_blocks(std::span<const View<const Real>> blocks, Index first, View<Real> to, const Part& part) {
  Index begin = -first;  // of the block, counted in columns of `to`
  for (const View<const Real>& block : blocks) {
    const Index from = std::max<Index>(begin, 0), end = std::min(begin + block.cols, to.cols);
    if (from < end)
      copy_rows(columns_of(block, from - begin, end - from), columns_of(to, from, end - from), part.row, part.rows);
    begin += block.cols;
  }
}

template void copy_rows(View<const float>, View<float>, Index, Index);
template void copy_rows(View<const double>, View<double>, Index, Index);
template void sum_blocks(std::span<const View<const float>>, Index, View<float>, const Part&);
template void sum_blocks(std::span<const View<const double>>, Index, View<double>, const Part&);
template void join_blocks(std::span<const View<const float>>, Index, View<float>, const Part&);
template void join_blocks(std::span<const View<const double>>, Index, View<double>, const Part&);

}  // namespace dtrain::model
