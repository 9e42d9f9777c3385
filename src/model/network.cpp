#include "model/network.hpp"

#include <algorithm>
#include <cassert>

#include "math/fold.hpp"
#include "math/gemm.hpp"
#include "math/teams.hpp"
#include "model/dropout.hpp"
#include "model/elementwise.hpp"
#include "model/loss.hpp"

namespace dtrain::model {
namespace {

// Elements of a plain pass over memory that pay for one more team.
constexpr double fold_grain = 65536;
// The same of the elements of touched rows.
constexpr double sparse_grain = 16384;

/// A dense layer: where its weights lie, and what is kept of its last forward.
template <class Real>
struct Layer {
  job::Layer config;
  Index in = 0;
  Index out = 0;
  Range range;            ///< weight, then bias, in the flat vector
  Block64<Real> outputs;  ///< [max_rows, out], after activation and dropout
  Block64<Real> source;   ///< what the derivative is computed from, where `outputs` does not do
  Block64<Real> mask;     ///< of dropout
  Index bias_offset() const { return range.begin + in * out; }
};

template <class Real>
View<const Real> weight_of(const Layer<Real>& layer, std::span<const Real> weights) {
  return {weights.data() + layer.range.begin, layer.in, layer.out};
}

template <class Real>
Layer<Real> make_layer(const job::Layer& config, Index in, Range range, Index max_rows) {
  Layer<Real> layer{config, in, config.dense, range, Block64<Real>(max_rows * config.dense), {}, {}};
  const bool drops = config.dropout > 0;
  if (drops || derivative_needs_input(config.activation)) layer.source = Block64<Real>(layer.outputs.size());
  if (drops) layer.mask = Block64<Real>(layer.outputs.size());
  return layer;
}

}  // namespace

template <class Real>
struct Network<Real>::Impl {
  using Span = std::span<Real>;
  using Weights = std::span<const Real>;

  Impl(const job::Model& model, Index width, Index rows, int teams)
      : layout(make_layout(model, width)), loss(model.loss), max_rows(rows), threads(teams) {
    Index widest = 0, in = width;
    for (const job::Layer& config : model.layers) {
      layers.push_back(make_layer<Real>(config, in, layout.layers[layers.size()], max_rows));
      in = config.dense;
      widest = std::max(widest, in);
    }
    for (auto& block : deltas) block = Block64<Real>(max_rows * widest);
  }

  int count() const { return static_cast<int>(layers.size()); }
  Layer<Real>& layer(int l) { return layers[static_cast<std::size_t>(l)]; }
  View<Real> outputs(int l, Index rows) { return {layer(l).outputs.data(), rows, layer(l).out}; }
  /// Gradients by the outputs of neighbouring layers lie in different blocks.
  View<Real> delta(int l, Index rows) { return {deltas[l % 2].data(), rows, layer(l).out}; }

  /// One of `parts` micro-batches of a step over `all_rows` rows.
  struct Piece {
    Batch<Real> batch;
    int index;
    int parts;
    Index all_rows;
    bool last() const { return index + 1 == parts; }
    Real factor() const {
      return static_cast<Real>(static_cast<double>(batch.features.rows) / static_cast<double>(all_rows));
    }
  };

  Units<Real> units(int l, Index rows, Weights weights, bool drops) {
    Layer<Real>& x = layer(l);
    const View<Real> source = x.source.size() > 0 ? View<Real>{x.source.data(), rows, x.out} : outputs(l, rows);
    const View<const Real> mask =
        drops && x.mask.size() > 0 ? View<const Real>{x.mask.data(), rows, x.out} : View<const Real>{};
    const Real* bias = x.config.bias ? weights.data() + x.bias_offset() : nullptr;
    return {x.config.activation, static_cast<Real>(x.config.slope), bias, outputs(l, rows), source, mask};
  }

  void draw_masks(int l, const Batch<Real>& batch, const DropoutKey& key, const Part& part) {
    Layer<Real>& x = layer(l);
    for (Index r = part.row; r < part.row + part.rows; ++r) {
      const MaskRow row{key, batch.rows[static_cast<std::size_t>(r)], l, x.config.dropout};
      dropout_mask(row, part.col, Span(x.mask.data() + r * x.out + part.col, static_cast<std::size_t>(part.cols)));
    }
  }

