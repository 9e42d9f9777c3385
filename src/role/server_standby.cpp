/// Where each slice is kept by a second server (faults.replicas: 1), so that either may be lost and nothing with it.
///
/// A standby is a server in all but that nobody comes to it: it has the slice, the policy and the books of the same
/// `start`, loaded by the coordinator with the same state. From then on its server sends it, after every update and
/// before anybody learns of it, the arenas that the update led to, and what the policy was told (Keep); it gives its
/// own policy the same, which is pure, and so is where the server is. Only when it has answered `kept` does the server
/// release workers, answer pulls, ask the policy anew, or send a snapshot: whatever left the server of an update, the
/// standby has it. Pieces come into a spare version, which takes the current one's place when all of it is here: there
/// is always a last whole one.
///
/// Order of events when the server is lost, for an update u:
/// - before all of u has come: the standby is at u - 1, and so is everybody who was ever told anything. The workers
///   whose pushes made u were not answered, and push the same again: u is made again, of the same bits where the
///   policy says which pushes make it.
/// - after that: the standby is at u. Workers that the server had released into what follows have weights that the
///   standby has too; to others it answers their pull with the same. A push that is in u already is passed over
///   (Member::taken): it counts once.
/// - several servers share nothing but the workers (what they would have to tell each other is refused:
///   job/check_cluster.cpp), so that each loss is settled by itself: a worker that another server released into t + 1
///   has pushed for t everywhere, and the standby has that push in its last update, or gets it again.
/// Whatever the server, killed but not dead yet, still sends its standby after that has taken over is not answered: so
/// nothing follows on it.
///
/// Cost: 1 + moments slices an update and one round trip.

#include <algorithm>
#include <cstring>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "role/role.hpp"
#include "role/server_role.hpp"

