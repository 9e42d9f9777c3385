/// The engine's members: who is lost, who comes again, and what becomes of the step in flight.

#include <algorithm>
#include <utility>

#include "sim/engine.hpp"

namespace dtrain::sim {

void Engine::lose(Rank rank) {
  Worker& self = worker(rank);
  if (self.state == State::absent || self.state == State::done) return;
  if (self.state != State::comes) settle_presence(self);
  if (self.state == State::computes) outcome_.wasted_seconds += now() - self.since;
  self.state = State::absent;
  ++self.life, ++self.generation;
  --present_;
  std::erase(joining_, rank);
  transport_.set_timer(now() + setting_.latency, {Timer::Kind::settle_loss, rank, self.life});
}

void Engine::settle_loss(Rank rank) {
  for (int m = 0; m < setting_.servers; ++m) seat(m, rank).connected = seat(m, rank).owed = false;
  if (std::erase(active_, rank) == 0) return;  // lost again before it was known to have come
  note_membership();
  for (int m = 0; m < setting_.servers; ++m) {
    if (m == 0 || !decided_) {
      server(m).ledger.lose(rank);
    } else {
      Order& order = tell(m);
      order.lost = rank;
      order.keeps_push = seat(0, rank).taken == server(0).flight + 1;
    }
    seat(m, rank).absent = true;
  }
  if (!traits_.gated || decided_ || setting_.servers == 1) {
    for (int m = 0; m < (decided_ ? 1 : setting_.servers); ++m) {
      server(m).policy->lose(rank, traits_.decided, actions_);
      act(m);
    }
  } else {
    settle_loss_on_all(rank);
  }
  settle_joins();
}

/// Every server decides for itself, so all must make the same of the lost worker's newest push. Where some have gone on
/// to the next step, it stays in if the others have it too; otherwise who has gone on goes back. Under subset they
/// always go back: the next step's ranks are drawn from those who are left.
void Engine::settle_loss_on_all(Rank rank) {
  Clock least = server(0).flight, most = least;
  for (const Server& each : servers_) least = std::min(least, each.flight), most = std::max(most, each.flight);
  bool complete = setting_.sync.policy != job::PolicyName::subset;
  for (int m = 0; m < setting_.servers; ++m)
    complete = complete && (server(m).flight > least || seat(m, rank).pushed > least);
  const bool torn = least < most && !complete;
  if (torn) ++outcome_.torn;
  for (int m = 0; m < setting_.servers; ++m) {
    if (torn && server(m).flight > least) {
      take_back(m, rank, least);
    } else {
      server(m).policy->lose(rank, least < most && complete, actions_);
      act(m);
    }
  }
}

void Engine::take_back(int m, Rank lost, Clock step) {
  ++server(m).epoch;
  for (Rank rank = 0; rank < setting_.workers; ++rank) {
    Clock& released = entered(rank, m);
    if (released == step + 2) released = step + 1;
  }
  server(m).flight = step;
  server(m).ledger.undo(server(m).updated);
  if (freight_ && server(m).updated) freight_->undo(m);
  server(m).policy->undo(lost, actions_);
  act(m);
}

/// Whether every server has had its pull.
bool Engine::connected(Rank rank) const {
  return std::all_of(servers_.begin(), servers_.end(),
                     [rank](const Server& each) { return each.seats[static_cast<std::size_t>(rank)].connected; });
}

/// The clock that a newcomer starts at, where servers go on independently: alike on all of them.
Clock Engine::entry(Rank rank) const {
  Clock clock = 0;
  for (const Server& each : servers_)
    if (!traits_.gated) clock = std::max(clock, each.policy->entry(rank));
  return clock;
}

/// Servers that have a policy each take a newcomer in when all have made the same updates.
bool Engine::aligned() const {
  if (!traits_.gated || decided_) return true;
  const std::uint64_t version = servers_.front().ledger.version();
  return std::all_of(servers_.begin(), servers_.end(),
                     [=](const Server& each) { return each.ledger.version() == version; });
}

void Engine::settle_joins() {
  if (joining_.empty() || !aligned()) return;
  const auto here = std::stable_partition(joining_.begin(), joining_.end(), [this](Rank r) { return !connected(r); });
  const std::vector<Rank> ranks(here, joining_.end());
  joining_.erase(here, joining_.end());
  for (const Rank rank : ranks) {
    active_.insert(std::lower_bound(active_.begin(), active_.end(), rank), rank);
    note_membership();
    for (int m = 1; decided_ && m < setting_.servers; ++m) tell(m).joined = rank;
    const Clock least = entry(rank);
    for (int m = 0; m < (decided_ ? 1 : setting_.servers); ++m) {
      server(m).ledger.join(rank, least);
      seat(m, rank).absent = false;
      server(m).policy->join_from(rank, least, actions_);
      act(m);
    }
  }
}

/// Steps in flight are done by those who began them.
void Engine::note_membership() {
  Clock step = servers_.front().flight;
  if (!decided_)
    for (const Server& each : servers_) step = std::min(step, each.flight);
  memberships_.push_back({step, active_});
  if (freight_) freight_->set_active(active_, step);
}

void Engine::adopt_memberships(Rank rank) {
  Worker& self = worker(rank);
  while (self.adopted < memberships_.size() && (!traits_.gated || self.clock > memberships_[self.adopted].step))
    rhythms_[static_cast<std::size_t>(rank)]->set_active(memberships_[self.adopted++].active);
}

}  // namespace dtrain::sim
