#include "role/peer.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "role/all_reduce_role.hpp"
#include "role/gossip_role.hpp"
#include "role/role.hpp"

namespace dtrain::role {

std::span<const float> part(const Arena& arena, const plan::Piece& piece) {
  return arena.span().subspan(static_cast<std::size_t>(piece.offset), static_cast<std::size_t>(piece.count));
}

Peer::Peer(Link& link, const Welcome& welcome, plan::Plan plan)
    : link_(link),
      plan_(std::move(plan)),
      rank_(welcome.rank),
      identity_("peer-" + std::to_string(rank_) + "-" + hex(link.self().incarnation)),
      traits_(sync::traits(plan_.job.sync)),
      replica_(plan_.cell.whole() ? nullptr
                                  : std::make_unique<Replica>(link, plan_.cell, [this] { return await_replica(); })),
      learner_(plan_, make_feed(link, plan_, welcome), replica_.get()),
      division_(plan_.job, plan_.facts, everyone(plan_.workers)),
      gradient_(link.memory().arena(plan_.layout.total)),
      doors_(link, plan_, welcome),
      others_(static_cast<std::size_t>(plan_.workers)),
      connections_(link.context(), Seconds(plan_.job.faults.join_within)) {
  if (traits_.weights) own_.reset(new Owner(Owner::of_worker(plan_, plan_.threads, shareable(link))));
  if (const data::Rows* rows = learner_.feed().rows()) division_.know(*rows);
  own_gradient_ = {{{gradient_.data()}, 1}};
  if (const std::string& compute = plan_.job.faults.inject.compute; !compute.empty())
    inject_ = std::get<job::Distribution>(job::parse_distribution(compute));
}

void Peer::connect(const Start& start, const std::function<bool(int)>& needed) {
  connected_ = Clock::now();
  doors_.allow(start.allowed);
  clock_ = start.clocks.at(static_cast<std::size_t>(rank_));
  if (own_ && !start.own_updates.empty())
    own_->current().updates = start.own_updates.at(static_cast<std::size_t>(rank_));
  for (int to = 0; to < plan_.workers; ++to)
    if (to != rank_ && needed(to))
      others_[static_cast<std::size_t>(to)] =
          std::make_unique<wire::Socket>(connect_data(link_, plan_, owner_address(start, to), identity_, connections_));
  if (replica_) replica_->connect(plan_, start, identity_, connections_);
  learner_.feed().start(start, connections_);
  await([this] { return learner_.feed().settled(); }, Phase::fetching);
}

void Peer::await_load(std::uint64_t floats) {
  await([&] { return loaded_ >= floats; }, Phase::waiting);
}

/// Everybody is sent everything: weights are needed whole, and who owns which moments is not the sender's to know.
void Peer::take_load(const wire::Message& message, std::size_t door) {
  const wire::Header& header = message.header;
  const auto total = static_cast<std::uint64_t>(plan_.layout.total);
  coordinator_ = {door, message.peer};
  if ((header.rows > 0 && header.rows != static_cast<std::uint64_t>(rank_) + 1) || header.offset > total ||
      header.count > total - header.offset)
    return;
  const std::span<float> place = place_of(header, header.rows > 0);
  if (place.size_bytes() != message.size()) return;
  std::memcpy(place.data(), message.data(), message.size());
  loaded_ += header.count;
  aside_received_ += message.size();
}

std::span<float> Peer::part_of(Arena& arena, const wire::Header& header) {
  return arena.span().subspan(header.offset, header.count);
}

/// For something of the replica's: never given up, since the run ends for all of it at the same step.
bool Peer::await_replica() {
  const Lap lap(wait_seconds_);
  poll(100, Phase::exchanging);
  drain();
  return true;
}

void Peer::record(const StepRecord& record) {
  if (!replica_ || replica_->reports()) link_.record(record);
}

void Peer::train_on_rows(std::span<const float> weights) {
  wait_until_sent(sending_);
  if (replica_) replica_->begin(clock_, stop_wanted_);
  const std::span<const std::uint32_t> rows = division_.rows(static_cast<Index>(clock_), rank_);
  const std::uint32_t epoch = division_.epoch_of(static_cast<Index>(clock_));
  await_rows(rows);
  const auto result = learner_.train(rows, epoch, weights, gradient_.span(), *this);
  if (!result.completed) fail(Kind::internal, "step {} was given up by the others of the replica", clock_ + 1);
  note_loss(result.loss_sum, rows.size());
}

void Peer::await_rows(std::span<const std::uint32_t> rows) {
  const Lap lap(fetch_seconds_);
  learner_.feed().expect(static_cast<Index>(clock_));
  while (!learner_.feed().has(rows)) {
    poll(100, Phase::fetching);
    drain();
  }
}

void Peer::note_loss(double loss_sum, std::uint64_t rows) {
  if (plan_.job.train.on_nonfinite == job::OnNonfinite::stop && !std::isfinite(loss_sum))
    fail(Kind::diverged,
         "the loss of step {} is not finite on {}; a lower train.optimizer.learning_rate or train.clip_norm may help",
         clock_ + 1, link_.name());
  record({clock_, loss_sum, rows});
  tally_.rows += rows;
  link_.beat(clock_, Phase::computing);
}

/// Clipping needs the norm of the whole gradient; otherwise every layer has been stepped when it was ready.
void Peer::finish_own_step(Index after, bool by_layers) {
  const std::optional<Index> bad = plan_.job.train.clip_norm > 0
                                       ? own_->step_clipped(own_gradient_, after, over_cells(replica_.get()))
                                   : by_layers ? own_->close()
                                               : own_->step(own_gradient_, 1, after);
  if (bad)
    fail(Kind::diverged,
         "the gradient of step {} is not finite from weight {} on, on {}; a lower "
         "train.optimizer.learning_rate or train.clip_norm may help",
         clock_ + 1, model::whole_place(plan_.layout, *bad), link_.name());
}

bool Peer::before_forward(int layer) {
  if (layer == 0) began_ = Clock::now();
  link_.beat(clock_, Phase::computing);
  return true;
}

/// A straggler made on purpose: the step takes as long as the draw says, and its gradient leaves then.
void Peer::pad_step() {
  if (!inject_) return;
  const Seconds wanted(plan_.job.faults.inject.unit * inject_->draw(plan_.job.seed, rank_, clock_));
  for (;;) {
    drain();
    const Seconds left = wanted - (Clock::now() - began_);
    if (left.count() <= 0) return;
    poll(static_cast<int>(std::min(100.0, left.count() * 1000 + 1)), Phase::computing);
  }
}

Peer::Wanted Peer::wanted_between(Index before, Index after) const {
  if (after >= plan_.total_rows) return {};
  return {.evaluate = plan_.facts.test_rows > 0 && plan::due(plan_, plan_.job.train.evaluate, before, after),
          .save = plan::due(plan_, plan_.job.checkpoint.every, before, after)};
}

void Peer::obey(const wire::Message& message) {
  switch (message.header.type) {
    case wire::Type::stop: stop_wanted_ = !replica_ || replica_->leads(); return;
    case wire::Type::save: save_wanted_ = true; return;
    case wire::Type::goodbye: dismissed_ = true; return;
    case wire::Type::abort: fail(Kind::lost, "the coordinator ended the run");
    default: return;
  }
}

void Peer::poll(int timeout_ms, Phase phase) {
  wire::Poller poller;
  link_.watch(poller);
  doors_.watch(poller);
  // Nothing comes from there, but over a slow link something may wait to leave.
  if (link_.keeps_data())
    for (const auto& other : others_)
      if (other) poller.add(*other);
  if (replica_ && link_.keeps_data()) replica_->watch(poller);
  if (link_.keeps_data()) watch_senders(poller);
  learner_.feed().watch(poller);
  poller.wait(timeout_ms);
  link_.beat(clock_, phase);
}

void Peer::drain() {
  doors_.serve();
  learner_.feed().receive();
  connections_.check();
  while (const auto message = link_.receive()) obey(*message);
  const auto tell = [this](const std::string& why) { link_.tell_refusal(why); };
  for (std::size_t d = 0; d < doors_.size(); ++d)
    while (auto message = doors_[d].receive(link_.self().nonce, tell)) {
      const wire::Header header = message->header;
      if (header.type == wire::Type::load && header.sender_role == wire::Role::coordinator) {
        take_load(*message, d);
        continue;
      }
      if (header.sender_role == wire::Role::worker && header.sender_rank < others_.size() &&
          (take(*message) || (replica_ && replica_->take(*message))))
        continue;
      ++tally_.refused;
      link_.tell_refusal(fmt::format("type {} from {} {}, clock {}: not what is due here",
                                     static_cast<int>(header.type), wire::name(header.sender_role), header.sender_rank,
                                     header.clock));
    }
}

/// What was sent may be written again only when whoever reads it has let go.
void Peer::wait_until_sent(wire::InFlight& sending) {
  const Lap lap(wait_seconds_);
  while (!sending.idle()) {
    drain();
    if (sending.idle()) return;
    poll(1, Phase::waiting);
  }
}

void Peer::await(const std::function<bool()>& done, Phase phase) {
  const Lap lap(wait_seconds_);
  while (!done()) {
    poll(100, phase);
    drain();
  }
}

/// Its own weights and moments, to the coordinator.
void Peer::send_own(std::uint64_t ordinal, bool last, sync::Clock clock) {
  Version& version = own_->current();
  Cut cut;
  cut.own = true;
  cut.ordinal = ordinal;
  cut.save = true, cut.last = last;
  cut.clocks = {clock, version.updates};
  cut.memory = {0, 0};
  link_.send(wire::Type::cut, pack(cut));
  for (std::size_t a = 0; a < own_->arenas(); ++a)
    for (const plan::Slice& slice : plan_.slices)
      for (const plan::Piece& piece : slice.pieces)
        send_state(part(own_->stored(a), piece), piece, a, ordinal, true, version.in_flight);
}

void Peer::send_state(std::span<const float> values, const plan::Piece& piece, std::size_t index, std::uint64_t ordinal,
                      bool own, wire::InFlight& in_flight) {
  wire::Header header;
  header.type = wire::Type::snapshot;
  header.slice = static_cast<std::uint32_t>(index);
  header.clock = ordinal;
  header.offset = static_cast<std::uint64_t>(piece.offset);
  header.count = static_cast<std::uint64_t>(piece.count);
  header.rows = own ? static_cast<std::uint64_t>(rank_) + 1 : 0;
  aside_sent_ += 4 * header.count;
  doors_[coordinator_.door].send_floats(link_.self(), header, values, in_flight, coordinator_.peer);
}

void Peer::await_goodbye() {
  link_.flush(clock_, Phase::leaving);
  while (!dismissed_) {
    poll(100, Phase::leaving);
    drain();
  }
  send_tally();
}

void Peer::send_tally() {
  for (const wire::Socket& door : doors_) count_traffic(door, tally_);
  tally_.refused += doors_.strangers();
  for (const auto& other : others_)
    if (other) count_traffic(*other, tally_);
  if (replica_) replica_->count(tally_);
  tally_.payload_sent -= aside_sent_;
  tally_.payload_received -= aside_received_;
  tally_.fetch_seconds = fetch_seconds_;
  tally_.seconds = seconds_since(connected_);
  tally_.wait_seconds = wait_seconds_;
  tally_.communicate_seconds = communicate_seconds_;
  tally_.compute_seconds = compute_seconds_;
  tally_.peak_bytes = peak_bytes();
  link_.send(wire::Type::left, pack(tally_));
}

void be_peer(Link& link, const Welcome& welcome, plan::Plan plan) {
  std::unique_ptr<Peer> peer;
  if (plan.pairs())
    peer = std::make_unique<Gossip>(link, welcome, std::move(plan));
  else
    peer = std::make_unique<AllReduce>(link, welcome, std::move(plan));
  link.send(wire::Type::ready, pack(Ready{peer->endpoints(), peer->row_endpoints()}));
  peer->start(await_start(link));
  peer->train();
  peer->leave();
}

}  // namespace dtrain::role