  /// The first layer's outputs, from sparse features.
  void forward_sparse(const Batch<Real>& batch, Weights weights, const DropoutKey* key) {
    Layer<Real>& x = layer(0);
    const SparseInput<Real>& input = *batch.sparse;
    const Index rows = batch.features.rows;
    const View<const Real> from = input.first_weights.empty()
                                      ? weight_of(x, weights)
                                      : View<const Real>{input.first_weights.data(), input.touched->count(), x.out};
    const Units<Real> pass = units(0, rows, weights, key != nullptr);
    const auto teams = static_cast<int>(std::min<Index>(rows, threads));
    in_teams(teams, [&](int team) {
      const Index first = cut(rows, teams, team, 1);
      const Part part{first, cut(rows, teams, team + 1, 1) - first, 0, x.out};
      multiply(input.rows, input.first + first, from, pass.outputs.below(first, part.rows));
      if (pass.mask.data != nullptr) draw_masks(0, batch, *key, part);
      activate(pass, part);
    });
  }

  /// The first layer's gradient: rows of the weights that the whole batch touches, and the bias.
  void sparse_weight_gradient(const Batch<Real>& batch, Span gradient, Span bias_gradient) {
    Layer<Real>& x = layer(0);
    const SparseInput<Real>& input = *batch.sparse;
    const View<const Real> from = delta(0, batch.features.rows);
    const View<Real> to(gradient.data(), input.touched->count(), x.out);
    const int teams = useful_teams(static_cast<double>(to.rows * to.cols), sparse_grain, threads);
    in_teams(teams, [&](int team) {
      const Index first = cut(to.rows, teams, team, 1), end = cut(to.rows, teams, team + 1, 1);
      multiply_transposed(*input.touched, input.first, from.rows, from, first, to.below(first, end - first));
    });
    if (x.config.bias) sum_rows(from, 0, x.out, bias_gradient.data() + x.bias_offset());
  }

  /// One piece's gradient of the first layer, folded into the whole.
  void sparse_layer_gradient(const Piece& piece, Span target, Span gradient) {
    const SparseInput<Real>& input = *piece.batch.sparse;
    const Range bias{layer(0).bias_offset(), layer(0).range.end};
    const Span to = input.first_gradient;
    if (piece.index > 0 && part_rows.size() < to.size()) part_rows.resize(to.size());
    const Span from = piece.index == 0 ? to : Span(part_rows).first(to.size());
    sparse_weight_gradient(piece.batch, from, target);
    if (piece.parts > 1) {
      fold_range({0, std::ssize(to)}, piece.index == 0, piece.factor(), from, to);
      fold_range(bias, piece.index == 0, piece.factor(), target, gradient);
    }
    if (piece.last() && input.fills_gradient) fill_gradient(input, gradient);
  }

  void fill_gradient(const SparseInput<Real>& input, Span gradient) {
    const Index out = layer(0).out;
    std::fill_n(gradient.data() + layer(0).range.begin, layer(0).in * out, Real{0});
    const Real* from = input.first_gradient.data();
    for (const std::uint32_t feature : input.touched->features()) {
      std::copy_n(from, out, gradient.data() + layer(0).range.begin + feature * out);
      from += out;
    }
  }

  /// Layer l's outputs. Without a key there is no dropout, and only the features of the batch are used.
  void forward(int l, const Batch<Real>& batch, Weights weights, const DropoutKey* key) {
    if (l == 0 && batch.sparse) return forward_sparse(batch, weights, key);
    const Index rows = batch.features.rows;
    const View<const Real> inputs = l == 0 ? batch.features : View<const Real>(outputs(l - 1, rows));
    const Product<Real> product{Op::plain, inputs, Op::plain, weight_of(layer(l), weights), 0, outputs(l, rows)};
    const Units<Real> pass = units(l, rows, weights, key != nullptr);
    product.check();
    const int teams = product.teams(threads);
    in_teams(teams, [&](int team) {
      const Part part = part_of(rows, layer(l).out, teams, team);
      multiply(product, part);
      if (pass.mask.data != nullptr) draw_masks(l, batch, *key, part);
      activate(pass, part);
    });
  }

