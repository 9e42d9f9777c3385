#pragma once
/// What a cell computes of each of its layers, how layers join where they are cut differently, and how much memory that
/// takes. The room's own. Pure; any thread.
///
/// Two forms in a tensor group (Shoeybi 2019). By output: Y_t = X A_t, from all inputs; the ranks' outputs lie side by
/// side, their gradients by X are summed. By input: Y = sum of X_t A_t, from a rank's own inputs; the ranks' products
/// are summed, and their gradients by X lie side by side. By output and then, with the same borders, by input needs one
/// sum each way and nothing else.

#include <vector>

#include "model/cell.hpp"
#include "model/pipeline.hpp"

namespace dtrain::model {

/// How what a rank has becomes what it needs. The same at all ranks of a group.
enum class Join {
  none,  ///< it has it
  side_by_side,
  sum
};

struct LayerShape {
  job::Layer config;
  int number = 0;         ///< in the whole network
  Index in = 0, out = 0;  ///< of the whole layer
  Columns inputs;         ///< that it computes with
  Columns outputs;        ///< that it has when the layer is forward
  bool bias = false;
  Range range;                     ///< weights [inputs, outputs], then biases, in the flat vector
  bool partial = false;            ///< of form input: products of all ranks make up the outputs
  bool by_output = false;          ///< of form output
  Join inputs_join = Join::none;   ///< of what the layer below has, to what this one needs: none or side_by_side
  Join deltas_join = Join::none;   ///< of the ranks' gradients by the inputs, to what the layer below needs
  std::vector<Index> own_columns;  ///< of each rank: of the outputs (form output) or inputs (form input)
  std::vector<Index> sum_columns;  ///< of each rank: of its part of a sum; all of it or 0
  bool keeps_source = false, keeps_mask = false;

  Index bias_offset() const { return range.begin + inputs.count * outputs.count; }
  bool has_all_outputs() const { return !by_output; }
};

struct Shape {
  Shape(const job::Model& model, Index width, Index max_rows, const Cell& cell, job::PipelineSchedule schedule,
        int micro_batches);

  Cell cell;
  job::PipelineSchedule schedule;
  Layout layout;
  job::Loss loss;
  std::vector<LayerShape> layers;
  Index max_rows;             ///< of a batch
  int slots = 1;              ///< micro-batches that are in flight at once
  Index slot_rows;            ///< of one of them
  Index delta_columns = 0;    ///< of the widest gradient
  Index partial_columns = 0;  ///< of the widest block on its way to be joined, or joined and not kept
  bool later_parts;           ///< there are micro-batches whose gradients are added to that of the first

  int count() const { return static_cast<int>(layers.size()); }
  const LayerShape& layer(int l) const { return layers[static_cast<std::size_t>(l)]; }
  bool has_below() const { return !cell.first(); }
  /// Multiplications and additions of a row.
  double flops_per_row() const;
  /// Numbers that a network of this shape holds, gradients and weights apart.
  Index numbers() const;

 private:
  void join_layers();
  void foresee_blocks();
};

}  // namespace dtrain::model
