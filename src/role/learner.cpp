#include "role/learner.hpp"

namespace dtrain::role {

Learner::Learner(const plan::Plan& plan, std::unique_ptr<Feed> feed, model::Neighbours<float>* neighbours)
    : plan_(plan),
      feed_(std::move(feed)),
      network_(
          plan.job.model, plan.width, plan.worker_rows(), plan.threads,
          {plan.cell, plan.job.topology.split.schedule, static_cast<int>(*plan.job.train.micro_batches), neighbours}),
      features_(plan.sparse == plan::Sparse::none && takes_features() ? plan.worker_rows() * plan.width : 0),
      targets_(static_cast<std::size_t>(plan.worker_rows())) {}

void Learner::gather(std::span<const std::uint32_t> rows, Gathered& to) {
  to.targets.resize(rows.size());
  feed_->gather_sparse(rows, to.batch, to.targets);
  to.touched.find(to.batch);
  to.first_weights.clear();
  to.first_gradient.resize(static_cast<std::size_t>(to.touched.count() * plan_.layout.tensors.front().cols));
}

model::Network<float>::Result Learner::train(std::span<const std::uint32_t> rows, std::uint32_t epoch,
                                             std::span<const float> weights, std::span<float> gradient,
                                             model::LayerEvents& events) {
  if (plan_.sparse != plan::Sparse::none) {
    gather(rows, own_);
    return train(rows, own_, epoch, weights, gradient, events);
  }
  const Matrix features(takes_features() ? features_.data() : nullptr, static_cast<Index>(rows.size()), plan_.width);
  const std::span<float> targets(targets_.data(), rows.size());
  feed_->gather(rows, features, targets);
  return train({features, targets, rows}, epoch, weights, gradient, events);
}

model::Network<float>::Result Learner::train(std::span<const std::uint32_t> rows, Gathered& gathered,
                                             std::uint32_t epoch, std::span<const float> weights,
                                             std::span<float> gradient, model::LayerEvents& events) {
  const auto input = gathered.input(plan_.sparse == plan::Sparse::input);
  return train({{nullptr, static_cast<Index>(rows.size()), plan_.width}, gathered.targets, rows, input}, epoch, weights,
               gradient, events);
}

model::Network<float>::Result Learner::train(const model::Batch<float>& batch, std::uint32_t epoch,
                                             std::span<const float> weights, std::span<float> gradient,
                                             model::LayerEvents& events) {
  return network_.train_step(batch, weights, gradient, {plan_.job.seed, epoch}, events,
                             static_cast<int>(*plan_.job.train.micro_batches));
}

}  // namespace dtrain::role
