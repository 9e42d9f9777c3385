#include "role/solo.hpp"

#include <cmath>

#include "data/division.hpp"
#include "math/gemm.hpp"
#include "role/learner.hpp"
#include "role/owner.hpp"
#include "role/role.hpp"

namespace dtrain::role {
namespace {

class Solo final : public model::LayerEvents {
 public:
  explicit Solo(Course& course)
      : course_(course),
        plan_(course.plan()),
        learner_(plan_, make_feed(plan_, course.survey().encoding)),
        division_(plan_.job, plan_.facts, {0}),
        owner_(plan_, 0, plan_.threads),
        gradient_(plan_.layout.total) {
    if (const data::Rows* rows = learner_.feed().rows()) division_.know(*rows);
    contribution_.resize(1);
    for (const plan::Piece& piece : owner_.slice().pieces)
      contribution_[0].pieces.push_back(gradient_.data() + piece.offset);
  }

  Tally train();

  /// Without clipping a layer is stepped as soon as its gradient is final, while that is in the cache. Not in place,
  /// where the layer below has yet to read it.
  bool after_backward(int layer) override {
    if (steps_by_layer()) owner_.step_layer(contribution_, layer);
    return true;
  }

 private:
  bool clips() const { return plan_.job.train.clip_norm > 0; }
  bool by_rows() const { return plan_.sparse == plan::Sparse::rows; }
  bool steps_by_layer() const { return !clips() && !by_rows(); }
  void start();
  void step();
  model::Network<float>::Result train(std::span<const std::uint32_t> rows, std::uint32_t epoch);
  std::optional<Index> finish_step(Index after);
  void point_at_rows();
  void snapshot_if_due(Index before, Index after);
  void hand_over(bool evaluate, bool save, bool last, std::uint64_t next_clock);

  Course& course_;
  const plan::Plan& plan_;
  Learner learner_;
  data::Division division_;
  Owner owner_;
  Arena gradient_;
  Gathered gathered_;  ///< where rows are stepped
  std::vector<Contribution> contribution_;
  std::uint64_t clock_ = 0;
  Tally tally_;
};

void Solo::start() {
  store::State state = course_.take_initial_state();
  clock_ = state.clocks.front();
  Version& version = owner_.current();
  version.weights = std::move(state.weights);
  version.moments = std::move(state.moments);
  version.updates = state.updates;
  version.applied_rows = state.applied_rows;
  course_.tracker().begin({clock_}, version.applied_rows);
}

Tally Solo::train() {
  start();
  double seconds = 0;
  Clock::time_point looked = Clock::now();
  {
    const Lap lap(seconds);
    while (clock_ < static_cast<std::uint64_t>(plan_.total_steps)) {
      step();
      if (Clock::now() - looked < std::chrono::milliseconds(20)) continue;
      looked = Clock::now();
      course_.take_results();
      if (course_.save_due()) hand_over(false, true, false, clock_);
      if (course_.should_stop()) break;
    }
  }
  course_.tracker().end();
  hand_over(plan_.facts.test_rows > 0, true, true, clock_);
  tally_.compute_seconds = seconds;
  tally_.peak_bytes = peak_bytes();
  return tally_;
}

void Solo::step() {
  course_.suffer(wire::Role::worker, 0, clock_);
  course_.suffer(wire::Role::coordinator, 0, clock_);
  const std::span<const std::uint32_t> rows = division_.rows(static_cast<Index>(clock_), 0);
  const std::uint32_t epoch = division_.epoch_of(static_cast<Index>(clock_));
  const Index before = owner_.current().applied_rows;
  const Index after = division_.applied_before(static_cast<Index>(clock_) + 1);
  if (steps_by_layer()) owner_.open(1, after);
  const auto result = train(rows, epoch);
  if (plan_.job.train.on_nonfinite == job::OnNonfinite::stop && !std::isfinite(result.loss_sum))
    fail(Kind::diverged,
         "the loss of step {} is not finite; a lower train.optimizer.learning_rate or train.clip_norm may help",
         clock_ + 1);
  if (const auto bad = finish_step(after))
    fail(Kind::diverged,
         "the gradient of step {} is not finite from weight {} on; a lower train.optimizer.learning_rate "
         "or train.clip_norm may help",
         clock_ + 1, *bad);
  course_.tracker().record(0, {clock_, result.loss_sum, rows.size()});
  tally_.rows += rows.size();
  ++tally_.steps;
  snapshot_if_due(before, after);
  ++clock_;
}

model::Network<float>::Result Solo::train(std::span<const std::uint32_t> rows, std::uint32_t epoch) {
  const std::span<const float> weights = owner_.current().weights.span();
  if (!by_rows()) return learner_.train(rows, epoch, weights, gradient_.span(), *this);
  learner_.gather(rows, gathered_);
  owner_.catch_up(gathered_.touched.features());
  return learner_.train(rows, gathered_, epoch, weights, gradient_.span(), *this);
}

std::optional<Index> Solo::finish_step(Index after) {
  if (by_rows()) point_at_rows();
  if (clips()) return owner_.step_clipped(contribution_, after);
  return by_rows() ? owner_.step(contribution_, 1, after) : owner_.close();
}

/// Of the first matrix there is a gradient only for the rows that were touched.
void Solo::point_at_rows() {
  Contribution& own = contribution_.front();
  own.rows = gathered_.touched.features();
  for (std::size_t p = 0; p < own.pieces.size(); ++p) {
    const plan::Piece& piece = owner_.slice().pieces[p];
    if (!piece.by_rows) continue;
    const RowsWithin range =
        rows_within(own.rows, plan_.layout.tensors.front().cols, piece.offset, piece.offset + piece.count);
    own.pieces[p] = gathered_.first_gradient.data() + range.begin;
  }
}

void Solo::snapshot_if_due(Index before, Index after) {
  const bool evaluate = plan_.facts.test_rows > 0 && plan::due(plan_, plan_.job.train.evaluate, before, after);
  const bool save = plan::due(plan_, plan_.job.checkpoint.every, before, after);
  if ((evaluate || save) && after < plan_.total_rows) hand_over(evaluate, save, false, clock_ + 1);
}

void Solo::hand_over(bool evaluate, bool save, bool last, std::uint64_t next_clock) {
  owner_.catch_up();
  const Version& version = owner_.current();
  Snapshot snapshot{evaluate, save, last, {}, 0};
  store::State& state = snapshot.state;
  state.clocks = {next_clock};
  state.step = state.clocks.front();
  state.updates = version.updates;
  state.applied_rows = version.applied_rows;
  state.facts = course_.state_facts();
  const auto copy = [](const Arena& from) {
    Arena to(from.size());
    std::copy(from.span().begin(), from.span().end(), to.data());
    return to;
  };
  state.weights = copy(version.weights);
  for (const Arena& moment : version.moments)
    if (save) state.moments.push_back(copy(moment));
  course_.aside().hand_over(std::move(snapshot));
}

}  // namespace

std::vector<RoleReport> run_solo(Course& course) {
  set_blas_threads(1);
  Solo solo(course);
  const Tally tally = solo.train();
  return {{"worker", 0, tally}};
}

}  // namespace dtrain::role
