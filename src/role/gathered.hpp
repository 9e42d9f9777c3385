#pragma once
/// Sparse rows of one step, and what goes with the rows of the first weight matrix that they touch.

#include <span>
#include <vector>

#include "math/sparse.hpp"
#include "model/network.hpp"

namespace dtrain::role {

/// Kept from step to step, so that it allocates only while it grows. One thread.
struct Gathered {
  SparseBatch batch;
  Touched touched;
  std::vector<float> targets;
  std::vector<float> first_weights;   ///< the touched rows, one behind the other; empty: as they lie in the weights
  std::vector<float> first_gradient;  ///< of the touched rows, as those

  /// As the network takes it.
  model::SparseInput<float> input(bool fills_gradient) {
    model::SparseInput<float> input;
    input.rows = {batch.begins, first_weights.empty() ? batch.indices : touched.slots(), batch.values};
    input.touched = &touched;
    input.first_weights = first_weights;
    input.first_gradient = first_gradient;
    input.fills_gradient = fills_gradient;
    return input;
  }
};

}  // namespace dtrain::role
