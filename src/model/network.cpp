#include "model/network.hpp"

#include <algorithm>
#include <cassert>

#include "model/loss.hpp"
#include "model/micro_batch.hpp"
#include "model/passes.hpp"
#include "model/pipeline.hpp"
#include "model/shape.hpp"

namespace dtrain::model {
namespace {

template <class Real>
Split<Real> unsplit(const job::Model& model) {
  return {whole_cell(model)};
}

}  // namespace

template <class Real>
struct Network<Real>::Impl {
  using Span = std::span<Real>;
  using Weights = std::span<const Real>;
  using Micro = MicroBatch<Real>;

  Impl(const job::Model& model, Index width, Index rows, int teams, const Split<Real>& split)
      : shape(model, width, rows, split.cell, split.schedule, split.micro_batches),
        neighbours(split.neighbours),
        passes(shape, teams, split.neighbours),
        fold(shape, teams) {
    assert(shape.cell.whole() || neighbours != nullptr);
  }

  int count() const { return shape.count(); }

  /// What a step is given, and its loss so far.
  struct Step {
    const Batch<Real>& batch;
    Weights weights;
    Span gradient;
    const DropoutKey& key;
    LayerEvents& events;
    int parts;
    double loss_sum = 0;
  };

  bool take_inputs(const Micro& micro) {
    Slot<Real>& slot = passes.slot(micro.index);
    if (!shape.has_below()) return slot.inputs = micro.batch.features, true;
    const auto inputs = neighbours->take_inputs(micro.index, micro.rows(), shape.layers.front().in);
    if (inputs) slot.inputs = *inputs;
    return inputs.has_value();
  }

  bool give_outputs(const Micro& micro) {
    if (shape.cell.last()) return true;
    const auto outputs = passes.outputs(passes.slot(micro.index), micro.rows());
    if (outputs) neighbours->give_outputs(micro.index, *outputs);
    return outputs.has_value();
  }

  /// The delta of the last layer: from the targets or the stage above.
  bool take_output_gradient(const Micro& micro, Step& step) {
    Slot<Real>& slot = passes.slot(micro.index);
    if (shape.cell.last()) {
      const auto loss = passes.loss(slot, micro.batch, step.weights);
      if (loss) step.loss_sum += *loss;
      return loss.has_value();
    }
    const auto delta = neighbours->take_output_gradient(micro.index, micro.rows(), shape.layers.back().out);
    if (delta) passes.delta_from_above(slot, *delta, step.weights);
    return delta.has_value();
  }

  /// Before the first layer's own gradient is computed, for which nobody waits.
  bool give_input_gradient(const Micro& micro, const Step& step) {
    if (!passes.input_gradient(0, passes.slot(micro.index), micro.rows(), step.weights)) return false;
    neighbours->give_input_gradient(micro.index, passes.delta_for_below(micro.rows()));
    return true;
  }

  bool forward(const Micro& micro, Step& step) {
    if (!take_inputs(micro)) return false;
    Slot<Real>& slot = passes.slot(micro.index);
    for (int l = 0; l < count(); ++l) {
      if (!step.events.before_forward(l)) return false;
      if (!passes.forward(l, slot, micro.batch, step.weights, &step.key)) return false;
    }
    return give_outputs(micro);
  }

  /// The micro-batch's gradient, folded into the step's.
  bool backward(const Micro& micro, Step& step) {
    if (!take_output_gradient(micro, step)) return false;
    for (int l = count() - 1; l >= 0; --l) {
      if (l == 0 && shape.has_below() && !give_input_gradient(micro, step)) return false;
      fold.add(l, passes, micro, step.gradient);
      if (micro.last() && !step.events.after_backward(l)) return false;
      if (l > 0 && !passes.input_gradient(l, passes.slot(micro.index), micro.rows(), step.weights)) return false;
    }
    if (shape.has_below()) neighbours->done(micro.index);
    return true;
  }

  /// False when an event or a neighbour abandoned it.
  bool run(Step& step) {
    const PipelineOrder order(shape.schedule, shape.cell.stage, shape.cell.stages, step.parts);
    for (int k = 0; k < order.actions(); ++k) {
      const Action action = order.at(k);
      const Micro micro = micro_batch(step.batch, action.micro, step.parts);
      if (!(action.forward ? forward(micro, step) : backward(micro, step))) return false;
    }
    return true;
  }

