#pragma once
/// Inverted dropout's masks (Srivastava et al. 2014): 0 with the given probability, 1/(1-probability) otherwise.
///
/// An element is a function of (seed, epoch, data-set row, layer, unit) and of nothing else: not of the batch, its
/// parts, or who computes them. The room's own. Pure; any thread.

#include <cstdint>
#include <span>

#include "math/matrix.hpp"
#include "model/network.hpp"

namespace dtrain::model {

/// One row of one layer; units are counted in the whole layer.
struct MaskRow {
  DropoutKey key;
  std::uint32_t row = 0;
  int layer = 0;
  double probability = 0;
};

/// Fills out with the mask of units first, first + 1, ...
void dropout_mask(const MaskRow& row, Index first, std::span<float> out);
void dropout_mask(const MaskRow& row, Index first, std::span<double> out);

}  // namespace dtrain::model
