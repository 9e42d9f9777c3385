#pragma once
/// The rows of a step, and the network that learns from them: what every role that computes has.
///
/// One thread drives it; the plan's threads work in it.

#include <memory>
#include <span>
#include <vector>

#include "data/data.hpp"
#include "data/division.hpp"
#include "model/network.hpp"
#include "plan/plan.hpp"
#include "role/gathered.hpp"

namespace dtrain::role {

class Learner {
 public:
  /// Reads the training rows. `plan` must outlive this. Throws Error(Kind::data).
  Learner(const plan::Plan& plan, const data::Encoding& encoding);

  /// Forward and backward of step `step` on these rows: their mean gradient, and the sum of their losses.
  model::Network<float>::Result train(std::span<const std::uint32_t> rows, std::uint32_t epoch,
                                      std::span<const float> weights, std::span<float> gradient,
                                      model::LayerEvents& events);

  /// Where rows are sparse (plan.sparse) and whoever drives this must know which weights they touch: gathers them, and
  /// then trains on them, as above. Only touched rows of the first matrix get a gradient, in `gathered`, where the plan
  /// steps rows; and they are read there if it has been given first_weights.
  void gather(std::span<const std::uint32_t> rows, Gathered& to);
  model::Network<float>::Result train(std::span<const std::uint32_t> rows, Gathered& gathered, std::uint32_t epoch,
                                      std::span<const float> weights, std::span<float> gradient,
                                      model::LayerEvents& events);

 private:
  model::Network<float>::Result train(const model::Batch<float>& batch, std::uint32_t epoch,
                                      std::span<const float> weights, std::span<float> gradient,
                                      model::LayerEvents& events);

  const plan::Plan& plan_;
  std::unique_ptr<data::Rows> rows_;
  model::Network<float> network_;
  Arena features_;
  std::vector<float> targets_;
  Gathered own_;
};

}  // namespace dtrain::role
