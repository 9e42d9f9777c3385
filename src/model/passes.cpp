#include "model/passes.hpp"

#include <algorithm>
#include <cassert>

#include "math/gemm.hpp"
#include "math/teams.hpp"
#include "model/dropout.hpp"
#include "model/loss.hpp"

namespace dtrain::model {
namespace {

// Elements of touched rows that pay for one more team.
constexpr double sparse_grain = 16384;

template <class Real>
Slot<Real> make_slot(const Shape& shape) {
  Slot<Real> slot;
  for (const LayerShape& layer : shape.layers) {
    const Index numbers = shape.slot_rows * layer.outputs.count;
    typename Slot<Real>::Layer& kept = slot.layers.emplace_back();
    kept.outputs = Block64<Real>(numbers);
    if (layer.keeps_source) kept.source = Block64<Real>(numbers);
    if (layer.keeps_mask) kept.mask = Block64<Real>(numbers);
    if (layer.inputs_join != Join::none) kept.inputs = Block64<Real>(shape.slot_rows * layer.in);
  }
  return slot;
}

}  // namespace

template <class Real>
Passes<Real>::Passes(const Shape& shape, int threads, Neighbours<Real>* neighbours)
    : shape_(shape), threads_(threads), group_(shape, threads, neighbours) {
  for (int s = 0; s < shape.slots; ++s) slots_.push_back(make_slot<Real>(shape));
  for (auto& block : deltas_) block = Block64<Real>(shape.slot_rows * shape.delta_columns);
}

template <class Real>
std::size_t Passes<Real>::bytes() const {
  Index numbers = deltas_[0].size() + deltas_[1].size() + group_.size();
  for (const Slot<Real>& slot : slots_)
    for (const auto& kept : slot.layers)
      numbers += kept.outputs.size() + kept.source.size() + kept.mask.size() + kept.inputs.size();
  return static_cast<std::size_t>(numbers) * sizeof(Real);
}

template <class Real>
View<const Real> Passes<Real>::weight_of(int l, Weights weights) const {
  const LayerShape& x = shape_.layer(l);
  return {weights.data() + x.range.begin, x.inputs.count, x.outputs.count};
}

/// What layer l computes with.
template <class Real>
View<const Real> Passes<Real>::inputs_of(Slot<Real>& slot, int l, Index rows) {
  const LayerShape& x = shape_.layer(l);
  if (x.inputs_join != Join::none)
    return columns_of(View<const Real>(kept(slot, l).inputs.data(), rows, x.in), x.inputs.first, x.inputs.count);
  const View<const Real> below = l == 0 ? slot.inputs : View<const Real>(outputs_of(slot, l - 1, rows));
  return below.cols == x.inputs.count ? below : columns_of(below, x.inputs.first, x.inputs.count);
}

/// Of the layer below the first one: all inputs of the stage.
template <class Real>
Columns Passes<Real>::delta_columns(int l) const {
  return l < 0 ? Columns{0, shape_.layers.front().in} : shape_.layer(l).outputs;
}

/// Gradients by the outputs of neighbouring layers lie in different blocks.
template <class Real>
View<Real> Passes<Real>::delta(int l, Index rows) {
  return {deltas_[(l + 2) % 2].data(), rows, delta_columns(l).count};
}

template <class Real>
Units<Real> Passes<Real>::units(int l, Slot<Real>& slot, Index rows, Weights weights, bool drops) {
  const LayerShape& x = shape_.layer(l);
  typename Slot<Real>::Layer& y = kept(slot, l);
  const View<Real> outputs = outputs_of(slot, l, rows);
  const View<Real> source = x.keeps_source ? View<Real>{y.source.data(), rows, x.outputs.count} : outputs;
  const View<const Real> mask =
      drops && x.keeps_mask ? View<const Real>{y.mask.data(), rows, x.outputs.count} : View<const Real>{};
  const Real* bias = x.bias && !x.partial ? weights.data() + x.bias_offset() : nullptr;
  return {x.config.activation, static_cast<Real>(x.config.slope), bias, outputs, source, mask};
}

template <class Real>
void Passes<Real>::draw_masks(int l, Slot<Real>& slot, const Batch<Real>& batch, const DropoutKey& key,
                              const Part& part) {
  const LayerShape& x = shape_.layer(l);
  for (Index r = part.row; r < part.row + part.rows; ++r) {
    const MaskRow row{key, batch.rows[static_cast<std::size_t>(r)], x.number, x.config.dropout};
    Real* const to = kept(slot, l).mask.data() + r * x.outputs.count + part.col;
    dropout_mask(row, x.outputs.first + part.col, Span(to, static_cast<std::size_t>(part.cols)));
  }
}

template <class Real>
bool Passes<Real>::forward(int l, Slot<Real>& slot, const Batch<Real>& batch, Weights weights, const DropoutKey* key) {
  const LayerShape& x = shape_.layer(l);
  if (x.inputs_join != Join::none && !join_inputs(l, slot, batch.features.rows)) return false;
  if (x.partial) return forward_partial(l, slot, batch, weights, key);
  if (l == 0 && batch.sparse)
    forward_sparse(slot, batch, weights, key);
  else
    forward_dense(l, slot, batch, weights, key);
  return true;
}

template <class Real>
void Passes<Real>::forward_dense(int l, Slot<Real>& slot, const Batch<Real>& batch, Weights weights,
                                 const DropoutKey* key) {
  const Index rows = batch.features.rows;
  const View<Real> to = outputs_of(slot, l, rows);
  const Product<Real> product{Op::plain, inputs_of(slot, l, rows), Op::plain, weight_of(l, weights), 0, to};
  const Units<Real> pass = units(l, slot, rows, weights, key != nullptr);
  product.check();
  const int teams = product.teams(threads_);
  in_teams(teams, [&](int team) {
    const Part part = part_of(rows, to.cols, teams, team);
    multiply(product, part);
    if (pass.mask.data != nullptr) draw_masks(l, slot, batch, *key, part);
    activate(pass, part);
  });
}

template <class Real>
void Passes<Real>::forward_sparse(Slot<Real>& slot, const Batch<Real>& batch, Weights weights, const DropoutKey* key) {
  const SparseInput<Real>& input = *batch.sparse;
  const Index rows = batch.features.rows, out = shape_.layers.front().outputs.count;
  const View<const Real> from = input.first_weights.empty()
                                    ? weight_of(0, weights)
                                    : View<const Real>{input.first_weights.data(), input.touched->count(), out};
  const Units<Real> pass = units(0, slot, rows, weights, key != nullptr);
  const auto teams = static_cast<int>(std::min<Index>(rows, threads_));
  in_teams(teams, [&](int team) {
    const Index first = cut(rows, teams, team, 1);
    const Part part{first, cut(rows, teams, team + 1, 1) - first, 0, out};
    multiply(input.rows, input.first + first, from, pass.outputs.below(first, part.rows));
    if (pass.mask.data != nullptr) draw_masks(0, slot, batch, *key, part);
    activate(pass, part);
  });
}

template <class Real>
std::optional<double> Passes<Real>::loss(Slot<Real>& slot, const Batch<Real>& batch, Weights weights) {
  const Index rows = batch.features.rows;
  const int last = shape_.count() - 1;
  const LayerShape& x = shape_.layer(last);
  const std::optional<View<Real>> from = outputs(slot, rows);
  if (!from) return {};
  const View<Real> own = delta(last, rows), to = x.has_all_outputs() ? own : *from;
  const Real scale = 1 / static_cast<Real>(rows);
  double sum = 0;
  for (Index r = 0; r < rows; ++r) {
    if (x.has_all_outputs()) std::copy_n(from->row(r), to.cols, to.row(r));
    sum += row_loss_and_gradient(shape_.loss, to.row(r), to.cols, batch.targets[static_cast<std::size_t>(r)], scale);
    if (!x.has_all_outputs()) std::copy_n(to.row(r) + x.outputs.first, own.cols, own.row(r));
  }
  activate_backward(units(last, slot, rows, weights, true), own, {0, rows, 0, own.cols});
  return sum;
}

template <class Real>
void Passes<Real>::delta_from_above(Slot<Real>& slot, View<const Real> gradient, Weights weights) {
  const int last = shape_.count() - 1;
  const Columns& columns = shape_.layer(last).outputs;
  const View<Real> to = delta(last, gradient.rows);
  const Units<Real> pass = units(last, slot, to.rows, weights, true);
  by_rows(to.rows, to.cols, threads_, [&](const Part& part) {
    copy_rows(columns_of(gradient, columns.first, columns.count), to, part.row, part.rows);
    activate_backward(pass, to, part);
  });
}

template <class Real>
void Passes<Real>::weight_gradient(int l, Slot<Real>& slot, Index rows, Span gradient) {
  const LayerShape& x = shape_.layer(l);
  const View<const Real> from = delta(l, rows);
  const View<Real> to(gradient.data() + x.range.begin, x.inputs.count, x.outputs.count);
  const Product<Real> product{Op::transposed, inputs_of(slot, l, rows), Op::plain, from, 0, to};
  product.check();
  const int teams = product.teams(threads_);
  in_teams(teams, [&](int team) {
    multiply(product, part_of(to.rows, to.cols, teams, team));
    if (!x.bias) return;
    const Index first = cut(to.cols, teams, team, 16), end = cut(to.cols, teams, team + 1, 16);
    sum_rows(from, first, end - first, gradient.data() + x.bias_offset());
  });
}

template <class Real>
void Passes<Real>::sparse_weight_gradient(const Batch<Real>& batch, Span gradient, Span bias_gradient) {
  const LayerShape& x = shape_.layers.front();
  const SparseInput<Real>& input = *batch.sparse;
  const View<const Real> from = delta(0, batch.features.rows);
  const View<Real> to(gradient.data(), input.touched->count(), x.outputs.count);
  const int teams = useful_teams(static_cast<double>(to.rows * to.cols), sparse_grain, threads_);
  in_teams(teams, [&](int team) {
    const Index first = cut(to.rows, teams, team, 1), end = cut(to.rows, teams, team + 1, 1);
    multiply_transposed(*input.touched, input.first, from.rows, from, first, to.below(first, end - first));
  });
  if (x.bias) sum_rows(from, 0, to.cols, bias_gradient.data() + x.bias_offset());
}

template <class Real>
bool Passes<Real>::input_gradient(int l, Slot<Real>& slot, Index rows, Weights weights) {
  const LayerShape& x = shape_.layer(l);
  const View<Real> to = delta(l - 1, rows);
  if (x.deltas_join != Join::none) return joined_input_gradient(l, slot, to, weights);
  const Product<Real> product{Op::plain, delta(l, rows), Op::transposed, weight_of(l, weights), 0, to};
  const Units<Real> below = l > 0 ? units(l - 1, slot, rows, weights, true) : Units<Real>{};
  product.check();
  const int teams = product.teams(threads_);
  in_teams(teams, [&](int team) {
    const Part part = part_of(rows, to.cols, teams, team);
    multiply(product, part);
    if (l > 0) activate_backward(below, to, part);
  });
  return true;
}

/// The outputs of the layer below, of all ranks side by side.
template <class Real>
bool Passes<Real>::join_inputs(int l, Slot<Real>& slot, Index rows) {
  const View<Real> to(kept(slot, l).inputs.data(), rows, shape_.layer(l).in);
  const std::vector<Index>& columns = shape_.layer(l - 1).own_columns;
  return group_.join(Join::side_by_side, outputs_of(slot, l - 1, rows), columns, 0, to, [](const Part&) {});
}

template <class Real>
std::optional<View<Real>> Passes<Real>::outputs(Slot<Real>& slot, Index rows) {
  const int last = shape_.count() - 1;
  const LayerShape& x = shape_.layer(last);
  const View<Real> own = outputs_of(slot, last, rows);
  if (x.has_all_outputs()) return own;
  const View<Real> to = group_.partial(rows, x.out);
  if (!group_.join(Join::side_by_side, own, x.own_columns, 0, to, [](const Part&) {})) return {};
  return to;
}

/// This rank's part of the sum that makes up layer l's outputs before activation; rank 0 adds the biases to its own.
template <class Real>
View<Real> Passes<Real>::partial_product(int l, Slot<Real>& slot, Index rows, Weights weights) {
  const LayerShape& x = shape_.layer(l);
  const View<Real> to = group_.partial(rows, x.sum_columns);
  if (to.cols == 0) return to;
  const Product<Real> product{Op::plain, inputs_of(slot, l, rows), Op::plain, weight_of(l, weights), 0, to};
  const Real* bias = x.bias ? weights.data() + x.bias_offset() : nullptr;
  const Units<Real> adds_bias{job::Activation::none, 0, bias, to, to, {}};
  product.check();
  const int teams = product.teams(threads_);
  in_teams(teams, [&](int team) {
    const Part part = part_of(rows, to.cols, teams, team);
    if (x.inputs.count > 0)
      multiply(product, part);
    else
      std::fill_n(to.row(part.row), part.rows * to.cols, Real{0});
    if (bias != nullptr) activate(adds_bias, part);
  });
  return to;
}

template <class Real>
bool Passes<Real>::forward_partial(int l, Slot<Real>& slot, const Batch<Real>& batch, Weights weights,
                                   const DropoutKey* key) {
  assert(l > 0 || !batch.sparse);
  const Index rows = batch.features.rows;
  const View<Real> own = partial_product(l, slot, rows, weights), to = outputs_of(slot, l, rows);
  const Units<Real> pass = units(l, slot, rows, weights, key != nullptr);
  return group_.join(Join::sum, own, shape_.layer(l).sum_columns, 0, to, [&](const Part& part) {
    if (pass.mask.data != nullptr) draw_masks(l, slot, batch, *key, part);
    activate(pass, part);
  });
}

/// input_gradient() where the ranks' gradients are added up or lie side by side.
template <class Real>
bool Passes<Real>::joined_input_gradient(int l, Slot<Real>& slot, View<Real> to, Weights weights) {
  const LayerShape& x = shape_.layer(l);
  const std::vector<Index>& columns = x.deltas_join == Join::sum ? x.sum_columns : x.own_columns;
  const View<Real> own = group_.partial(to.rows, columns);
  if (own.cols > 0) gemm<Real>(Op::plain, delta(l, to.rows), Op::transposed, weight_of(l, weights), 0, own, threads_);
  const Units<Real> below = l > 0 ? units(l - 1, slot, to.rows, weights, true) : Units<Real>{};
  return group_.join(x.deltas_join, own, columns, delta_columns(l - 1).first, to, [&](const Part& part) {
    if (l > 0) activate_backward(below, to, part);
  });
}

template class Passes<float>;
template class Passes<double>;

}  // namespace dtrain::model
