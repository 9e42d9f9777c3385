#include "role/peer.hpp"

#include <algorithm>
#include <cmath>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "role/peer_role.hpp"
#include "role/role.hpp"

namespace dtrain::role {

Peer::Peer(Link& link, const Welcome& welcome)
    : link_(link),
      plan_(plan_of(welcome, link.request().data_dir)),
      rank_(welcome.rank),
      traits_(sync::traits(plan_.job.sync)),
      learner_(plan_, welcome.encoding),
      division_(plan_.job, plan_.facts.train_rows, everyone(plan_.workers)),
      owner_(Owner::of_peer(plan_, plan_.threads, shareable(link))),
      gradient_(link.memory().arena(plan_.layout.total)),
      doors_(link, plan_, welcome),
      others_(static_cast<std::size_t>(plan_.workers)),
      connections_(link.context(), Seconds(plan_.job.faults.join_within)),
      ledger_(rank_, static_cast<std::size_t>(plan_.workers)),
      squares_(static_cast<std::size_t>(plan_.workers)),
      since_rows_(static_cast<std::size_t>(plan_.workers), 0) {
  if (traits_.weights) own_.reset(new Owner(Owner::of_worker(plan_, plan_.threads, shareable(link))));
  own_gradient_ = {{{gradient_.data()}, 1}};
  if (const std::string& compute = plan_.job.faults.inject.compute; !compute.empty())
    inject_ = std::get<job::Distribution>(job::parse_distribution(compute));
  for (std::size_t a = 0; a < static_cast<std::size_t>(plan_.exchanged_arenas()); ++a)
    for (const plan::Bucket& bucket : plan_.buckets) lanes_.emplace_back(*this, lanes_.size(), bucket, a);
}

void Peer::start(const Start& start) {
  doors_.allow(start.allowed);
  clock_ = start.clocks.at(static_cast<std::size_t>(rank_));
  const sync::Setup setup = setup_of(plan_, start);
  policy_ = sync::make_policy(plan_.job.sync, setup);
  rhythm_ = sync::make_rhythm(plan_.job.sync, setup, rank_);
  rhythm_->set_active(everyone(plan_.workers));
  if (plan_.job.output.trace)
    ledger_ = sync::Ledger(rank_, others_.size(), [this](const sync::Event& event) { trace_.push_back(event); });
  owner_.current().updates = start.updates;
  owner_.current().applied_rows = start.applied_rows;
  if (own_ && !start.own_updates.empty())
    own_->current().updates = start.own_updates.at(static_cast<std::size_t>(rank_));
  ledger_.begin(start.updates);
  connect(start);
  await_load(start);
  for (int rank = 0; rank < plan_.workers; ++rank) ledger_.pull(rank), ledger_.release(policy_->released(rank));
}

/// To those who get something from us: by the algorithm, or all, where sums of squares are told to everybody.
void Peer::connect(const Start& start) {
  const std::string identity = "peer-" + std::to_string(rank_) + "-" + hex(link_.self().incarnation);
  for (int to = 0; to < plan_.workers; ++to) {
    const auto moves = collective::moves(plan_.algorithm, rank_, plan_.workers, plan_.buckets.front().borders);
    const bool needed = std::any_of(moves.begin(), moves.end(), [to](const collective::Move& move) {
      using What = collective::Move::What;
      return move.peer == to && (move.what == What::send_sum || move.what == What::send_result);
    });
    if (to == rank_ || (!needed && !clips())) continue;
    others_[static_cast<std::size_t>(to)] =
        std::make_unique<wire::Socket>(connect_data(link_, plan_, start, to, identity, connections_));
  }
}

bool Peer::finished() const {
  return stopped_ || (traits_.folds_some ? owner_.current().applied_rows >= plan_.total_rows
                                         : clock_ >= static_cast<sync::Clock>(plan_.total_steps));
}

void Peer::train() {
  while (!finished()) {
    drain();
    turn_ = rhythm_->turn(clock_, policy_->released(rank_).due);
    const Clock::time_point start = Clock::now();
    const double idle = wait_seconds_ + communicate_seconds_;
    own_ ? own_step() : gradient_step();
    compute_seconds_ += seconds_since(start) - (wait_seconds_ + communicate_seconds_ - idle);
    ++tally_.steps;
    ++clock_;
  }
}

/// Layer by layer, gradients leave while the others are computed. Who has nothing in this step passes sums on.
void Peer::gradient_step() {
  std::vector<std::uint64_t> rows(others_.size());
  for (int rank = 0; rank < plan_.workers; ++rank)
    rows[static_cast<std::size_t>(rank)] =
        static_cast<std::uint64_t>(division_.count(static_cast<Index>(clock_), rank));
  begin_round(rows, division_.applied_before(static_cast<Index>(clock_) + 1));
  if (factor_)
    train_on_rows(gradient_);
  else
    link_.record({clock_, 0, 0});
  begin_rest();
  await_exchange();
  end_round();
}

bool Peer::train_on_rows(Arena& gradient) {
  wait_until_sent(sending_);
  const std::span<const std::uint32_t> rows = division_.rows(static_cast<Index>(clock_), rank_);
  const std::uint32_t epoch = division_.epoch_of(static_cast<Index>(clock_));
  const Version& version = own_ ? own_->current() : owner_.current();
  const auto result = learner_.train(rows, epoch, version.weights.span(), gradient.span(), *this);
  if (result.completed) note_loss(result.loss_sum, rows.size());
  return result.completed;
}

void Peer::note_loss(double loss_sum, std::uint64_t rows) {
  if (plan_.job.train.on_nonfinite == job::OnNonfinite::stop && !std::isfinite(loss_sum))
    fail(Kind::diverged,
         "the loss of step {} is not finite on worker {}; a lower train.optimizer.learning_rate or "
         "train.clip_norm may help",
         clock_ + 1, rank_);
  link_.record({clock_, loss_sum, rows});
  tally_.rows += rows;
  link_.beat(clock_, Phase::computing);
}

bool Peer::before_forward(int layer) {
  if (layer == 0) began_ = Clock::now();
  link_.beat(clock_, Phase::computing);
  return true;
}

bool Peer::after_backward(int layer) {
  if (inject_ && layer == static_cast<int>(plan_.layout.layers.size()) - 1) pad_step();
  const Lap lap(communicate_seconds_);
  if (own_) {
    if (plan_.job.train.clip_norm == 0) own_->step_layer(own_gradient_, layer);
  } else {
    for (Lane& lane : lanes_)
      if (lane.bucket().piece.first_layer == layer) begin_lane(lane);
    drain();
  }
  link_.beat(clock_, Phase::computing);
  return true;
}

/// A straggler made on purpose: the step takes as long as the draw says, and its gradient leaves then.
void Peer::pad_step() {
  const Seconds wanted(plan_.job.faults.inject.unit * inject_->draw(plan_.job.seed, rank_, clock_));
  for (;;) {
    drain();
    const Seconds left = wanted - (Clock::now() - began_);
    if (left.count() <= 0) return;
    poll(static_cast<int>(std::min(100.0, left.count() * 1000 + 1)), Phase::computing);
  }
}

void Peer::obey(const wire::Message& message) {
  switch (message.header.type) {
    case wire::Type::stop: stop_wanted_ = true; return;
    case wire::Type::save: save_wanted_ = true; return;
    case wire::Type::goodbye: dismissed_ = true; return;
    case wire::Type::abort: fail(Kind::lost, "the coordinator ended the run");
    default: return;
  }
}

void Peer::flush_trace() {
  traced_at_ = Clock::now();
  if (trace_.empty()) return;
  link_.send(wire::Type::traced, pack(trace_));
  trace_.clear();
}

void Peer::leave() {
  send_snapshot({.evaluate = true, .save = true, .last = true}, Cut::last_ordinal);
  flush_trace();
  link_.flush(clock_, Phase::leaving);
  while (!dismissed_) {
    poll(100, Phase::leaving);
    drain();
  }
  send_tally();
}

void Peer::send_tally() {
  const auto add = [this](const wire::Socket& socket) {
    tally_.payload_sent += socket.counters().payload_sent;
    tally_.payload_received += socket.counters().payload_received;
    tally_.wire_sent += socket.counters().wire_sent;
    tally_.wire_received += socket.counters().wire_received;
    tally_.refused += socket.refused();
  };
  for (const wire::Socket& door : doors_) add(door);
  for (const auto& other : others_)
    if (other) add(*other);
  tally_.payload_sent -= aside_sent_;
  tally_.payload_received -= aside_received_;
  tally_.wait_seconds = wait_seconds_;
  tally_.communicate_seconds = communicate_seconds_;
  tally_.compute_seconds = compute_seconds_;
  tally_.peak_bytes = peak_bytes();
  link_.send(wire::Type::left, pack(tally_));
}

void be_peer(Link& link, const Welcome& welcome) {
  Peer peer(link, welcome);
  link.send(wire::Type::ready, pack(Ready{peer.endpoints()}));
  peer.start(await_start(link));
  peer.train();
  peer.leave();
}

}  // namespace dtrain::role