namespace dtrain::role {

void Server::meet_standby(const Start& start) {
  const std::string identity = "server-" + std::to_string(rank_) + "-" + hex(link_.self().incarnation);
  const DataAddress address{fmt::format("standby {}", rank_), start.standby, start.standby_key};
  standby_.emplace(connect_data(link_, plan_, address, identity, connections_));
}

void Server::hear_standby() {
  while (standby_) {
    const auto message = standby_->receive(link_.self().nonce);
    if (!message) return;
    take_kept(*message);
  }
}

/// Of the update that was just applied. What follows on it waits for the answer.
void Server::keep(Outcome outcome) {
  ++kept_number_;
  const Lap lap(communicate_seconds_);
  for (std::size_t a = 0; outcome.stepped && a < owner_.arenas(); ++a) send_kept_arena(a);
  wire::Header header;
  header.type = wire::Type::keep_all;
  header.clock = kept_number_;
  standby_->send(link_.self(), header, pack(keep_of(outcome)));
  unkept_ = std::move(outcome);
}

/// As it lies in the version: a standby's has the same shape.
void Server::send_kept_arena(std::size_t arena) {
  Version& version = owner_.current();
  const plan::Slice& slice = owner_.slice();
  const std::span<const float> all = std::as_const(arena == 0 ? version.weights : version.moments[arena - 1]).span();
  for (const plan::Piece& piece : slice.pieces) {
    wire::Header header;
    header.type = wire::Type::keep;
    header.slice = static_cast<std::uint32_t>(arena);
    header.clock = kept_number_;
    header.offset = static_cast<std::uint64_t>(piece.offset);
    header.count = static_cast<std::uint64_t>(piece.count);
    standby_->send_floats(
        link_.self(), header,
        all.subspan(static_cast<std::size_t>(piece.offset - slice.begin), static_cast<std::size_t>(piece.count)),
        version.in_flight);
  }
}

Keep Server::keep_of(const Outcome& outcome) {
  Keep keep;
  keep.pushes = std::exchange(taken_, {});
  keep.stepped = outcome.stepped;
  keep.updates = owner_.current().updates;
  keep.applied_rows = owner_.current().applied_rows;
  keep.steps = updates_done_;
  keep.evaluations = evaluations_;
  keep.save_after = save_after_;
  keep.ledger = ledger_.state();
  keep.events.assign(trace_.begin() + static_cast<std::ptrdiff_t>(told_events_), trace_.end());
  told_events_ = trace_.size();
  keep.ordinal = outcome.ordinal;
  keep.evaluate = outcome.due.evaluate, keep.save = outcome.due.save;
  return keep;
}

void Server::take_kept(const wire::Message& message) {
  if (message.header.type != wire::Type::kept || !unkept_ || message.header.clock != kept_number_)
    return refuse(message.header);
  safe_events_ = told_events_;
  go_on(*std::exchange(unkept_, std::nullopt));
}

void Server::go_on(Outcome outcome) {
  follow(outcome);
  advance(), proceed();
}

/// From here on this server is alone with its slice.
void Server::lose_standby() {
  if (!standby_) return;
  connections_.forget(fmt::format("standby {}", rank_));
  standby_->abandon();
  standby_.reset();
  taken_.clear();
  if (unkept_) go_on(*std::exchange(unkept_, std::nullopt));
}

void Server::take_while_standing_by(wire::Message message, std::size_t door) {
  switch (message.header.type) {
    case wire::Type::load: return take_load(std::move(message), door);
    case wire::Type::keep: return take_keep(message);
    case wire::Type::keep_all: return take_keep_all(message, door);
    default: early_calls_.push_back({std::move(message), door});
  }
}

void Server::take_keep(const wire::Message& message) {
  const wire::Header& header = message.header;
  const plan::Slice& slice = owner_.slice();
  const auto begin = static_cast<std::uint64_t>(slice.begin), end = static_cast<std::uint64_t>(slice.end);
  if (header.sender_role != wire::Role::server || header.slice >= owner_.arenas() || header.offset < begin ||
      header.offset + header.count > end)
    return refuse(header);
  if (incoming_.number != header.clock) incoming_ = {&owner_.receive(), header.clock, 0};
  Version& version = *incoming_.version;
  Arena& arena = header.slice == 0 ? version.weights : version.moments[header.slice - 1];
  std::memcpy(arena.data() + (header.offset - begin), message.data(), message.size());
  ++incoming_.pieces;
}

/// Not whole where the server died while its pieces were read: then the version before stays the last.
void Server::take_keep_all(const wire::Message& message, std::size_t door) {
  const wire::Header& header = message.header;
  if (header.sender_role != wire::Role::server) return refuse(header);
  auto keep = unpack_keep(message.text());
  if (!keep)
    fail(Kind::internal, "server {} told its standby of update {} in a way that cannot be read", rank_, header.clock);
  const bool here =
      incoming_.number == header.clock && incoming_.pieces == owner_.arenas() * owner_.slice().pieces.size();
  if (keep->stepped && !here) return refuse(header);
  if (keep->stepped) {
    owner_.adopt(*incoming_.version, keep->updates, keep->applied_rows);
    incoming_ = {};
    adopted_ = true;
  }
  replay_keep(*keep);
  last_keep_ = std::move(keep);
  wire::Header answer;
  answer.type = wire::Type::kept;
  answer.clock = header.clock;
  doors_[door].send(link_.self(), answer, std::string_view(), message.peer);
}

void Server::replay_keep(const Keep& keep) {
  owner_.current().applied_rows = keep.applied_rows;
  updates_done_ = keep.steps;
  evaluations_ = keep.evaluations;
  save_after_ = keep.save_after;
  for (const sync::Push& push : keep.pushes) {
    if (push.rank < 0 || push.rank >= plan_.workers) continue;
    Member& member = members_[static_cast<std::size_t>(push.rank)];
    policy_->push(push, actions_);
    member.taken = push.clock + 1;
    member.own_state.clear();  // it has begun with that
    tally_.rows += push.rows;
    owner_.keep_answer(push.rank, keep.stepped && push.rows > 0);
  }
  follow_policy();
  if (keep.save) ask_own_states(keep.ordinal);
  note_releases(keep);
}

void Server::follow_policy() {
  for (int rank = 0; rank < plan_.workers; ++rank) {
    sync::Release& gate = members_[static_cast<std::size_t>(rank)].gate;
    gate = policy_->released(rank);
    if (traits_.gated)
      flight_ = gate;
    else
      flight_.clock = std::max(flight_.clock, gate.clock);
  }
}

/// What is said of them in the trace that our server has told us.
void Server::note_releases(const Keep& keep) {
  if (!plan_.job.output.trace) return;
  kept_events_.insert(kept_events_.end(), keep.events.begin(), keep.events.end());
  for (const sync::Event& event : keep.events)
    if (event.what == sync::Event::What::release && event.rank >= 0 && event.rank < plan_.workers)
      told_release_[static_cast<std::size_t>(event.rank)] = event.clock;
}

void Server::take_over(const TakeOver& told) {
  link_.set_epoch(told.epoch);
  if (told.rank != rank_) return;
  if (told.alone) return lose_standby();
  if (!standing_by_) return;
  standing_by_ = false;
  took_over_ = true;
  cut_gate_.pass_over(told.cut);
  link_.set_name(fmt::format("server {}", rank_));
  if (last_keep_) {
    ledger_.restore(last_keep_->ledger);
    take_over_trace(told.events);
    const bool known = std::count(told.snapshots.begin(), told.snapshots.end(), last_keep_->ordinal) > 0;
    if (last_keep_->ordinal != 0 && !known)
      send_snapshot({.evaluate = last_keep_->evaluate, .save = last_keep_->save}, last_keep_->ordinal,
                    clocks_to_save());
  }
  while (!early_calls_.empty()) {
    Early early = std::move(early_calls_.front());
    early_calls_.pop_front();
    take(std::move(early.message), early.door);
  }
  proceed();
}

/// What the lost server did and did not tell; and releases that it may have made since, or that are made now.
void Server::take_over_trace(std::uint64_t known) {
  if (!plan_.job.output.trace) return;
  const auto first = static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(known, kept_events_.size()));
  trace_.assign(kept_events_.begin() + first, kept_events_.end());
  kept_events_ = {};
  for (std::size_t r = 0; r < members_.size(); ++r)
    if (const sync::Release& gate = members_[r].gate; members_[r].taken > 0 && gate.clock > told_release_[r])
      ledger_.release(gate);
}

/// All workers have come: nothing waits for the lost server any more.
void Server::note_reached() {
  const bool all = std::all_of(members_.begin(), members_.end(), [](const Member& m) { return m.pulled || m.lost; });
  if (!took_over_ || reached_told_ || !all) return;
  reached_told_ = true;
  link_.send(wire::Type::take_over, {});
}

}  // namespace dtrain::role
