#include "model/cell.hpp"

#include <algorithm>
#include <cassert>

#include <fmt/format.h>

namespace dtrain::model {
namespace {

const job::Layer& layer_of(const job::Model& model, int layer) { return model.layers[static_cast<std::size_t>(layer)]; }

Columns share_of(const LayerCut& cut, int rank) {
  const auto t = static_cast<std::size_t>(rank);
  return {cut.borders[t], cut.borders[t + 1] - cut.borders[t]};
}

/// Where the tensors of a layer of the whole network begin.
Index offset_of(const job::Model& model, Index width, int layer) {
  Index offset = 0;
  for (int l = 0; l < layer; ++l) {
    const job::Layer& config = layer_of(model, l);
    offset += (inputs_of(model, width, l) + (config.bias ? 1 : 0)) * config.dense;
  }
  return offset;
}

/// Calls run(from, to, count) for each run of elements of the range that lies in one piece in the whole network's
/// vector: `from` counts from the range's begin, `to` is the place there.
template <class Run>
void for_each_run(const Layout& cell, const Range& range, Run&& run) {
  for (const Tensor& tensor : cell.tensors) {
    const Index begin = std::max(range.begin, tensor.offset);
    const Index end = std::min(range.end, tensor.offset + tensor.count());
    for (Index at = begin; at < end;) {
      const Index row = (at - tensor.offset) / tensor.cols, col = (at - tensor.offset) % tensor.cols;
      const Index count = tensor.cols == tensor.whole.cols ? end - at : std::min(end - at, tensor.cols - col);
      const Place& place = tensor.whole;
      run(at - range.begin, place.offset + (place.first_row + row) * place.cols + place.first_col + col, count);
      at += count;
    }
  }
}

}  // namespace

Cell whole_cell(const job::Model& model) {
  Cell cell;
  cell.end_layer = static_cast<int>(model.layers.size());
  return cell;
}

Index inputs_of(const job::Model& model, Index width, int layer) {
  return layer == 0 ? width : layer_of(model, layer - 1).dense;
}

LayerBlock block_of(const job::Model& model, Index width, const Cell& cell, int l) {
  const int number = cell.first_layer + l;
  const job::Layer& config = layer_of(model, number);
  LayerBlock block{{0, inputs_of(model, width, number)}, {0, config.dense}, config.bias};
  if (cell.ranks == 1) return block;
  const LayerCut& cut = cell.cuts[static_cast<std::size_t>(l)];
  assert(std::ssize(cut.borders) == cell.ranks + 1);
  (cut.by_output ? block.outputs : block.inputs) = share_of(cut, cell.rank);
  block.bias = config.bias && (cut.by_output || cell.rank == 0);
  return block;
}

Layout make_layout(const job::Model& model, Index width, const Cell& cell) {
  Layout layout;
  Index whole = offset_of(model, width, cell.first_layer);
  const auto append = [&](int l, const char* kind, Index rows, Index cols, bool is_bias, const Place& place) {
    if (rows * cols == 0) return;
    layout.tensors.push_back(
        {fmt::format("layers.{}.{}", cell.first_layer + l, kind), rows, cols, layout.total, l, is_bias, place});
    layout.total += rows * cols;
  };
  for (int l = 0; l < cell.layers(); ++l) {
    const job::Layer& config = layer_of(model, cell.first_layer + l);
    const auto [inputs, outputs, bias] = block_of(model, width, cell, l);
    const Index begin = layout.total;
    append(l, "weight", inputs.count, outputs.count, false, {whole, config.dense, inputs.first, outputs.first});
    if (layout.total > begin) layout.decayed.push_back({begin, layout.total});
    whole += inputs_of(model, width, cell.first_layer + l) * config.dense;
    if (bias) append(l, "bias", 1, outputs.count, true, {whole, config.dense, 0, outputs.first});
    if (config.bias) whole += config.dense;
    layout.layers.push_back({begin, layout.total});
  }
  return layout;
}

void take_part(const Layout& cell, const Range& range, std::span<const float> whole, std::span<float> part) {
  assert(std::ssize(part) == range.count());
  for_each_run(cell, range, [&](Index in_part, Index in_whole, Index count) {
    std::copy_n(whole.data() + in_whole, count, part.data() + in_part);
  });
}

void put_part(const Layout& cell, const Range& range, std::span<const float> part, std::span<float> whole) {
  assert(std::ssize(part) == range.count());
  for_each_run(cell, range, [&](Index in_part, Index in_whole, Index count) {
    std::copy_n(part.data() + in_part, count, whole.data() + in_whole);
  });
}

Index whole_place(const Layout& cell, Index element) {
  for (const Tensor& tensor : cell.tensors) {
    const Index within = element - tensor.offset;
    if (within < 0 || within >= tensor.count()) continue;
    const Index row = tensor.whole.first_row + within / tensor.cols,
                col = tensor.whole.first_col + within % tensor.cols;
    return tensor.whole.offset + row * tensor.whole.cols + col;
  }
  return element;
}

}  // namespace dtrain::model
