#include "model/layout.hpp"

#include <cassert>
#include <cmath>

#include "model/cell.hpp"

namespace dtrain::model {
namespace {

job::Init resolve(const job::Layer& layer) {
  if (layer.init != job::Init::automatic) return layer.init;
  switch (layer.activation) {
    case job::Activation::relu:
    case job::Activation::leaky_relu:
    case job::Activation::gelu:
    case job::Activation::softplus: return job::Init::he;
    case job::Activation::none:
    case job::Activation::tanh:
    case job::Activation::sigmoid: return job::Init::glorot;
  }
  return job::Init::glorot;
}

double half_width(job::Init init, const Tensor& tensor) {
  const auto in = static_cast<double>(tensor.rows), out = static_cast<double>(tensor.cols);
  return init == job::Init::glorot ? std::sqrt(6 / (in + out)) : 1 / std::sqrt(in);
}

/// Fills from element 0; element e depends on draw e/4 only.
template <class Draw>
void fill(const Tensor& tensor, std::uint64_t seed, std::span<float> out, Draw&& four) {
  const auto which = static_cast<std::uint32_t>(tensor.layer);
  for (std::size_t e = 0; e < out.size(); e += 4) {
    const auto values = four(draw(seed, Purpose::init, which, e / 4));
    for (std::size_t k = 0; k < 4 && e + k < out.size(); ++k) out[e + k] = static_cast<float>(values[k]);
  }
}

void fill_normal(const Tensor& tensor, std::uint64_t seed, std::span<float> out) {
  const double deviation = std::sqrt(2 / static_cast<double>(tensor.rows));
  fill(tensor, seed, out, [&](const Block& bits) {
    const auto a = normals(bits[0], bits[1]), b = normals(bits[2], bits[3]);
    return std::array{deviation * a[0], deviation * a[1], deviation * b[0], deviation * b[1]};
  });
}

void fill_uniform(const Tensor& tensor, std::uint64_t seed, double half, std::span<float> out) {
  const auto value = [&](std::uint32_t bits) { return half * (2 * double{unit(bits)} - 1); };
  fill(tensor, seed, out, [&](const Block& bits) {
    return std::array{value(bits[0]), value(bits[1]), value(bits[2]), value(bits[3])};
  });
}

}  // namespace

Layout make_layout(const job::Model& model, Index width) { return make_layout(model, width, whole_cell(model)); }

void initialise(const job::Model& model, const Layout& layout, std::uint64_t seed, std::span<float> weights) {
  assert(static_cast<Index>(weights.size()) == layout.total);
  for (const Tensor& tensor : layout.tensors) {
    const auto out = weights.subspan(static_cast<std::size_t>(tensor.offset), static_cast<std::size_t>(tensor.count()));
    const job::Init init = resolve(model.layers[static_cast<std::size_t>(tensor.layer)]);
    if (tensor.is_bias || init == job::Init::zero)
      std::fill(out.begin(), out.end(), 0.0f);
    else if (init == job::Init::he)
      fill_normal(tensor, seed, out);
    else
      fill_uniform(tensor, seed, half_width(init, tensor), out);
  }
}

}  // namespace dtrain::model
