#pragma once
/// Which weights a network has and where each lies in the one flat vector. The only such list.

#include <span>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "job/job.hpp"

namespace dtrain::model {

/// A weight matrix lies [in, out], so that a feature's row is contiguous; a bias is [1, out].
struct Tensor {
  std::string name;  ///< as PyTorch would have it: "layers.0.weight", "layers.0.bias"
  Index rows = 0;
  Index cols = 0;
  Index offset = 0;  ///< in floats, from the start of the flat vector
  int layer = 0;     ///< index into model.layers
  bool is_bias = false;
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
