#include <algorithm>

#include "role/gossip_role.hpp"
#include "role/role.hpp"
#include "sync/gossip.hpp"

namespace dtrain::role {

Gossip::Gossip(Link& link, const Welcome& welcome, plan::Plan plan)
    : Peer(link, welcome, std::move(plan)),
      everyone_(everyone(plan_.workers)),
      inboxes_(others_.size(), Inbox(pieces().size(), false)),
      seen_(sync::offers(rank_) ? 0 : plan_.layout.total),
      asking_(static_cast<int>(std::count_if(everyone_.begin(), everyone_.end(), sync::offers))) {}

void Gossip::start(const Start& start) {
  rhythm_ = sync::make_rhythm(plan_.job.sync, setup_of(plan_, start), rank_);
  rhythm_->set_active(everyone_);
  has_own_state_ = !start.own_updates.empty();
  if (has_own_state_) common_ = Arena(plan_.layout.total);
  connect(start, [this](int to) { return sync::offers(to) != sync::offers(rank_); });
  await_load(static_cast<std::uint64_t>(plan_.layout.total) * (1 + (has_own_state_ ? own_->arenas() : 0)));
  may_answer_ = true;
  for (const int rank : everyone_)
    if (sync::offers(rank)) answer(rank);
}

/// What all begin with is what each begins with, unless it goes on from weights of its own.
std::span<float> Gossip::place_of(const wire::Header& header, bool own) {
  if (own)
    return has_own_state_ && header.slice < own_->arenas() ? part_of(own_->stored(header.slice), header)
                                                           : std::span<float>();
  if (header.slice > 0) return {};
  return part_of(has_own_state_ ? common_ : own_->current().weights, header);
}

bool Gossip::finished() const { return stop_wanted_ || clock_ >= static_cast<sync::Clock>(plan_.total_steps); }

void Gossip::train() {
  while (!finished()) {
    drain();
    link_.begin_step(clock_);
    const Clock::time_point start = Clock::now();
    const double idle = wait_seconds_ + communicate_seconds_ + fetch_seconds_;
    step();
    compute_seconds_ += seconds_since(start) - (wait_seconds_ + communicate_seconds_ + fetch_seconds_ - idle);
    ++tally_.steps;
    ++clock_;
  }
}

/// The gradient at the weights from before the exchange, applied to what came of it.
void Gossip::step() {
  const auto step = static_cast<Index>(clock_);
  const Index before = division_.applied_before(step), after = division_.applied_before(step + 1);
  own_->current().applied_rows = before;
  const bool asks = rhythm_->turn(clock_, clock_).exchange == sync::Turn::Exchange::weights_before;
  const auto partner = asks ? sync::partner_of(plan_.job.seed, rank_, clock_, everyone_) : std::nullopt;
  if (partner) send_weights(*partner, wire::Type::offer, clock_);
  const bool has_rows = division_.count(step, rank_) > 0;
  if (has_rows)
    learn();
  else
    record({clock_, 0, 0});
  if (partner) {
    Inbox& inbox = inboxes_[static_cast<std::size_t>(*partner)];
    await([&] { return inbox.complete(); }, Phase::waiting);
    own_->average_with(pieces(), inbox.floats());
    inbox.clear();
  }
  if (has_rows) finish_own_step(after, false);
  const Wanted wanted = wanted_between(before, after);
  const std::uint64_t kind = (wanted.save ? 2u : 0u) + (wanted.evaluate ? 1u : 0u);
  if (kind > 0 && !stop_wanted_) send_snapshot(wanted, (clock_ + 1) * 4 + kind);
}

void Gossip::learn() {
  const Arena& weights = std::as_const(own_->current().weights);
  if (seen_.size() == 0) return train_on_rows(weights.span());
  std::copy(weights.span().begin(), weights.span().end(), seen_.data());
  train_on_rows(seen_.span());
}

bool Gossip::after_backward(int layer) {
  if (ends_backward(layer)) pad_step();
  const Lap lap(communicate_seconds_);
  drain();
  link_.beat(clock_, Phase::computing);
  return true;
}

void Gossip::send_weights(int to, wire::Type type, sync::Clock clock) {
  const Lap lap(communicate_seconds_);
  Version& version = own_->current();
  for (std::size_t p = 0; p < pieces().size(); ++p) {
    wire::Header header;
    header.type = type;
    header.clock = clock;
    header.piece = static_cast<std::uint32_t>(p);
    header.pieces = static_cast<std::uint32_t>(pieces().size());
    header.offset = static_cast<std::uint64_t>(pieces()[p].offset);
    header.count = static_cast<std::uint64_t>(pieces()[p].count);
    header.rows = 1;
    others_[static_cast<std::size_t>(to)]->send_floats(link_.self(), header, part(version.weights, pieces()[p]),
                                                       version.in_flight);
  }
}

bool Gossip::take(wire::Message& message) {
  const auto from = static_cast<int>(message.header.sender_rank);
  const wire::Type type = message.header.type;
  if (sync::offers(from) == sync::offers(rank_)) return false;
  if (type == wire::Type::leave && sync::offers(from)) return asking_-- > 0;
  if (type != (sync::offers(from) ? wire::Type::offer : wire::Type::answer)) return false;
  Inbox& inbox = inboxes_[static_cast<std::size_t>(from)];
  if (inbox.complete() || !inbox.add(plan_.slices.front(), std::move(message))) return false;
  if (type == wire::Type::offer) answer(from);
  return true;
}

/// An offer that is whole, with the weights from before, so that both take the mean of the same two. One that comes
/// before there are weights waits for them.
void Gossip::answer(int rank) {
  Inbox& inbox = inboxes_[static_cast<std::size_t>(rank)];
  if (!may_answer_ || !inbox.complete()) return;
  send_weights(rank, wire::Type::answer, inbox.clock());
  own_->average_with(pieces(), inbox.floats());
  inbox.clear();
}

/// No offer of ours will follow.
void Gossip::tell_leaving() {
  wire::Header header;
  header.type = wire::Type::leave;
  header.clock = clock_;
  for (auto& other : others_)
    if (other) other->send(link_.self(), header, std::string_view());
}

/// Whoever answers does so until nobody asks any more.
void Gossip::leave() {
  if (sync::offers(rank_))
    tell_leaving();
  else
    await([this] { return asking_ == 0; }, Phase::leaving);
  send_snapshot({.evaluate = true, .save = true, .last = true}, Cut::last_ordinal);
  await_goodbye();
}

/// Its weights as they are at this clock of its own; the model is the mean of all.
void Gossip::send_snapshot(const Wanted& wanted, std::uint64_t ordinal) {
  const sync::Clock next = wanted.last ? clock_ : clock_ + 1;
  Cut cut;
  cut.ordinal = ordinal;
  cut.evaluate = wanted.evaluate, cut.save = wanted.save, cut.last = wanted.last;
  cut.updates = own_->current().updates;
  cut.applied_rows = division_.applied_before(static_cast<Index>(next));
  cut.clocks.assign(others_.size(), next);
  link_.send(wire::Type::cut, pack(cut));
  send_own(ordinal, wanted.last, next);
}

}  // namespace dtrain::role
