#include <algorithm>

#include "role/all_reduce_role.hpp"
#include "role/role.hpp"

namespace dtrain::role {

AllReduce::AllReduce(Link& link, const Welcome& welcome, plan::Plan plan)
    : Peer(link, welcome, std::move(plan)),
      ledger_(rank_, others_.size()),
      number_(static_cast<std::size_t>(rank_)),
      squares_(others_.size()),
      since_rows_(others_.size(), 0) {
  owner_ = std::make_unique<Owner>(plan_, Owner::Parts{rank_}, plan_.threads, shareable(link));
  make_packers();
  for (std::size_t a = 0; a < static_cast<std::size_t>(plan_.exchanged_arenas()); ++a)
    for (const plan::Bucket& bucket : plan_.buckets) lanes_.emplace_back(*this, lanes_.size(), bucket, a);
}

void AllReduce::start(const Start& start) {
  const sync::Setup setup = setup_of(plan_, start);
  policy_ = sync::make_policy(plan_.job.sync, setup);
  rhythm_ = sync::make_rhythm(plan_.job.sync, setup, rank_);
  rhythm_->set_active(everyone(plan_.workers));
  if (plan_.job.output.trace)
    ledger_ = sync::Ledger(rank_, others_.size(), [this](const sync::Event& event) { trace_.push_back(event); });
  owner_->current().updates = start.updates;
  owner_->current().applied_rows = start.applied_rows;
  ledger_.begin(start.updates);
  connect(start, [this](int to) { return sends_to(to); });
  meet_elsewhere(start);
  const bool has_own = plan_.workers_keep() && !start.own_updates.empty();
  const std::size_t own_arenas = own_ ? own_->arenas() : packer_ ? packer_->arenas() : 0;
  if (has_own && packer_) packer_->set_rate(start.own_since.at(static_cast<std::size_t>(rank_)).at(0));
  await_load(static_cast<std::uint64_t>(plan_.layout.total) * (owner_->arenas() + (has_own ? own_arenas : 0)));
  if (own_ && !has_own)
    std::copy_n(owner_->current().weights.data(), plan_.layout.total, own_->current().weights.data());
  for (int rank = 0; rank < plan_.workers; ++rank) ledger_.pull(rank);
}

/// Of a split network: those who have other parts of the gradient, if it is clipped as a whole.
void AllReduce::meet_elsewhere(const Start& start) {
  if (start.everywhere.empty() || !clips()) return;
  for (const auto& [number, address] : elsewhere(start, plan_.owners()))
    elsewhere_.push_back(connect_data(link_, plan_, address, "all-" + identity_, connections_));
  number_ = static_cast<std::size_t>(start.number);
  squares_.resize(start.everywhere.size());
}

/// By the algorithm, or to all, where sums of squares are told to everybody.
bool AllReduce::sends_to(int rank) const {
  using What = collective::Move::What;
  const auto moves = collective::moves(plan_.algorithm, rank_, plan_.workers, plan_.buckets.front().borders);
  return clips() || std::any_of(moves.begin(), moves.end(), [rank](const collective::Move& move) {
           return move.peer == rank && (move.what == What::send_sum || move.what == What::send_result);
         });
}

bool AllReduce::finished() const {
  return stopped_ || (traits_.folds_some ? owner_->current().applied_rows >= plan_.total_rows
                                         : clock_ >= static_cast<sync::Clock>(plan_.total_steps));
}

void AllReduce::train() {
  while (!finished()) {
    drain();
    link_.begin_step(clock_);
    turn_ = rhythm_->turn(clock_, policy_->released(rank_).due);
    const Clock::time_point start = Clock::now();
    const double idle = wait_seconds_ + communicate_seconds_ + fetch_seconds_;
    own_ ? own_step() : gradient_step();
    compute_seconds_ += seconds_since(start) - (wait_seconds_ + communicate_seconds_ + fetch_seconds_ - idle);
    ++tally_.steps;
    ++clock_;
  }
}

/// Layer by layer, gradients leave while the others are computed. Who has nothing in this step passes sums on.
void AllReduce::gradient_step() {
  std::vector<std::uint64_t> rows(others_.size());
  for (int rank = 0; rank < plan_.workers; ++rank)
    rows[static_cast<std::size_t>(rank)] =
        static_cast<std::uint64_t>(division_.count(static_cast<Index>(clock_), rank));
  begin_round(rows, division_.applied_before(static_cast<Index>(clock_) + 1));
  if (factor_)
    train_on_rows(owner_->current().weights.span());
  else
    record({clock_, 0, 0});
  exchange_rest();
  end_round();
}

bool AllReduce::after_backward(int layer) {
  if (ends_backward(layer)) pad_step();
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

void AllReduce::flush_trace() {
  traced_at_ = Clock::now();
  if (trace_.empty()) return;
  link_.send(wire::Type::traced, pack(trace_));
  trace_.clear();
}

void AllReduce::leave() {
  send_snapshot({.evaluate = true, .save = true, .last = true}, Cut::last_ordinal);
  flush_trace();
  await_goodbye();
}

}  // namespace dtrain::role
