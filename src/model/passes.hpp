#pragma once
/// The passes of one micro-batch through the layers of a cell: forward, loss, and backward. The room's own.
///
/// What returns false or nothing was abandoned while it waited for another rank of the tensor group; only a cell of
/// such a group ever does. One thread drives it; it uses `threads` inside. No allocation after construction, but for
/// sparse features.

#include <optional>
#include <span>
#include <vector>

#include "model/elementwise.hpp"
#include "model/group.hpp"
#include "model/network.hpp"
#include "model/shape.hpp"

namespace dtrain::model {

/// What is kept of a micro-batch from its forward to its backward.
template <class Real>
struct Slot {
  struct Layer {
    Block64<Real> outputs;  ///< [rows, outputs.count], after activation and dropout
    Block64<Real> source;   ///< what the derivative is computed from, where `outputs` does not do
    Block64<Real> mask;     ///< of dropout
    Block64<Real> inputs;   ///< [rows, in], where the ranks of the layer below have a part of them each
  };
  std::vector<Layer> layers;
  View<const Real> inputs;  ///< of the first layer, [rows, in]; no data where they are sparse
};

template <class Real>
class Passes {
 public:
  using Span = std::span<Real>;
  using Weights = std::span<const Real>;

  Passes(const Shape& shape, int threads, Neighbours<Real>* neighbours);

  Slot<Real>& slot(int micro) { return slots_[static_cast<std::size_t>(micro % shape_.slots)]; }

  /// Layer l's outputs. Without a key there is no dropout, and only the features of the batch are used.
  bool forward(int l, Slot<Real>& slot, const Batch<Real>& batch, Weights weights, const DropoutKey* key);
  /// All outputs of the last layer; they stay until the next call of anything here.
  std::optional<View<Real>> outputs(Slot<Real>& slot, Index rows);

  /// From the targets to the last layer's delta; the sum of the rows' losses.
  std::optional<double> loss(Slot<Real>& slot, const Batch<Real>& batch, Weights weights);
  /// From the gradient by the last layer's outputs, all of them, to its delta.
  void delta_from_above(Slot<Real>& slot, View<const Real> gradient, Weights weights);

  /// Layer l's gradient: dW = X^T delta, db = column sums of delta.
  void weight_gradient(int l, Slot<Real>& slot, Index rows, Span gradient);
  /// The same of the first layer, of sparse features: rows of the weights that the whole batch touches.
  void sparse_weight_gradient(const Batch<Real>& batch, Span gradient, Span bias_gradient);
  /// From layer l's delta to that of the layer below: dX = delta W^T, through its dropout and activation.
  bool input_gradient(int l, Slot<Real>& slot, Index rows, Weights weights);
  /// What input_gradient() of the first layer leaves: the gradient by the stage's inputs, all of them.
  View<const Real> delta_for_below(Index rows) { return delta(-1, rows); }

  std::size_t bytes() const;

 private:
  typename Slot<Real>::Layer& kept(Slot<Real>& slot, int l) { return slot.layers[static_cast<std::size_t>(l)]; }
  View<Real> outputs_of(Slot<Real>& slot, int l, Index rows) {
    return {kept(slot, l).outputs.data(), rows, shape_.layer(l).outputs.count};
  }
  View<const Real> weight_of(int l, Weights weights) const;
  View<const Real> inputs_of(Slot<Real>& slot, int l, Index rows);
  Columns delta_columns(int l) const;
  View<Real> delta(int l, Index rows);
  Units<Real> units(int l, Slot<Real>& slot, Index rows, Weights weights, bool drops);
  void draw_masks(int l, Slot<Real>& slot, const Batch<Real>& batch, const DropoutKey& key, const Part& part);
  bool join_inputs(int l, Slot<Real>& slot, Index rows);
  void forward_dense(int l, Slot<Real>& slot, const Batch<Real>& batch, Weights weights, const DropoutKey* key);
  void forward_sparse(Slot<Real>& slot, const Batch<Real>& batch, Weights weights, const DropoutKey* key);
  bool forward_partial(int l, Slot<Real>& slot, const Batch<Real>& batch, Weights weights, const DropoutKey* key);
  View<Real> partial_product(int l, Slot<Real>& slot, Index rows, Weights weights);
  bool joined_input_gradient(int l, Slot<Real>& slot, View<Real> to, Weights weights);

  const Shape& shape_;
  int threads_;
  Group<Real> group_;
  std::vector<Slot<Real>> slots_;
  Block64<Real> deltas_[2];
};

}  // namespace dtrain::model
