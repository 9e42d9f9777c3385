#pragma once
/// What the ranks of a tensor group each have of a block becomes the block, or some of its columns. The room's own.
///
/// Sums run over the ranks in order, so the result has the same bits at all of them.

#include <cassert>
#include <span>

#include "math/gemm.hpp"
#include "math/matrix.hpp"
#include "math/teams.hpp"
#include "model/neighbours.hpp"
#include "model/shape.hpp"

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

/// Calls work(part) for parts of [rows, columns] that are made of whole rows, at the same time where that pays.
template <class Work>
void by_rows(Index rows, Index columns, int threads, Work&& work) {
  constexpr double grain = 65536;  // elements of such a pass that pay for one more team
  const int teams = useful_teams(static_cast<double>(rows * columns), grain, threads);
  in_teams(teams, [&](int team) {
    const Index first = cut(rows, teams, team, 1);
    work(Part{first, cut(rows, teams, team + 1, 1) - first, 0, columns});
  });
}

/// One rank's side of a group. One thread drives it, that of its network.
template <class Real>
class Group {
 public:
  Group(const Shape& shape, int threads, Neighbours<Real>* neighbours)
      : rank_(static_cast<std::size_t>(shape.cell.rank)), threads_(threads), neighbours_(neighbours) {
    if (shape.partial_columns > 0) partial_ = Block64<Real>(shape.slot_rows * shape.partial_columns);
  }

  /// Room for what this rank has where the ranks have so many columns each.
  View<Real> partial(Index rows, std::span<const Index> columns) { return partial(rows, columns[rank_]); }
  View<Real> partial(Index rows, Index columns) { return {partial_.data(), rows, columns}; }

  /// Exchanges blocks of so many columns and puts those columns from `first` on that `to` has into it; calls then(part)
  /// for each part that is there. False if that was abandoned.
  template <class Then>
  bool join(Join how, View<const Real> own, std::span<const Index> columns, Index first, View<Real> to, Then&& then) {
    assert(neighbours_ != nullptr && own.cols == columns[rank_] && how != Join::none);
    const auto blocks = neighbours_->exchange(own, columns);
    if (!blocks) return false;
    by_rows(to.rows, to.cols, threads_, [&](const Part& part) {
      how == Join::sum ? sum_blocks(*blocks, first, to, part) : join_blocks(*blocks, first, to, part);
      then(part);
    });
    return true;
  }

  Index size() const { return partial_.size(); }

 private:
  std::size_t rank_;
  int threads_;
  Neighbours<Real>* neighbours_;
  Block64<Real> partial_;
};

}  // namespace dtrain::model
