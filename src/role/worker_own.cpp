/// Where workers step by themselves (local, easgd, bmuf): their own weights, moments and schedule.

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/error.hpp"
#include "role/role.hpp"
#include "role/worker_role.hpp"

namespace dtrain::role {

Worker::Since Worker::Since::of(const std::vector<double>& saved) {
  if (saved.size() != 2) return {};
  return {static_cast<std::uint64_t>(saved[0]), saved[1]};
}

/// A loss that is not finite guides nobody.
std::vector<double> Worker::Since::saved() const { return {static_cast<double>(rows), std::isfinite(loss) ? loss : 0}; }

/// One step of an optimizer of its own, and the exchange before or after it. False if it is given up, by a replica.
bool Worker::step_alone() {
  using Exchange = sync::Turn::Exchange;
  save_if_asked(clock_);
  const bool pushes_first = turn_.exchange == Exchange::weights_before;
  if (!enter_step(has_rows_ && !pushes_first)) return false;
  const Index before = division_.applied_before(static_cast<Index>(clock_));
  const Index after = division_.applied_before(static_cast<Index>(clock_) + 1);
  own_->current().applied_rows = before;
  const auto rows = static_cast<std::uint64_t>(division_.count(static_cast<Index>(clock_), rank_));
  if (pushes_first) since_exchange_.rows += rows, push_own(), since_exchange_.rows -= rows;
  const bool pushed = since_exchange_.rows + rows > 0;
  const Since since = since_exchange_;
  if (has_rows_) {
    own_->open(1, after);
    computing_ = true;
    const bool completed = train_on_rows();
    computing_ = false;
    if (!completed) return false;
    finish_own_step(after);
  } else {
    record({clock_, 0, 0});
  }
  since_before_ = since;
  stepped_ = has_rows_;
  if (turn_.exchange == Exchange::weights_after) push_own(), forget_momentum();
  if (turn_.exchange != Exchange::none) since_exchange_ = {};
  if (pushes_first) pull_at_centre(pushed);
  return true;
}

/// Clipping needs the norm of the whole gradient; otherwise every layer has been stepped when it was ready.
void Worker::finish_own_step(Index after) {
  const std::optional<Index> bad = plan_.job.train.clip_norm > 0
                                       ? own_->step_clipped(own_gradient_, after, over_cells(replica_.get()))
                                       : own_->close();
  if (bad)
    fail(Kind::diverged,
         "the gradient of step {} is not finite from weight {} on, on {}; a lower "
         "train.optimizer.learning_rate or train.clip_norm may help",
         clock_ + 1, model::whole_place(plan_.layout, *bad), link_.name());
}

/// Weights, and moments where those are averaged, to all servers.
void Worker::push_own() {
  committed_ = !traits_.gated;
  pushed_ = Pushed{.clock = clock_, .rows = since_exchange_.rows, .version = &own_->current()};
  if (pushed_->rows == 0) return tell_servers(wire::Type::push);
  pushed_->note = std::bit_cast<std::uint64_t>(since_exchange_.loss / static_cast<double>(pushed_->rows));
  for (std::size_t m = 0; m < servers_.size(); ++m)
    for (std::size_t i = 0; i < servers_[m].arrived.size(); ++i) {
      const std::size_t pieces = plan_.slices[m].pieces.size();
      send_push(m, i / pieces, i % pieces);
    }
}

/// What is pushed are the weights; the moments stay, unless the job has them begin anew with each block.
void Worker::forget_momentum() {
  if (plan_.job.sync.momentum != job::AverageMomentum::reset) return;
  for (Arena& moment : own_->current().moments) std::fill(moment.span().begin(), moment.span().end(), 0.0f);
}

/// The elastic term, with the weights that were pushed and the centre that they met.
/// Where nothing was pushed the centre did not move towards this worker, nor does it towards the centre.
void Worker::pull_at_centre(bool has_pushed) {
  await_all(clock_ + 1);
  if (!stepped_ && !own_->current().in_flight.idle()) copy_own();
  const auto rule = std::get<sync::Elastic>(sync::update_of(plan_.job.sync));
  const Version& pushed = stepped_ ? own_->previous() : own_->current();
  if (has_pushed) sync::pull_worker(rule, pushed.weights.span(), centre_.span(), own_->current().weights.span());
}

/// What is read by others, to be saved, stays as it is. (Who died while reading never says that it has read.)
void Worker::copy_own() {
  const Version& from = own_->current();
  Version& copy = own_->receive();
  std::copy(from.weights.span().begin(), from.weights.span().end(), copy.weights.data());
  for (std::size_t k = 0; k < from.moments.size(); ++k)
    std::copy(from.moments[k].span().begin(), from.moments[k].span().end(), copy.moments[k].data());
  own_->adopt(copy, from.updates, from.applied_rows);
}

void Worker::save_if_asked(sync::Clock clock) {
  if (note_ == 0) return;
  save_own(own_->current(), since_exchange_, note_ - 1, clock);
  note_ = 0;
}

/// To the coordinator, by way of the servers.
void Worker::save_own(Version& version, const Since& since, std::uint64_t ordinal, sync::Clock clock) {
  tell_own_cut(ordinal, {clock, version.updates}, since.saved());
  if (ordinal == Cut::last_ordinal) last_saved_ = &version;
  for (std::size_t m = 0; m < servers_.size(); ++m) send_own(m, version, ordinal);
}

void Worker::send_own(std::size_t server, Version& version, std::uint64_t ordinal) {
  for (std::size_t a = 0; a < own_->arenas(); ++a)
    for (const plan::Piece& piece : plan_.slices[server].pieces) {
      const Arena& values = a == 0 ? version.weights : version.moments[a - 1];
      servers_[server].socket.send_floats(
          link_.self(), own_piece(ordinal, a, piece),
          values.span().subspan(static_cast<std::size_t>(piece.offset), static_cast<std::size_t>(piece.count)),
          version.in_flight);
    }
}

/// Until nothing more will be decided: what a run that stops has not answered by then never will be.
void Worker::await_over() {
  const Lap lap(wait_seconds_);
  while (!servers_.front().over) {
    poll(100, Phase::leaving);
    drain();
  }
}

/// Its last state. Where the last block is still in flight, what it did in the block's last step is done again by a run
/// that is resumed.
void Worker::leave_own() {
  await_over();
  const bool waits = since_ == clock_, fresh = clock_ == first_clock_;
  const bool unanswered = waits && !fresh && !released();
  if (waits && !unanswered) await_all(clock_);
  if (unanswered)
    save_own(stepped_ ? own_->previous() : own_->current(), since_before_, Cut::last_ordinal, clock_ - 1);
  else
    save_own(own_->current(), since_exchange_, Cut::last_ordinal, clock_);
}

}  // namespace dtrain::role
