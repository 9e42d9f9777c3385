/// When a worker joins: nothing is applied until everybody knows from which step on it takes part.

#include <algorithm>

#include "role/role.hpp"
#include "role/server_role.hpp"

namespace dtrain::role {

/// Messages of whoever had the place before may still be on their way.
bool Server::is_of_another_life(const wire::Header& header) const {
  const std::size_t rank = header.sender_rank;
  if (header.sender_role != wire::Role::worker || header.type == wire::Type::pull || rank >= members_.size())
    return false;
  const std::uint64_t known = members_[rank].incarnation;  // from its pull on
  return known != 0 && header.incarnation != known;
}

/// Its key, and so its connection, is known from here on: it may pull before we are told that it has joined.
void Server::expect(const Coming& coming) {
  doors_.allow({coming.public_key});
  Member& member = members_.at(static_cast<std::size_t>(coming.rank));
  coming_.reset();
  if (coming.called_off) {
    member.coming = member.pulled = false;
    return thaw();
  }
  if (!member.coming || member.incarnation != coming.incarnation)
    member.pulled = member.left = member.came_late = false;
  member.coming = true;
  member.incarnation = coming.incarnation;
  coming_ = coming;
  if (coming.until > 0) return thaw();
  frozen_ = !decided_ || council_.decides();
  tell_frozen();
}

/// Another server may be a step ahead, or what is still to be done of the last one may need others: until that step is
/// in flight here too.
void Server::freeze_when_due() {
  if (!coming_ || frozen_ || coming_->until == 0 || flight_.due < coming_->until || !pending_.empty()) return;
  frozen_ = true;
  tell_frozen();
}

void Server::tell_frozen() {
  Frozen frozen{flight_.due, pending_.empty()};
  frozen.attempt = coming_->attempt;
  frozen.over = all_gone();
  if (!traits_.gated) frozen.entry = policy_->entry(coming_->rank);
  frozen.applied_rows = static_cast<std::uint64_t>(owner_.current().applied_rows);
  if (worklist_) frozen.worklist = worklist_->state();
  link_.send(wire::Type::frozen, pack(frozen));
}

void Server::thaw() {
  frozen_ = false;
  advance();
  freeze_when_due();
  if (!frozen_) offer_frozen_pushes();
}

/// All servers that have a policy each have the same step in flight; where server 0 decides, its decisions tell the
/// others by their epoch.
void Server::admit(const Membership& membership) {
  const int rank = membership.joined;
  coming_.reset();
  seat(membership);
  if (decided_ && !council_.decides()) return follow_membership(membership);
  frozen_ = false;
  if (!traits_.gated) cut_gate_.join(rank, membership.step);
  if (members_[static_cast<std::size_t>(rank)].left) cut_gate_.leave(rank, membership.step);
  const sync::Clock least = traits_.gated ? 0 : membership.step;
  ledger_.join(rank, least);
  if (worklist_) worklist_->set_active(membership.active);
  if (traits_.gated) division_.set_active(membership.active);
  policy_->join_from(rank, least, actions_);
  act(actions_);
  advance();
  for (const int freed : cut_gate_.freed()) arrived(freed);
  offer_frozen_pushes();
}

/// A push of whoever had the place before stays if it counts in the step in flight.
void Server::seat(const Membership& membership) {
  const auto r = static_cast<std::size_t>(membership.joined);
  Member& member = members_.at(r);
  const auto is_its = [&](const sync::Push& push) { return push.rank == membership.joined; };
  const bool counts = traits_.gated && member.offered && inboxes_[r].complete() &&
                      std::none_of(waiting_pushes_.begin(), waiting_pushes_.end(), is_its);
  if (!counts) inboxes_[r].clear();
  std::erase_if(waiting_pushes_, is_its);
  std::erase(waiting_pulls_, membership.joined);
  council_.forget(membership.joined);
  member.lost = member.coming = false;
  member.joining = true;
  member.since = membership.step;
  member.note = 0;
  member.own_state.clear();
  member.wanted.clear();
}

/// Of a gated policy, pushes that wait for others are no part of the state: they are made again on resuming.
std::vector<sync::Clock> Server::clocks_to_save() const {
  std::vector<sync::Clock> clocks(members_.size(), flight_.clock);
  if (traits_.gated) return clocks;
  for (std::size_t r = 0; r < members_.size(); ++r) clocks[r] = members_[r].gate.clock;
  return resumable(std::move(clocks));
}

/// Where each rank goes on by itself: who takes an empty place of a run that is resumed begins where the slowest is.
std::vector<sync::Clock> Server::resumable(std::vector<sync::Clock> clocks) const {
  std::optional<sync::Clock> least;
  for (std::size_t r = 0; r < members_.size(); ++r)
    if (!members_[r].lost && !members_[r].has_not_begun()) least = std::min(least.value_or(clocks[r]), clocks[r]);
  for (std::size_t r = 0; r < members_.size(); ++r) {
    const Member& member = members_[r];
    if (member.has_not_begun())
      clocks[r] = member.since;
    else if (member.lost)
      clocks[r] = least.value_or(clocks[r]);
  }
  return clocks;
}

/// Whoever is released learns with that what it is to add to; in the end nobody is any more, and who has not begun has
/// nothing to add.
std::vector<int> Server::members_to_save(bool last) const {
  std::vector<int> ranks;
  for (int rank = 0; rank < plan_.places(); ++rank) {
    const Member& member = members_[static_cast<std::size_t>(rank)];
    if (!member.lost && !(last && member.has_not_begun())) ranks.push_back(rank);
  }
  return ranks;
}

}  // namespace dtrain::role
