#pragma once
/// The parts that a batch is computed in, and how their gradients become that of the batch. The room's own.

#include <span>
#include <vector>

#include "model/network.hpp"
#include "model/passes.hpp"
#include "model/shape.hpp"

namespace dtrain::model {

/// One of `parts` nearly equal ones, of which the first are longer.
template <class Real>
struct MicroBatch {
  Batch<Real> batch;  ///< its rows
  int index = 0;
  int parts = 1;
  Index all_rows = 0;

  Index rows() const { return batch.features.rows; }
  bool first() const { return index == 0; }
  bool last() const { return index + 1 == parts; }
  Real factor() const { return static_cast<Real>(static_cast<double>(rows()) / static_cast<double>(all_rows)); }
};

template <class Real>
MicroBatch<Real> micro_batch(const Batch<Real>& batch, int index, int parts);

/// The mean gradient over a batch: those of its micro-batches, folded in order by math/fold.hpp. One thread drives it;
/// it uses `threads` inside.
template <class Real>
class GradientFold {
 public:
  using Span = std::span<Real>;

  GradientFold(const Shape& shape, int threads) : shape_(shape), threads_(threads) {}

  /// Has the gradient of layer l computed from its delta, and folds it into that of the batch.
  void add(int l, Passes<Real>& passes, const MicroBatch<Real>& micro, Span gradient);

  /// Numbers that it holds or, if there will be more than one micro-batch, will hold.
  Index numbers() const { return shape_.later_parts ? shape_.layout.total : later_.size(); }

 private:
  Span later();
  void add_sparse(Passes<Real>& passes, const MicroBatch<Real>& micro, Span own, Span gradient);
  void fill(const SparseInput<Real>& input, Span gradient) const;
  void fold(Range range, const MicroBatch<Real>& micro, std::span<const Real> from, Span to) const;

  const Shape& shape_;
  int threads_;
  Block64<Real> later_;           ///< gradient of a later micro-batch; made when the first of them comes
  std::vector<Real> later_rows_;  ///< the same of touched rows of the first weights
};

}  // namespace dtrain::model
