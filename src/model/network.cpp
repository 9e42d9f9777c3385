#include "model/network.hpp"

#include <algorithm>
#include <cassert>

#include "math/fold.hpp"
#include "math/teams.hpp"
#include "model/loss.hpp"
#include "model/passes.hpp"
#include "model/shape.hpp"

namespace dtrain::model {
namespace {

// Elements of a plain pass over memory that pay for one more team.
constexpr double fold_grain = 65536;

template <class Real>
Split<Real> unsplit(const job::Model& model) {
  return {whole_cell(model)};
}

template <class Values>
Values within(Values values, Index first, Index count) {
  return values.empty() ? values : values.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
}

}  // namespace

template <class Real>
struct Network<Real>::Impl {
  using Span = std::span<Real>;
  using Weights = std::span<const Real>;

  Impl(const job::Model& model, Index width, Index rows, int teams, const Split<Real>& split)
      : shape(model, width, rows, split.cell, split.schedule, split.micro_batches),
        threads(teams),
        neighbours(split.neighbours),
        passes(shape, teams, split.neighbours) {
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

  /// One of the micro-batches of a step.
  struct Piece {
    Batch<Real> batch;
    int index;
    int parts;
    Index all_rows;
    Index rows() const { return batch.features.rows; }
    bool last() const { return index + 1 == parts; }
    Real factor() const {
      return static_cast<Real>(static_cast<double>(batch.features.rows) / static_cast<double>(all_rows));
    }
  };

  Piece piece_of(const Batch<Real>& batch, int index, int parts) const {
    const Index all = batch.features.rows, share = all / parts, longer = all % parts;
    const Index first = index * share + std::min<Index>(index, longer), rows = share + (index < longer ? 1 : 0);
    Piece piece{{{nullptr, rows, batch.features.cols},
                 within(batch.targets, first, rows),
                 within(batch.rows, first, rows),
                 batch.sparse},
                index,
                parts,
                all};
    if (piece.batch.sparse)
      piece.batch.sparse->first += first;
    else if (batch.features.data != nullptr)
      piece.batch.features = batch.features.below(first, rows);
    return piece;
  }

  /// One piece's gradient of the first layer, folded into the whole.
  void sparse_layer_gradient(const Piece& piece, Span target, Span gradient) {
    const SparseInput<Real>& input = *piece.batch.sparse;
    const LayerShape& layer = shape.layers.front();
    const Range bias{layer.bias_offset(), layer.range.end};
    const Span to = input.first_gradient;
    if (piece.index > 0 && part_rows.size() < to.size()) part_rows.resize(to.size());
    const Span from = piece.index == 0 ? to : Span(part_rows).first(to.size());
    passes.sparse_weight_gradient(piece.batch, from, target);
    if (piece.parts > 1) {
      fold_range({0, std::ssize(to)}, piece.index == 0, piece.factor(), from, to);
      fold_range(bias, piece.index == 0, piece.factor(), target, gradient);
    }
    if (piece.last() && input.fills_gradient) fill_gradient(input, gradient);
  }

  void fill_gradient(const SparseInput<Real>& input, Span gradient) {
    const LayerShape& layer = shape.layers.front();
    const Index out = layer.outputs.count;
    std::fill_n(gradient.data() + layer.range.begin, layer.in * out, Real{0});
    const Real* from = input.first_gradient.data();
    for (const std::uint32_t feature : input.touched->features()) {
      std::copy_n(from, out, gradient.data() + layer.range.begin + feature * out);
      from += out;
    }
  }

  Span scratch() {
    if (part_gradient.size() == 0) part_gradient = Block64<Real>(shape.layout.total);
    return part_gradient.span();
  }

  /// Folds a range of one micro-batch's gradient into the whole.
  void fold_range(Range range, bool first, Real factor, Weights from, Span to) {
    const int teams = useful_teams(static_cast<double>(range.count()), fold_grain, threads);
    in_teams(teams, [&](int team) {
      const auto begin = static_cast<std::size_t>(range.begin + cut(range.count(), teams, team, block_weights));
      const auto end = static_cast<std::size_t>(range.begin + cut(range.count(), teams, team + 1, block_weights));
      if (first)
        fold_first(factor, from.subspan(begin, end - begin), to.subspan(begin, end - begin));
      else
        fold_next(factor, from.subspan(begin, end - begin), to.subspan(begin, end - begin));
    });
  }

  void layer_gradient(int l, const Piece& piece, Span gradient) {
    const Span target = piece.index == 0 ? gradient : scratch();
    if (l == 0 && piece.batch.sparse) return sparse_layer_gradient(piece, target, gradient);
    passes.weight_gradient(l, passes.slot(piece.index), piece.rows(), target);
    if (piece.parts > 1) fold_range(shape.layer(l).range, piece.index == 0, piece.factor(), target, gradient);
  }

  bool take_inputs(const Piece& piece) {
    Slot<Real>& slot = passes.slot(piece.index);
    if (!shape.has_below()) return slot.inputs = piece.batch.features, true;
    const auto inputs = neighbours->take_inputs(piece.index, piece.rows(), shape.layers.front().in);
    if (inputs) slot.inputs = *inputs;
    return inputs.has_value();
  }

  bool give_outputs(const Piece& piece) {
    if (shape.cell.last()) return true;
    const auto outputs = passes.outputs(passes.slot(piece.index), piece.rows());
    if (outputs) neighbours->give_outputs(piece.index, *outputs);
    return outputs.has_value();
  }

  /// The delta of the last layer: from the targets or the stage above.
  bool take_delta(const Piece& piece, Step& step) {
    Slot<Real>& slot = passes.slot(piece.index);
    if (shape.cell.last()) {
      const auto loss = passes.loss(slot, piece.batch, step.weights);
      if (loss) step.loss_sum += *loss;
      return loss.has_value();
    }
    const auto delta = neighbours->take_delta(piece.index, piece.rows(), shape.layers.back().out);
    if (delta) passes.delta_from_above(slot, *delta, step.weights);
    return delta.has_value();
  }

  /// Before the first layer's own gradient is computed, for which nobody waits.
  bool give_delta(const Piece& piece, const Step& step) {
    if (!passes.input_gradient(0, passes.slot(piece.index), piece.rows(), step.weights)) return false;
    neighbours->give_delta(piece.index, passes.delta_for_below(piece.rows()));
    return true;
  }

  bool forward(const Piece& piece, Step& step) {
    if (!take_inputs(piece)) return false;
    Slot<Real>& slot = passes.slot(piece.index);
    for (int l = 0; l < count(); ++l) {
      if (!step.events.before_forward(l)) return false;
      if (!passes.forward(l, slot, piece.batch, step.weights, &step.key)) return false;
    }
    return give_outputs(piece);
  }

  /// The piece's gradient, folded into the step's.
  bool backward(const Piece& piece, Step& step) {
    if (!take_delta(piece, step)) return false;
    for (int l = count() - 1; l >= 0; --l) {
      if (l == 0 && shape.has_below() && !give_delta(piece, step)) return false;
      layer_gradient(l, piece, step.gradient);
      if (piece.last() && !step.events.after_backward(l)) return false;
      if (l > 0 && !passes.input_gradient(l, passes.slot(piece.index), piece.rows(), step.weights)) return false;
    }
    if (shape.has_below()) neighbours->done(piece.index);
    return true;
  }

  /// False when an event or a neighbour abandoned it.
  bool run(Step& step) {
    const PipelineOrder order(shape.schedule, shape.cell.stage, shape.cell.stages, step.parts);
    for (int k = 0; k < order.actions(); ++k) {
      const Action action = order.at(k);
      const Piece piece = piece_of(step.batch, action.micro, step.parts);
      if (!(action.forward ? forward(piece, step) : backward(piece, step))) return false;
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
  int threads;
  Neighbours<Real>* neighbours;
  Passes<Real> passes;
  Block64<Real> part_gradient;  ///< of later micro-batches; made when the first of them comes
  std::vector<Real> part_rows;  ///< the same of touched rows of the first weights
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
  const bool scratch = impl_->shape.later_parts || impl_->part_gradient.size() > 0;
  return impl_->passes.bytes() + (scratch ? static_cast<std::size_t>(impl_->shape.layout.total) * sizeof(Real) : 0);
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