  /// The mean loss's gradient by the last product, into delta; returns the sum of the rows' losses.
  double forward_loss(const Batch<Real>& batch, Weights weights) {
    const Index rows = batch.features.rows;
    const int last = count() - 1;
    const View<Real> from = outputs(last, rows), to = delta(last, rows);
    const Real scale = 1 / static_cast<Real>(rows);
    double sum = 0;
    for (Index r = 0; r < rows; ++r) {
      std::copy_n(from.row(r), from.cols, to.row(r));
      sum += row_loss_and_gradient(loss, to.row(r), to.cols, batch.targets[static_cast<std::size_t>(r)], scale);
    }
    activate_backward(units(last, rows, weights, true), to, {0, rows, 0, to.cols});
    return sum;
  }

  /// Layer l's gradient: dW = X^T delta, db = column sums of delta.
  void weight_gradient(int l, const Batch<Real>& batch, Span gradient) {
    Layer<Real>& x = layer(l);
    const Index rows = batch.features.rows;
    const View<const Real> inputs = l == 0 ? batch.features : View<const Real>(outputs(l - 1, rows));
    const View<const Real> from = delta(l, rows);
    const View<Real> to(gradient.data() + x.range.begin, x.in, x.out);
    const Product<Real> product{Op::transposed, inputs, Op::plain, from, 0, to};
    product.check();
    const int teams = product.teams(threads);
    in_teams(teams, [&](int team) {
      multiply(product, part_of(x.in, x.out, teams, team));
      if (!x.config.bias) return;
      const Index first = cut(x.out, teams, team, 16), end = cut(x.out, teams, team + 1, 16);
      sum_rows(from, first, end - first, gradient.data() + x.bias_offset());
    });
  }

  /// From layer l's delta to that of the layer below: dX = delta W^T, through its dropout and activation.
  void input_gradient(int l, Index rows, Weights weights) {
    const View<Real> to = delta(l - 1, rows);
    const Product<Real> product{Op::plain, delta(l, rows), Op::transposed, weight_of(layer(l), weights), 0, to};
    const Units<Real> below = units(l - 1, rows, weights, true);
    product.check();
    const int teams = product.teams(threads);
    in_teams(teams, [&](int team) {
      const Part part = part_of(rows, to.cols, teams, team);
      multiply(product, part);
      activate_backward(below, to, part);
    });
  }

