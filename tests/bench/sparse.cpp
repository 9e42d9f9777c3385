// Forward and backward of the first layer from sparse rows against the same as dense products, side by side: how many
// of the features may be other than zero for sparse rows to be faster, and what steps cost that touch few of many.

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "base/random.hpp"
#include "math/gemm.hpp"
#include "model/network.hpp"

using namespace dtrain;

namespace {

constexpr Index rows = 128;

struct Problem {
  job::Model model;
  SparseBatch sparse;
  Touched touched;
  std::vector<float> targets = std::vector<float>(rows);
  std::vector<std::uint32_t> numbers = std::vector<std::uint32_t>(rows);

  Problem(Index width, Index hidden, Index nonzeros) {
    model.layers.resize(2);
    model.layers[0].dense = hidden;
    model.layers[0].activation = job::Activation::relu;
    model.layers[1].dense = 2;
    sparse.begins.push_back(0);
    const Index gap = width / nonzeros;
    for (std::uint32_t r = 0; r < rows; ++r) {
      for (Index k = 0; k < nonzeros; ++k) {
        const std::uint32_t draw = dtrain::draw(1, Purpose::init, r, static_cast<std::uint64_t>(k))[0];
        sparse.indices.push_back(static_cast<std::uint32_t>(k * gap + draw % gap));
        sparse.values.push_back(1);
      }
      sparse.begins.push_back(static_cast<std::uint32_t>(sparse.indices.size()));
      targets[r] = static_cast<float>(r % 2);
    }
  }
};

/// Seconds of a step, the best of several.
template <class Step>
double best(Step&& step) {
  double least = 1e9, spent = 0;
  while (spent < 0.2) {
    const auto start = std::chrono::steady_clock::now();
    step();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    least = std::min(least, seconds), spent += seconds;
  }
  return least;
}

void compare(Index width, Index hidden, Index nonzeros, bool dense_too) {
  Problem p(width, hidden, nonzeros);
  model::Network<float> network(p.model, width, rows, 1);
  Arena weights(network.layout().total), gradient(network.layout().total);
  model::LayerEvents events;
  std::vector<float> first;
  const double sparse = best([&] {
    p.touched.find(p.sparse);
    first.resize(static_cast<std::size_t>(p.touched.count() * hidden));
    model::SparseInput<float> input;
    input.rows = {p.sparse.begins, p.sparse.indices, p.sparse.values};
    input.touched = &p.touched;
    input.first_gradient = first;
    network.train_step({{nullptr, rows, width}, p.targets, p.numbers, input}, std::as_const(weights).span(),
                       gradient.span(), {}, events);
  });
  std::printf("%9ld %6ld %8ld %10.1f", static_cast<long>(width), static_cast<long>(hidden), static_cast<long>(nonzeros),
              1e6 * sparse);
  if (dense_too) {
    Arena features(rows * width);
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t k = p.sparse.begins[r]; k < p.sparse.begins[r + 1]; ++k)
        features.data()[r * static_cast<std::size_t>(width) + p.sparse.indices[k]] = p.sparse.values[k];
    const double dense = best([&] {
      network.train_step({{features.data(), rows, width}, p.targets, p.numbers}, std::as_const(weights).span(),
                         gradient.span(), {}, events);
    });
    std::printf(" %10.1f %8.2f", 1e6 * dense, dense / sparse);
  }
  std::printf("\n");
}

}  // namespace

int main() {
  set_blas_threads(1);
  std::printf("%9s %6s %8s %10s %10s %8s\n", "features", "hidden", "nonzeros", "sparse us", "dense us", "ratio");
  for (const Index hidden : {16, 64, 256})
    for (const Index width : {128, 1024, 8192})
      for (const Index share : {4, 8, 16, 32, 64}) compare(width, hidden, width / share, true);
  for (const Index width : {10'000, 100'000, 1'000'000}) compare(width, 32, 100, width <= 100'000);
}
