/// What workers push and pull, and in which order it takes place.

#include <algorithm>

#include "base/error.hpp"
#include "role/role.hpp"
#include "role/server_role.hpp"

namespace dtrain::role {

void Server::take_push(wire::Message message) {
  const wire::Header header = message.header;
  const auto rank = static_cast<std::size_t>(header.sender_rank);
  if (rank >= members_.size() || members_[rank].lost) return refuse(header);
  if (took_over_ && header.clock < members_[rank].taken) return;     // the server before us had applied it
  if (traits_.abandons && header.clock < members_[rank].gate.due) {  // of a step that ended without it
    if (header.piece == 0) note_late(static_cast<int>(rank), header.clock);
    return;
  }
  if (header.clock != members_[rank].gate.due || inboxes_[rank].complete() ||
      !inboxes_[rank].add(owner_.slice(), std::move(message), unpacker_ ? &*unpacker_ : nullptr,
                          {wanted_rows(static_cast<int>(rank), header.clock), row_cols()}))
    return refuse(header);
  if (inboxes_[rank].complete() && !cut_gate_.hold(static_cast<int>(rank)) && !frozen_) arrived(static_cast<int>(rank));
}

/// Where servers decide together, the first counts for all.
void Server::note_late(int rank, sync::Clock clock) {
  if (!decided_ || council_.decides()) ++tally_.late;
  ledger_.drop(rank, clock);
}

void Server::take_pull(const wire::Message& message, std::size_t door) {
  const auto rank = static_cast<std::size_t>(message.header.sender_rank);
  if (rank >= members_.size()) return refuse(message.header);
  Member& member = members_[rank];
  const bool ours = member.coming || member.joining ? message.header.incarnation == member.incarnation : !member.lost;
  if (!ours || member.pulled) return refuse(message.header);
  member.route = {door, message.peer};
  member.incarnation = message.header.incarnation;
  member.pulled = true;
  hand_own_state(static_cast<int>(rank));
  if (member.coming) return;
  for (const Decision& decision : decisions_)
    if (decision.clock >= member.since) tell_decision(member, decision);
  if (member.joining) return;  // it is answered when it is released
  waiting_pulls_.push_back(static_cast<int>(rank));
  proceed();
  note_reached();
}

sync::Push Server::push_of(int rank) const {
  const Inbox& inbox = inboxes_[static_cast<std::size_t>(rank)];
  return {rank, inbox.clock(), inbox.rows(), inbox.loss(), seconds_since(started_)};
}

/// All of a rank's push is here. Where servers decide together, it waits until it is everywhere.
void Server::arrived(int rank) {
  members_[static_cast<std::size_t>(rank)].offered = true;
  std::optional<sync::Push> push = push_of(rank);
  if (decided_) push = council_.arrived(*push);
  if (!push) return;
  waiting_pushes_.push_back(*push);
  proceed();
}

void Server::take_arrived(const wire::Message& message) {
  if (!decided_ || message.header.sender_role != wire::Role::server) return refuse(message.header);
  if (leaving_) return;  // all have been told that nothing more is decided
  auto push = council_.take(message);
  if (!push) return;
  push->now = seconds_since(started_);
  waiting_pushes_.push_back(*push);
  proceed();
}

/// Pushes and pulls take place in the order in which they come or, in a replay, in that of the recording.
void Server::proceed() {
  if (loaded_ < to_load_ || frozen_ || unkept_ || standing_by_) return;
  while (const auto due = replay_.next())
    if (!proceed_one(*due)) return;
  while (!waiting_pulls_.empty()) {
    const int rank = waiting_pulls_.front();
    waiting_pulls_.pop_front();
    answer_pull(rank);
  }
  // What is late for a step is told of after that step, which may wait for sums of squares.
  while (!waiting_pushes_.empty() && !frozen_ && !unkept_ && !(traits_.abandons && !pending_.empty())) {
    const sync::Push push = waiting_pushes_.front();
    waiting_pushes_.pop_front();
    if (offer(push) == sync::Verdict::taken && replay_.over())
      fail(Kind::data, "the recording ends before step {} of worker {}: it is of a run that was stopped",
           push.clock + 1, push.rank);
  }
}

/// What the recording has next, if it has come.
bool Server::proceed_one(const sync::Event& due) {
  if (due.what == sync::Event::What::pull) {
    const auto found = std::find(waiting_pulls_.begin(), waiting_pulls_.end(), due.rank);
    if (found == waiting_pulls_.end()) return false;
    waiting_pulls_.erase(found);
    replay_.done();
    answer_pull(due.rank);
    return true;
  }
  if (due.what == sync::Event::What::apply) {
    advance();
    return replay_.next() != std::optional(due);
  }
  if (due.what == sync::Event::What::release) {
    const auto released = replay_.let_go(due.rank);
    if (!released) return false;
    replay_.done();
    let_go({*released}, owner_.current());
    return true;
  }
  const auto found = std::find_if(waiting_pushes_.begin(), waiting_pushes_.end(), [&](const sync::Push& push) {
    return push.rank == due.rank && push.clock == due.clock;
  });
  if (found == waiting_pushes_.end()) return false;
  const sync::Push push = *found;
  waiting_pushes_.erase(found);
  replay_.done();
  offer(push);
  return true;
}

void Server::answer_pull(int rank) {
  // A worker that comes from the server before us goes on with what it has.
  if (!took_over_) ledger_.pull(rank);
  send_release({rank}, owner_.take_answer(rank), Form::weights);
}

sync::Verdict Server::offer(const sync::Push& push) {
  if (members_[static_cast<std::size_t>(push.rank)].lost) return sync::Verdict::stray;
  const sync::Verdict verdict = policy_->push(push, actions_);
  if (verdict != sync::Verdict::taken) {
    note_late(push.rank, push.clock);
    // Another server may have told of it when the rank's next one has begun to come.
    Inbox& inbox = inboxes_[static_cast<std::size_t>(push.rank)];
    if (inbox.clock() == push.clock) inbox.clear();
    return verdict;
  }
  ledger_.push(push);
  members_[static_cast<std::size_t>(push.rank)].taken = push.clock + 1;
  if (standby_) taken_.push_back(push);
  if (push.rows == 0) empty_.push_back(push.rank);
  if (push.rows == 0 && !traits_.gated) inboxes_[static_cast<std::size_t>(push.rank)].clear();
  act(actions_);
  return verdict;
}

}  // namespace dtrain::role