  Span scratch() {
    if (part_gradient.size() == 0) part_gradient = Block64<Real>(layout.total);
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

  Piece piece_of(const Batch<Real>& batch, int index, int parts) const {
    const Index all = batch.features.rows, share = all / parts, longer = all % parts;
    const Index first = index * share + std::min<Index>(index, longer), rows = share + (index < longer ? 1 : 0);
    const auto from = static_cast<std::size_t>(first), many = static_cast<std::size_t>(rows);
    Piece piece{{{nullptr, rows, batch.features.cols},
                 batch.targets.subspan(from, many),
                 batch.rows.empty() ? batch.rows : batch.rows.subspan(from, many),
                 batch.sparse},
                index,
                parts,
                all};
    if (piece.batch.sparse)
      piece.batch.sparse->first += first;
    else
      piece.batch.features = batch.features.below(first, rows);
    return piece;
  }

  void layer_gradient(int l, const Piece& piece, Span target, Span gradient) {
    if (l == 0 && piece.batch.sparse) return sparse_layer_gradient(piece, target, gradient);
    weight_gradient(l, piece.batch, target);
    if (piece.parts > 1) fold_range(layer(l).range, piece.index == 0, piece.factor(), target, gradient);
  }

  /// Gradient of one piece, folded into `gradient`. False when an event abandoned the step.
  bool run(const Piece& piece, Weights weights, Span gradient, const DropoutKey& key, LayerEvents& events,
           double& loss_sum) {
    for (int l = 0; l < count(); ++l) {
      if (!events.before_forward(l)) return false;
      forward(l, piece.batch, weights, &key);
    }
    loss_sum += forward_loss(piece.batch, weights);
    const Span target = piece.index == 0 ? gradient : scratch();
    for (int l = count() - 1; l >= 0; --l) {
      layer_gradient(l, piece, target, gradient);
      if (piece.last() && !events.after_backward(l)) return false;
      if (l > 0) input_gradient(l, piece.batch.features.rows, weights);
    }
    return true;
  }

  template <class BatchOf>
  void predict(Index count, Weights weights, View<Real> out, BatchOf batch_of) {
    for (Index first = 0; first < count; first += max_rows) {
      const Index rows = std::min(max_rows, count - first);
      const Batch<Real> batch = batch_of(first, rows);
      for (int l = 0; l < this->count(); ++l) forward(l, batch, weights, nullptr);
      const View<Real> from = outputs(this->count() - 1, rows);
      for (Index r = 0; r < rows; ++r) std::copy_n(from.row(r), from.cols, out.row(first + r));
    }
  }

  Layout layout;
  job::Loss loss;
  Index max_rows;
  int threads;
  std::vector<Layer<Real>> layers;
  Block64<Real> deltas[2];
  Block64<Real> part_gradient;  ///< of later micro-batches; made when the first of them comes
  std::vector<Real> part_rows;  ///< the same of touched rows of the first weights
};

template <class Real>
Network<Real>::Network(const job::Model& model, Index width, Index max_rows, int threads)
    : impl_(std::make_unique<Impl>(model, width, max_rows, threads)) {}
template <class Real>
Network<Real>::~Network() = default;
template <class Real>
Network<Real>::Network(Network&&) noexcept = default;

template <class Real>
const Layout& Network<Real>::layout() const {
  return impl_->layout;
}

template <class Real>
typename Network<Real>::Result Network<Real>::train_step(const Batch<Real>& batch, std::span<const Real> weights,
                                                         std::span<Real> gradient, const DropoutKey& dropout,
                                                         LayerEvents& events, int micro_batches) {
  const Index rows = batch.features.rows;
  assert(rows >= 1 && rows <= impl_->max_rows && micro_batches >= 1);
  assert(static_cast<Index>(weights.size()) == impl_->layout.total && weights.size() == gradient.size());
  const int parts = static_cast<int>(std::min<Index>(micro_batches, rows));
  Result result;
  for (int i = 0; i < parts && result.completed; ++i)
    result.completed =
        impl_->run(impl_->piece_of(batch, i, parts), weights, gradient, dropout, events, result.loss_sum);
  return result;
}

template <class Real>
void Network<Real>::predict(View<const Real> features, std::span<const Real> weights, View<Real> out) {
  impl_->predict(features.rows, weights, out, [&](Index first, Index rows) {
    return Batch<Real>{features.below(first, rows), {}, {}};
  });
}

template <class Real>
void Network<Real>::predict(const SparseRows& features, std::span<const Real> weights, View<Real> out) {
  const Index width = impl_->layers.front().in;
  impl_->predict(features.count(), weights, out, [&](Index first, Index rows) {
    return Batch<Real>{{nullptr, rows, width}, {}, {}, SparseInput<Real>{features, first}};
  });
}

template <class Real>
double Network<Real>::loss_sum(View<const Real> outputs, std::span<const float> targets) const {
  double sum = 0;
  for (Index r = 0; r < outputs.rows; ++r)
    sum += row_loss(impl_->loss, outputs.row(r), outputs.cols, targets[static_cast<std::size_t>(r)]);
  return sum;
}

template <class Real>
Index Network<Real>::outputs() const {
  return impl_->layers.back().out;
}

template <class Real>
double Network<Real>::flops_per_row() const {
  double products = 0;
  for (const Layer<Real>& layer : impl_->layers) {
    const bool first = &layer == &impl_->layers.front();
    products += (first ? 2 : 3) * static_cast<double>(layer.in) * static_cast<double>(layer.out);
  }
  return 2 * products;
}

template <class Real>
std::size_t Network<Real>::bytes() const {
  Index numbers = impl_->part_gradient.size() + impl_->deltas[0].size() + impl_->deltas[1].size();
  for (const Layer<Real>& layer : impl_->layers)
    numbers += layer.outputs.size() + layer.source.size() + layer.mask.size();
  return static_cast<std::size_t>(numbers) * sizeof(Real);
}

template class Network<float>;
template class Network<double>;

}  // namespace dtrain::model
