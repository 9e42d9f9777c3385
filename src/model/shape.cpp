#include "model/shape.hpp"

#include <algorithm>
#include <cassert>

#include "model/elementwise.hpp"

namespace dtrain::model {
namespace {

/// Columns of each rank.
std::vector<Index> widths_of(const LayerCut& cut) {
  std::vector<Index> widths;
  for (std::size_t t = 0; t + 1 < cut.borders.size(); ++t) widths.push_back(cut.borders[t + 1] - cut.borders[t]);
  return widths;
}

/// A rank without a part of the weights has none of the sum, but rank 0 brings the biases into that of the outputs.
std::vector<Index> sum_columns_of(const LayerShape& layer) {
  std::vector<Index> columns;
  for (const Index width : layer.own_columns) {
    const bool adds_bias = !layer.by_output && columns.empty() && layer.config.bias;
    columns.push_back(width > 0 || adds_bias ? (layer.by_output ? layer.in : layer.out) : 0);
  }
  return columns;
}

LayerShape shape_of(const job::Model& model, Index width, const Cell& cell, const Range& range, int l) {
  LayerShape layer;
  layer.number = cell.first_layer + l;
  layer.config = model.layers[static_cast<std::size_t>(layer.number)];
  layer.in = inputs_of(model, width, layer.number);
  layer.out = layer.config.dense;
  const LayerBlock block = block_of(model, width, cell, l);
  layer.inputs = block.inputs;
  layer.outputs = block.outputs;
  layer.bias = block.bias;
  layer.range = range;
  layer.keeps_mask = layer.config.dropout > 0;
  layer.keeps_source = layer.keeps_mask || derivative_needs_input(layer.config.activation);
  if (cell.ranks == 1) return layer;
  const LayerCut& cut = cell.cuts[static_cast<std::size_t>(l)];
  layer.by_output = cut.by_output;
  layer.partial = !cut.by_output;
  layer.own_columns = widths_of(cut);
  layer.sum_columns = sum_columns_of(layer);
  return layer;
}

/// A stage alone computes a batch in one piece, if it is asked to.
Index rows_of_slot(Index max_rows, int stages, int micro_batches) {
  return stages == 1 ? max_rows : (max_rows + micro_batches - 1) / micro_batches;
}

}  // namespace

Shape::Shape(const job::Model& model, Index width, Index rows, const Cell& given, job::PipelineSchedule order,
             int micro_batches)
    : cell(given),
      schedule(order),
      layout(make_layout(model, width, given)),
      loss(model.loss),
      max_rows(rows),
      slots(PipelineOrder(order, given.stage, given.stages, micro_batches).in_flight()),
      slot_rows(rows_of_slot(rows, given.stages, micro_batches)),
      later_parts(micro_batches > 1) {
  assert(cell.layers() >= 1 && (cell.ranks == 1 || std::ssize(cell.cuts) == cell.layers()));
  for (int l = 0; l < cell.layers(); ++l)
    layers.push_back(shape_of(model, width, cell, layout.layers[static_cast<std::size_t>(l)], l));
  if (cell.ranks > 1) join_layers();
  foresee_blocks();
}

void Shape::join_layers() {
  for (int l = 0; l < count(); ++l) {
    LayerShape& layer = layers[static_cast<std::size_t>(l)];
    const bool below_has_all = l == 0 || this->layer(l - 1).has_all_outputs();
    const bool same_columns = !below_has_all && layer.partial && this->layer(l - 1).own_columns == layer.own_columns;
    layer.inputs_join = below_has_all || same_columns ? Join::none : Join::side_by_side;
    layer.deltas_join = layer.by_output ? Join::sum : same_columns ? Join::none : Join::side_by_side;
  }
}

void Shape::foresee_blocks() {
  if (has_below()) delta_columns = layers.front().in;
  for (const LayerShape& layer : layers) {
    const bool goes_below = has_below() || &layer != &layers.front();
    delta_columns = std::max(delta_columns, layer.outputs.count);
    if (layer.partial || (goes_below && layer.deltas_join == Join::sum))
      partial_columns = std::max(partial_columns, layer.sum_columns[static_cast<std::size_t>(cell.rank)]);
    if (goes_below && layer.deltas_join == Join::side_by_side)
      partial_columns = std::max(partial_columns, layer.inputs.count);
  }
  if (layers.back().by_output) partial_columns = std::max(partial_columns, layers.back().out);
}

double Shape::flops_per_row() const {
  double products = 0;
  for (const LayerShape& layer : layers) {
    const bool first = &layer == &layers.front() && !has_below();
    products += (first ? 2 : 3) * static_cast<double>(layer.inputs.count) * static_cast<double>(layer.outputs.count);
  }
  return 2 * products;
}

Index Shape::numbers() const {
  Index kept = 0;
  for (const LayerShape& layer : layers) {
    kept += layer.outputs.count * (1 + (layer.keeps_source ? 1 : 0) + (layer.keeps_mask ? 1 : 0));
    if (layer.inputs_join != Join::none) kept += layer.in;
  }
  return slot_rows * (slots * kept + 2 * delta_columns + partial_columns) + (later_parts ? layout.total : 0);
}

}  // namespace dtrain::model
