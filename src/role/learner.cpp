#include "role/learner.hpp"

namespace dtrain::role {

Learner::Learner(const plan::Plan& plan, std::unique_ptr<Feed> feed)
    : plan_(plan),
      feed_(std::move(feed)),
      network_(plan.job.model, plan.width, plan.worker_rows(), plan.threads),
      features_(plan.worker_rows() * plan.width),
      targets_(static_cast<std::size_t>(plan.worker_rows())) {}

model::Network<float>::Result Learner::train(std::span<const std::uint32_t> rows, std::uint32_t epoch,
                                             std::span<const float> weights, std::span<float> gradient,
                                             model::LayerEvents& events) {
  const Matrix features(features_.data(), static_cast<Index>(rows.size()), plan_.width);
  const std::span<float> targets(targets_.data(), rows.size());
  feed_->gather(rows, features, targets);
  return network_.train_step({features, targets, rows}, weights, gradient, {plan_.job.seed, epoch}, events,
                             static_cast<int>(plan_.job.train.micro_batches));
}

}  // namespace dtrain::role
