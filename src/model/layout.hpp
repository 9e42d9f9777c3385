#pragma once
/// Which weights a network has and where each lies in the one flat vector. The only such list.

#include <span>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "job/job.hpp"

namespace dtrain::model {

/// The block of a tensor of the whole network that a cell (model/cell.hpp) has. Its element (r, c) is element
/// offset + (first_row + r) * cols + first_col + c of the whole network's vector.
struct Place {
  Index offset = 0;  ///< of the whole tensor
  Index cols = 0;    ///< of the whole tensor
  Index first_row = 0, first_col = 0;
  bool operator==(const Place&) const = default;
};

/// A weight matrix lies [in, out], so that a feature's row is contiguous; a bias is [1, out].
struct Tensor {
  std::string name;  ///< as PyTorch would have it: "layers.0.weight", "layers.0.bias"
  Index rows = 0;
  Index cols = 0;
  Index offset = 0;  ///< in floats, from the start of the flat vector
  int layer = 0;     ///< index into model.layers; in a cell, from its first layer
  bool is_bias = false;
  Place whole{};  ///< where it lies if this is the layout of a cell
  Index count() const { return rows * cols; }
};

/// A half-open range of the flat vector.
struct Range {
  Index begin = 0;
  Index end = 0;
  Index count() const { return end - begin; }
  bool operator==(const Range&) const = default;
};

/// Tensors lie without gaps in layer order, weight before bias.
struct Layout {
  std::vector<Tensor> tensors;
  Index total = 0;             ///< weights in all: n
  std::vector<Range> layers;   ///< per layer, weight and bias together
  std::vector<Range> decayed;  ///< where weight decay applies: the weights, not the biases
};

/// `width`: features of a row.
Layout make_layout(const job::Model& model, Index width);

/// init(seed, tensor, global element): each element is a pure function of these. Biases are zero.
/// he: N(0, 2/in); glorot: U(+-sqrt(6/(in+out))); uniform: U(+-1/sqrt(in)); zero.
void initialise(const job::Model& model, const Layout& layout, std::uint64_t seed, std::span<float> weights);

}  // namespace dtrain::model
