/// When a worker is lost: nothing is applied until everybody agrees on what becomes of the step in flight.

#include <algorithm>

#include "base/error.hpp"
#include "role/role.hpp"
#include "role/server_role.hpp"

namespace dtrain::role {

void Server::freeze(int lost) {
  Member& member = members_.at(static_cast<std::size_t>(lost));
  member.lost = true;
  member.joining = false;
  coming_.reset();  // whoever joins is announced anew
  settling_ = true;
  frozen_ = traits_.gated && (!decided_ || council_.decides());
  const bool ordered = !pending_.empty();  // the policy has ordered the step, but it waits for sums of squares
  const bool complete = ordered || inboxes_[static_cast<std::size_t>(lost)].complete();
  link_.send(wire::Type::frozen, pack(Frozen{flight_.due, complete}));
}

void Server::change_membership(const Membership& membership) {
  link_.set_epoch(membership.epoch);
  if (membership.joined != Membership::nobody) return admit(membership);
  loss_epoch_ = membership.epoch;
  settling_ = false;
  if (decided_ && !council_.decides()) return follow_membership(membership);
  frozen_ = false;
  const auto r = static_cast<std::size_t>(membership.lost);
  ledger_.lose(membership.lost);
  const bool undo = std::count(membership.undone.begin(), membership.undone.end(), rank_) > 0;
  if (worklist_) worklist_->lose(membership.lost);
  if (!traits_.gated) {
    leave_cuts(membership.lost);
    if (inboxes_[r].partial() || cut_gate_.forget(membership.lost)) ++tally_.torn;
    forget_pending(membership.lost);
    policy_->lose(membership.lost, false, actions_);
    act(actions_);
  } else if (traits_.decided) {
    division_.set_active(membership.active);
    policy_->lose(membership.lost, true, actions_);
    act(actions_);
  } else {
    settle_step(membership, undo);
  }
  offer_frozen_pushes();
  advance();
}

/// Server 0 knows between which steps a change lies; its decisions tell by their epoch.
void Server::follow_membership(const Membership& membership) {
  changes_.push_back(membership);
  std::deque<wire::Message> due;
  due.swap(early_);
  for (wire::Message& message : due) take_decided(std::move(message));
}

/// All changes up to this epoch come before what is done next.
void Server::log_changes(std::uint32_t epoch) {
  for (; !changes_.empty() && changes_.front().epoch <= epoch; changes_.pop_front()) {
    const Membership& change = changes_.front();
    change.joined != Membership::nobody ? ledger_.join(change.joined) : ledger_.lose(change.lost);
  }
}

/// A push that waits for sums of squares which may never come: some servers may not have all of it. Who was to go on
/// after it still does.
void Server::forget_pending(int lost) {
  for (Update& update : pending_) {
    if (update.ranks.empty() || update.ranks.front() != lost) continue;
    squares_.forget(update.key);
    update.ranks.clear();
    update.contributions.clear();
  }
}

/// The step in flight of a policy whose servers may take one back: folded with or without the lost worker's push, or
/// the one before it folded again.
void Server::settle_step(const Membership& membership, bool undo) {
  if (undo || (!pending_.empty() && !membership.keep_pending)) {
    if (undo) take_back();
    for (const Update& update : pending_) squares_.forget(update.key);
    pending_.clear();
    division_.set_active(membership.active);
    policy_->undo(membership.lost, actions_);
    act(actions_);
  } else {
    const bool pending = !pending_.empty();
    if (!pending) division_.set_active(membership.active);
    policy_->lose(membership.lost, membership.keep_pending && !pending, actions_);
    act(actions_);
  }
  if (!membership.keep_pending) inboxes_[static_cast<std::size_t>(membership.lost)].clear();
  release_newly_needed(membership);
}

/// The last step counts as not taken; it may have been one that nobody had rows for.
void Server::take_back() {
  if (last_.updated) owner_.undo();
  forked_ = true;
  owner_.current().applied_rows = last_.rows_before;
  ledger_.undo(last_.updated);
  --updates_done_, --flight_.clock, --flight_.due;
  if (last_.save) save_after_ = flight_.due;
  std::swap(inboxes_, kept_);
}

/// The ranks that are left share the rows of the step in flight anew. One that had none of them got no weights for it.
void Server::release_newly_needed(const Membership& membership) {
  std::vector<int> idle;
  for (const int rank : membership.active)
    if (flight_.clock > membership.step && members_[static_cast<std::size_t>(rank)].pulled &&
        !takes_part(rank, flight_.clock))
      idle.push_back(rank);
  division_.set_active(membership.active);
  std::erase_if(idle, [this](int rank) { return !takes_part(rank, flight_.clock); });
  send_release(idle, owner_.current(), Form::weights);
}

/// Pushes that became whole while nothing was applied; but for those beyond a cut that is under way.
void Server::offer_frozen_pushes() {
  proceed();
  for (int rank = 0; rank < plan_.places(); ++rank) {
    const Member& member = members_[static_cast<std::size_t>(rank)];
    if (member.lost || member.offered || cut_gate_.holds(rank)) continue;
    if (inboxes_[static_cast<std::size_t>(rank)].complete()) arrived(rank);
  }
}

/// A worker was lost after our last snapshot: other servers may still have its last step in flight. Nobody can join.
void Server::settle_late(const wire::Message& message) {
  if (message.header.type == wire::Type::coming) {
    const Coming coming = unpack_coming(message.text());
    Frozen late{flight_.due, true};
    late.attempt = coming.attempt, late.over = true;
    if (!coming.called_off) link_.send(wire::Type::frozen, pack(late));
    return;
  }
  if (message.header.type == wire::Type::lost) {
    link_.send(wire::Type::frozen, pack(Frozen{flight_.due, true}));
    return;
  }
  const Membership membership = unpack_membership(message.text());
  link_.set_epoch(membership.epoch);
  if (std::count(membership.undone.begin(), membership.undone.end(), rank_) > 0)
    fail(Kind::lost, "worker {} was lost when this server had saved a step that others cannot complete",
         membership.lost);
}

}  // namespace dtrain::role
