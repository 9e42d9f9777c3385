/// The engine's servers: what comes in goes to the policy, and what the policy says is done.

#include <algorithm>

#include "sim/engine.hpp"

namespace dtrain::sim {

void Engine::take_pull(const Message& message) {
  if (message.life != worker(message.rank).life) return;
  Seat& at = seat(message.server, message.rank);
  at.connected = true;
  at.life = message.life;
  server(message.server).ledger.pull(message.rank);
  if (!joining_.empty()) settle_joins();
  if (!at.owed) return;
  at.owed = false;
  const double bytes = setting_.slice_bytes[static_cast<std::size_t>(message.server)];
  outcome_.bytes_first += bytes;
  server(message.server).ledger.release(at.newest);
  send_weights(message.server, message.rank, Message::Kind::weights, false, bytes);
}

void Engine::take_push(const Message& message) {
  if (message.life != worker(message.rank).life) return;
  seat(message.server, message.rank).pushed = message.clock + 1;
  if (!decided_) return judge(message.server, message.rank, message.clock);
  if (message.server == 0) return take_whole(0, message.rank, message.clock);
  Message notice = message;
  notice.kind = Message::Kind::whole;
  transport_.send(node_of_server(message.server), node_of_server(0), 0, notice);
  ++outcome_.messages;
}

/// The first server decides when the last one has the push.
void Engine::take_whole(int m, Rank rank, Clock clock) {
  const std::size_t servers = servers_.size();
  const auto known = whole_.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(rank) * servers);
  known[m] = clock + 1;
  if (std::all_of(known, known + static_cast<std::ptrdiff_t>(servers), [=](Clock c) { return c >= clock + 1; }))
    judge(0, rank, clock);
}

void Engine::judge(int m, Rank rank, Clock clock) {
  sync::Push push;
  push.rank = rank;
  push.clock = clock;
  push.rows = freight_ ? freight_->rows(rank) : 1;
  push.loss = freight_ ? freight_->loss(rank) : 1;
  push.now = now();
  const sync::Verdict verdict = server(m).policy->push(push, actions_);
  if (verdict == sync::Verdict::taken) {
    seat(m, rank).taken = clock + 1;
    server(m).ledger.push(push);
    return act(m);
  }
  server(m).ledger.drop(rank, clock);
  if (verdict != sync::Verdict::late || m != 0) return;
  ++outcome_.late;
  const double seconds = setting_.compute.draw(setting_.seed, rank, clock);
  outcome_.computing_seconds -= seconds;
  outcome_.wasted_seconds += seconds;
}

/// What the policy of server m has put into actions_.
void Engine::act(int m) {
  if (actions_.change && m == 0) outcome_.changes.push_back(*actions_.change);
  if (decided_) tell_others();
  obey(m, actions_.fold, actions_.release, actions_.refresh);
  if (!joining_.empty()) settle_joins();
}

void Engine::obey(int m, const std::vector<Rank>& fold, const std::vector<sync::Release>& releases,
                  const std::vector<Rank>& refresh) {
  // Steps in common count where nobody had rows, too.
  if (!fold.empty() || (traits_.gated && !releases.empty()))
    update(m, fold, traits_.gated ? releases.front().clock - 1 : seat(m, fold.front()).pushed - 1);
  if (traits_.gated && !releases.empty()) server(m).flight = releases.front().due;
  for (const sync::Release& each : releases) {
    Seat& at = seat(m, each.rank);
    if (at.absent) continue;
    at.newest = each;
    if (at.connected)
      release(m, each, !fold.empty());
    else
      at.owed = true;
  }
  const double bytes = setting_.slice_bytes[static_cast<std::size_t>(m)];
  for (const Rank rank : refresh) send_weights(m, rank, Message::Kind::refresh, false, bytes);
}

void Engine::update(int m, const std::vector<Rank>& fold, Clock clock) {
  Server& self = server(m);
  if (freight_) freight_->apply({m, fold, clock, now(), self.ledger});
  self.updated = !fold.empty();
  if (fold.empty()) return;
  clocks_.clear();
  for (const Rank rank : fold) clocks_.push_back(seat(m, rank).pushed - 1);
  self.ledger.apply(fold, clocks_);
}

void Engine::release(int m, const sync::Release& release, bool folded) {
  server(m).ledger.release(release);
  const double bytes = setting_.pull_share * setting_.slice_bytes[static_cast<std::size_t>(m)];
  send_weights(m, release.rank, Message::Kind::weights, folded, bytes);
}

void Engine::send_weights(int m, Rank rank, Message::Kind kind, bool folded, double bytes) {
  const Seat& at = seat(m, rank);
  Message message;
  message.kind = kind;
  message.server = m;
  message.rank = rank;
  message.life = at.life;
  message.epoch = server(m).epoch;
  message.clock = at.newest.clock;
  message.due = at.newest.due;
  if (freight_ && kind == Message::Kind::weights) freight_->send(m, rank, folded);
  const bool answers = at.pushed > 0 && at.newest.clock == at.pushed;
  const int from = answers ? node_of_exchange(m, rank, at.pushed - 1) : node_of_server(m);
  transport_.send(from, rank, bytes, message);
  outcome_.bytes_pulled += bytes;
  ++outcome_.messages;
}

/// An order to be filled, on its way to server m.
Engine::Order& Engine::tell(int m) {
  if (free_orders_.empty()) {
    free_orders_.push_back(static_cast<std::uint32_t>(orders_.size()));
    orders_.emplace_back();
  }
  Message message;
  message.kind = Message::Kind::decision;
  message.server = m;
  message.decision = free_orders_.back();
  free_orders_.pop_back();
  transport_.send(node_of_server(0), node_of_server(m), 0, message);
  ++outcome_.messages;
  Order& order = orders_[message.decision];
  order.lost = order.joined = std::nullopt;
  order.keeps_push = false;
  order.fold.clear(), order.refresh.clear(), order.release.clear();
  return order;
}

void Engine::tell_others() {
  for (int m = 1; m < setting_.servers; ++m) {
    Order& order = tell(m);
    order.fold = actions_.fold, order.refresh = actions_.refresh, order.release = actions_.release;
  }
}

/// That the rank's newest push counts.
void Engine::note_taken(int m, Rank rank) {
  Seat& at = seat(m, rank);
  if (at.taken == at.pushed) return;
  at.taken = at.pushed;
  sync::Push push;
  push.rank = rank;
  push.clock = at.pushed - 1;
  push.rows = freight_ ? freight_->rows(rank) : 1;
  server(m).ledger.push(push);
}

/// The pushes of a decision are here: the first server knew that before it decided.
void Engine::take_decision(const Message& message) {
  const Order& order = orders_[message.decision];
  Server& self = server(message.server);
  if (order.lost && order.keeps_push) note_taken(message.server, *order.lost);
  if (order.lost) self.ledger.lose(*order.lost);
  if (order.joined) self.ledger.join(*order.joined), seat(message.server, *order.joined).absent = false;
  for (const Rank rank : order.fold) note_taken(message.server, rank);
  obey(message.server, order.fold, order.release, order.refresh);
  free_orders_.push_back(message.decision);
}

}  // namespace dtrain::sim
