#pragma once
/// A dense network's forward, loss and backward over views of one flat vector, or one cell's part of it. No allocation
/// after construction.
///
/// Real is float in training and double where a test compares with central differences. One thread drives it; it uses
/// `threads` inside.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "job/job.hpp"
#include "math/sparse.hpp"
#include "model/cell.hpp"
#include "model/layout.hpp"
#include "model/neighbours.hpp"

namespace dtrain::model {

/// What the driver of a step may do between layers. A virtual call per layer, never per element.
class LayerEvents {
 public:
  virtual ~LayerEvents() = default;
  /// Called before layer `l` is computed forward: waits for its weights. False abandons the step.
  virtual bool before_forward(int /*layer*/) { return true; }
  /// Called when the gradient of layer `l` is final (last micro-batch): it may leave. False abandons the step.
  virtual bool after_backward(int /*layer*/) { return true; }
};

/// Dropout(seed, epoch, data-set row, layer, global unit): a mask depends on nothing else.
struct DropoutKey {
  std::uint64_t seed = 0;
  std::uint32_t epoch = 0;
};

/// Features of which most are zero: the first layer reads the rows of its weights that they touch, and no others.
template <class Real>
struct SparseInput {
  SparseRows rows;                        ///< by feature or, where `first_weights` are given, by their slots
  Index first = 0;                        ///< the batch begins with this one of them
  const Touched* touched = nullptr;       ///< of all of them; only to train
  std::span<const Real> first_weights{};  ///< the touched rows, one behind the other; none: as they lie in the weights
  std::span<Real> first_gradient{};       ///< of the touched rows, as those; only to train
  bool fills_gradient = false;            ///< that is told in the whole gradient too, with zero for all other rows
};

/// Rows that are trained on together.
template <class Real>
struct Batch {
  View<const Real> features;            ///< [rows, width]; no data where they are sparse
  std::span<const float> targets;       ///< class index, 0 or 1, or the regression target; one a row
  std::span<const std::uint32_t> rows;  ///< data-set row numbers, for dropout
  std::optional<SparseInput<Real>> sparse{};
};

/// What a network does of a split one, and with whom. `neighbours` outlives it.
template <class Real>
struct Split {
  Cell cell;
  job::PipelineSchedule schedule = job::PipelineSchedule::one_f_one_b;
  int micro_batches = 1;  ///< at most so many in a step
  Neighbours<Real>* neighbours = nullptr;
};

template <class Real>
class Network {
 public:
  Network(const job::Model& model, Index width, Index max_rows, int threads);
  /// One cell's part of it. Layers count from the cell's first one. train_step() is what the cell does of a step: where
  /// it is not of the first stage the batch's features have no data, where not of the last no targets are needed and
  /// the loss is 0; every rank of the last one's group has all of the loss. Row numbers and the number of rows are the
  /// same for all. Sparse features need a first layer that is cut by outputs, or not at all. predict() is only for a
  /// whole network.
  Network(const job::Model& model, Index width, Index max_rows, int threads, const Split<Real>& split);
  ~Network();
  Network(Network&&) noexcept;

  const Layout& layout() const;

  /// One forward and backward. `gradient` (cleared by assignment, beta = 0) receives the mean gradient over the rows of
  /// `batch`; with micro_batches > 1 the batch is cut into that many nearly equal parts (the first ones longer),
  /// whose mean gradients are folded in order by math/fold.hpp with factors rows/rows. Where features are sparse, the
  /// gradient of the first weight matrix goes to SparseInput::first_gradient instead, unless that says otherwise.
  /// Returns the sum of the rows' losses, or nullopt-like NaN-free signal through `completed` when an event abandoned
  /// it. batch.features.rows is in [1, max_rows].
  struct Result {
    double loss_sum = 0;
    bool completed = true;
  };
  Result train_step(const Batch<Real>& batch, std::span<const Real> weights, std::span<Real> gradient,
                    const DropoutKey& dropout, LayerEvents& events, int micro_batches = 1);

  /// Outputs of the last layer before the loss (logits or values), dropout off. out: [rows, outputs].
  void predict(View<const Real> features, std::span<const Real> weights, View<Real> out);
  /// The same of sparse features.
  void predict(const SparseRows& features, std::span<const Real> weights, View<Real> out);

  /// Loss sum of given outputs, in double.
  double loss_sum(View<const Real> outputs, std::span<const float> targets) const;

  Index outputs() const;
  /// Floating-point operations of a row forward and backward (no input gradient for the network's first layer).
  double flops_per_row() const;
  /// Bytes of activations and scratch that this object holds at most: network_bytes(), and room for the gradients of
  /// later micro-batches where there were some though the split did not say so. Touched rows of sparse features apart.
  std::size_t bytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// What Network::bytes() will say, without making one; `neighbours` is not looked at.
template <class Real>
std::size_t network_bytes(const job::Model& model, Index width, Index max_rows, const Split<Real>& split);

extern template class Network<float>;
extern template class Network<double>;

}  // namespace dtrain::model