  template <class BatchOf>
  void predict(Index count, Weights weights, View<Real> out, BatchOf batch_of) {
    assert(shape.cell.whole());
    Slot<Real>& slot = passes.slot(0);
    for (Index first = 0; first < count; first += shape.max_rows) {
      const Index rows = std::min(shape.max_rows, count - first);
      const Batch<Real> batch = batch_of(first, rows);
      slot.inputs = batch.features;
      for (int l = 0; l < this->count(); ++l) passes.forward(l, slot, batch, weights, nullptr);
      const View<Real> from = *passes.outputs(slot, rows);
      for (Index r = 0; r < rows; ++r) std::copy_n(from.row(r), from.cols, out.row(first + r));
    }
  }

  const Shape shape;
  Neighbours<Real>* neighbours;
  Passes<Real> passes;
  GradientFold<Real> fold;
};

template <class Real>
Network<Real>::Network(const job::Model& model, Index width, Index max_rows, int threads)
    : Network(model, width, max_rows, threads, unsplit<Real>(model)) {}
template <class Real>
Network<Real>::Network(const job::Model& model, Index width, Index max_rows, int threads, const Split<Real>& split)
    : impl_(std::make_unique<Impl>(model, width, max_rows, threads, split)) {}
template <class Real>
Network<Real>::~Network() = default;
template <class Real>
Network<Real>::Network(Network&&) noexcept = default;

template <class Real>
const Layout& Network<Real>::layout() const {
  return impl_->shape.layout;
}

template <class Real>
typename Network<Real>::Result Network<Real>::train_step(const Batch<Real>& batch, std::span<const Real> weights,
                                                         std::span<Real> gradient, const DropoutKey& dropout,
                                                         LayerEvents& events, int micro_batches) {
  const Index rows = batch.features.rows;
  assert(rows >= 1 && rows <= impl_->shape.max_rows && micro_batches >= 1);
  assert(!batch.sparse || !impl_->shape.has_below());
  assert(static_cast<Index>(weights.size()) == impl_->shape.layout.total && weights.size() == gradient.size());
  const int parts = static_cast<int>(std::min<Index>(micro_batches, rows));
  assert((rows + parts - 1) / parts <= impl_->shape.slot_rows);
  typename Impl::Step step{batch, weights, gradient, dropout, events, parts};
  const bool completed = impl_->run(step);
  return {step.loss_sum, completed};
}

template <class Real>
void Network<Real>::predict(View<const Real> features, std::span<const Real> weights, View<Real> out) {
  impl_->predict(features.rows, weights, out, [&](Index first, Index rows) {
    return Batch<Real>{features.below(first, rows), {}, {}};
  });
}

template <class Real>
void Network<Real>::predict(const SparseRows& features, std::span<const Real> weights, View<Real> out) {
  const Index width = impl_->shape.layers.front().in;
  impl_->predict(features.count(), weights, out, [&](Index first, Index rows) {
    return Batch<Real>{{nullptr, rows, width}, {}, {}, SparseInput<Real>{features, first}};
  });
}

template <class Real>
double Network<Real>::loss_sum(View<const Real> outputs, std::span<const float> targets) const {
  double sum = 0;
  for (Index r = 0; r < outputs.rows; ++r)
    sum += row_loss(impl_->shape.loss, outputs.row(r), outputs.cols, targets[static_cast<std::size_t>(r)]);
  return sum;
}

template <class Real>
Index Network<Real>::outputs() const {
  return impl_->shape.layers.back().out;
}

template <class Real>
double Network<Real>::flops_per_row() const {
  return impl_->shape.flops_per_row();
}

template <class Real>
std::size_t Network<Real>::bytes() const {
  return impl_->passes.bytes() + static_cast<std::size_t>(impl_->fold.numbers()) * sizeof(Real);
}

template <class Real>
std::size_t network_bytes(const job::Model& model, Index width, Index max_rows, const Split<Real>& split) {
  const Shape shape(model, width, max_rows, split.cell, split.schedule, split.micro_batches);
  return static_cast<std::size_t>(shape.numbers()) * sizeof(Real);
}

template std::size_t network_bytes(const job::Model&, Index, Index, const Split<float>&);
template std::size_t network_bytes(const job::Model&, Index, Index, const Split<double>&);
template class Network<float>;
template class Network<double>;

}  // namespace dtrain::model
