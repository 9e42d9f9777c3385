#pragma once
/// The rows of a step, and the network that learns from them: what every role that computes has.
///
/// One thread drives it; the plan's threads work in it.

#include <memory>
#include <span>
#include <vector>

#include "model/network.hpp"
#include "plan/plan.hpp"
#include "role/feed.hpp"
#include "role/gathered.hpp"

namespace dtrain::role {

class Learner {
 public:
  /// `plan` and `neighbours`, of a part of a split network, must outlive this.
  Learner(const plan::Plan& plan, std::unique_ptr<Feed> feed, model::Neighbours<float>* neighbours = nullptr);

  /// Where the rows come from; before train() it must have them.
  Feed& feed() { return *feed_; }
  const Feed& feed() const { return *feed_; }

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

  /// Later stages of a pipeline need none, but what others send has them.
  bool takes_features() const { return plan_.cell.first() || plan_.loaders() > 0; }

  const plan::Plan& plan_;
  std::unique_ptr<Feed> feed_;
  model::Network<float> network_;
  Arena features_;
  std::vector<float> targets_;
  Gathered own_;
};

}  // namespace dtrain::role
