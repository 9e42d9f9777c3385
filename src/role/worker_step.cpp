/// One step.

#include <algorithm>
#include <cmath>

#include "base/error.hpp"
#include "role/role.hpp"
#include "role/worker_role.hpp"

namespace dtrain::role {

bool Worker::has_rows_now() {
  if (worklist_) return worklist_->of(rank_).has_value();
  return division_.count(static_cast<Index>(clock_), rank_) > 0;
}

std::span<const std::uint32_t> Worker::rows_of_step() {
  if (!worklist_) return division_.rows(static_cast<Index>(clock_), rank_);
  const auto portion = worklist_->of(rank_);
  return division_.rows(portion->step, portion->part);
}

Worker::Outcome Worker::step() {
  wait_until_sent();
  if (interrupted()) return Outcome::again;
  if (own_) {
    // Whoever steps alone waits for others only where a block begins.
    if (since_ == clock_ && !await_layers(0, static_cast<int>(plan_.layout.layers.size()) - 1)) return Outcome::again;
    return step_alone() ? Outcome::done : Outcome::again;
  }
  computing_ = false;
  if (!enter_step(true)) return Outcome::again;
  if (!train_on_rows()) return overtaken() ? Outcome::overtaken : Outcome::again;
  return Outcome::done;
}

/// Where others hold the rows of this step: until they are here; false if the step is to be given up.
bool Worker::await_rows(Index step) {
  Feed& feed = learner_.feed();
  feed.expect(step);
  while (!feed.has(batch_rows_)) {
    const Lap lap(fetch_seconds_);
    poll(100, Phase::fetching);
    drain();
    if (interrupted() || overtaken()) return false;
  }
  return true;
}

/// Forward and backward on this step's rows; false if it was given up on the way.
bool Worker::train_on_rows() {
  batch_rows_ = rows_of_step();
  const auto step = worklist_ ? worklist_->of(rank_)->step : static_cast<Index>(clock_);
  if (!by_rows() && !await_rows(step)) return false;
  const std::uint32_t epoch = division_.epoch_of(step);
  const std::span<float> gradient = gradients_.back().values.span();
  const auto result =
      by_rows() ? learner_.train(batch_rows_, gathered_[clock_ % gathered_.size()], epoch, weights(), gradient, *this)
                : learner_.train(batch_rows_, epoch, weights(), gradient, *this);
  if (!result.completed) return false;
  note_loss(result.loss_sum);
  return true;
}

void Worker::note_loss(double loss_sum) {
  if (plan_.job.train.on_nonfinite == job::OnNonfinite::stop && !std::isfinite(loss_sum))
    fail(Kind::diverged,
         "the loss of step {} is not finite on {}; a lower train.optimizer.learning_rate or train.clip_norm may help",
         clock_ + 1, link_.name());
  committed_ = !traits_.gated;
  since_exchange_.loss += loss_sum;
  since_exchange_.rows += batch_rows_.size();
  const StepRecord record{clock_, loss_sum, batch_rows_.size()};
  if (worklist_) {
    tried_ = record;
  } else {
    this->record(record);
    tally_.rows += record.rows;
  }
  link_.beat(clock_, Phase::computing);
}

/// A step in which this rank has no rows: it says so, once it has been released into it.
Worker::Outcome Worker::idle_step() {
  if (!await_layers(0, static_cast<int>(plan_.layout.layers.size()) - 1))
    return overtaken() ? Outcome::overtaken : Outcome::again;
  if (!enter_step(false)) return Outcome::again;
  save_kept_if_asked();
  since_exchange_.rows = 0;
  pushed_ = Pushed{.clock = clock_};
  tell_servers(wire::Type::push);
  if (!worklist_) record({clock_, 0, 0});
  return Outcome::done;
}

/// A step of others: until they have done it.
Worker::Outcome Worker::sit_out() {
  while (!have_all(clock_ + 1)) {
    const Lap lap(wait_seconds_);
    poll(100, Phase::waiting);
    drain();
    if (interrupted()) return Outcome::again;
  }
  save_kept_if_asked();
  record({clock_, 0, 0});
  return Outcome::done;
}

bool Worker::before_forward(int layer) {
  link_.beat(clock_, Phase::computing);
  if (traits_.abandons) drain();
  if (overtaken() || !await_layers(layer, layer)) return false;
  if (layer == 0) began_ = Clock::now();
  computing_ = true;
  return true;
}

bool Worker::after_backward(int layer) {
  if (inject_ && layer == static_cast<int>(plan_.layout.layers.size()) - 1 && !pad_step()) return false;
  const Lap lap(communicate_seconds_);
  if (traits_.abandons) drain();
  if (overtaken()) return false;
  if (!own_) {
    push_gradient(layer);
  } else if (plan_.job.train.clip_norm == 0) {
    own_->step_layer(own_gradient_, layer);
  }
  link_.beat(clock_, Phase::computing);
  return true;
}

/// A straggler made on purpose: the step takes as long as the draw says, and its gradient leaves then. It waits at the
/// socket, so that whoever ends the step without it is heard.
bool Worker::pad_step() {
  const Seconds wanted(plan_.job.faults.inject.unit * inject_->draw(plan_.job.seed, rank_, clock_));
  for (;;) {
    drain();
    const Seconds left = wanted - (Clock::now() - began_);
    if (overtaken()) return false;
    if (left.count() <= 0 || stopping_) return true;
    poll(static_cast<int>(std::min(100.0, left.count() * 1000)), Phase::computing);
  }
}

}  // namespace dtrain::role
