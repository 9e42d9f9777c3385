#pragma once
/// One network over several ranks (ALGORITHMS.md, section 5): by layers (a pipeline's stages) and, within a stage, by
/// weight matrices (the ranks of a tensor group). What one rank of that grid has is a cell; every weight lies in
/// exactly one.
///
/// Sources: Huang 2019 (GPipe), Narayanan 2019 (1F1B), Shoeybi 2019 (column and row splits). Pure; any thread.

#include <span>
#include <vector>

#include "job/job.hpp"
#include "model/layout.hpp"

namespace dtrain::model {

/// How one layer is cut over the ranks of a tensor group: rank t has outputs (form output: columns of the weights, and
/// the biases of these) or inputs (form input: rows of the weights; rank 0 the biases) [borders[t], borders[t + 1]).
/// What is not split (none) is of form input, and all inputs are rank 0's.
struct LayerCut {
  bool by_output = false;
  std::vector<Index> borders;  ///< ranks + 1, ascending from 0; some ranks may have nothing
  bool operator==(const LayerCut&) const = default;
};

struct Cell {
  int stage = 0, stages = 1;
  int rank = 0, ranks = 1;             ///< in the tensor group of its stage
  int first_layer = 0, end_layer = 0;  ///< of model.layers
  std::vector<LayerCut> cuts;          ///< of these layers, in order; empty where ranks is 1

  int layers() const { return end_layer - first_layer; }
  bool first() const { return stage == 0; }
  bool last() const { return stage + 1 == stages; }
  bool whole() const { return stages == 1 && ranks == 1; }
  bool operator==(const Cell&) const = default;
};

/// All of it.
Cell whole_cell(const job::Model& model);

/// Columns of a layer's inputs or outputs, counted in the whole layer.
struct Columns {
  Index first = 0;
  Index count = 0;
  bool operator==(const Columns&) const = default;
};

/// What a cell has of one layer: these inputs and outputs of its weights (of one of the two always all), and perhaps
/// the biases of these outputs.
struct LayerBlock {
  Columns inputs, outputs;
  bool bias = false;
};

/// Of the cell's layer l, counted from its first one.
LayerBlock block_of(const job::Model& model, Index width, const Cell& cell, int l);

/// Inputs of a layer of the whole network: outputs of the one below, or features.
Index inputs_of(const job::Model& model, Index width, int layer);

/// What a cell has, in a vector of its own: tensors and layers count from its first layer, `Tensor::whole` says where
/// they lie in the whole network's. Tensors of which it has nothing are left out; every layer has its Range, perhaps an
/// empty one. `width`: features of a row.
Layout make_layout(const job::Model& model, Index width, const Cell& cell);

/// Where an element of a cell's vector lies in the whole network's.
Index whole_place(const Layout& cell, Index element);

/// Elements [range.begin, range.end) of a cell's vector, from the whole network's and back. `part` has range.count()
/// elements, `whole` the whole network's.
void take_part(const Layout& cell, const Range& range, std::span<const float> whole, std::span<float> part);
void put_part(const Layout& cell, const Range& range, std::span<const float> part, std::span<float> whole);

}  // namespace dtrain::model
