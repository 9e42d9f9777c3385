/// The engine's loop, and its workers.

#include "sim/engine.hpp"

#include "sync/gossip.hpp"

#include <algorithm>

#include "base/error.hpp"

namespace dtrain::sim {

using Exchange = sync::Turn::Exchange;

Engine::Engine(const Setting& setting, Freight* freight, sync::Ledger::Sink sink)
    : setting_(setting),
      freight_(freight),
      traits_(sync::traits(setting.sync)),
      decided_(traits_.decided && setting.servers > 1),
      transport_(setting.workers + setting.servers, setting.latency, setting.bandwidth),
      workers_(static_cast<std::size_t>(setting.workers)) {
  const std::size_t ranks = workers_.size(), servers = static_cast<std::size_t>(setting.servers);
  sync::Setup setup;
  setup.seed = setting.seed;
  // Where rows that were dropped are learned in later steps, nobody knows beforehand how many that takes.
  setup.total_steps = freight && traits_.abandons ? 0 : setting.steps;
  setup.single_until = setting.single_until;
  setup.clocks.assign(ranks, 0);
  released_.assign(ranks * servers, 0);
  if (decided_) whole_.assign(ranks * servers, 0);
  for (int m = 0; m < setting.servers; ++m) {
    servers_.push_back({nullptr, sync::Ledger(m, ranks, sink), std::vector<Seat>(ranks), 0, 0, false});
    if (m == 0 || !decided_) server(m).policy = sync::make_policy(setting.sync, setup);
    const sync::Policy& policy = *server(decided_ ? 0 : m).policy;
    server(m).flight = policy.released(0).due;
    for (Rank rank = 0; rank < setting.workers; ++rank)
      seat(m, rank).newest = policy.released(rank), seat(m, rank).owed = true;
  }
  for (Rank rank = 0; rank < setting.workers; ++rank) {
    rhythms_.push_back(sync::make_rhythm(setting.sync, setup, rank));
    active_.push_back(rank);
  }
  for (const auto& rhythm : rhythms_) rhythm->set_active(active_);
}

Engine::~Engine() = default;

Outcome Engine::run(const std::function<void(double)>& progress) {
  for (const Absence& absence : setting_.absences) {
    transport_.set_timer(absence.from, {Timer::Kind::lose, absence.rank, 0});
    if (absence.until) transport_.set_timer(*absence.until, {Timer::Kind::come, absence.rank, 0});
  }
  present_ = setting_.workers;
  for (Rank rank = 0; rank < setting_.workers; ++rank) start(rank);
  Happening happening;
  std::uint32_t happened = 0;
  while (present_ == 0 || done_ < present_) {
    if (!transport_.next(happening)) fail_stuck();
    if (happening.is_message)
      handle(happening.message);
    else
      handle(happening.timer);
    if (progress && (++happened & 0xffffu) == 0) progress(share_done());
  }
  return conclude();
}

void Engine::handle(const Message& message) {
  switch (message.kind) {
    case Message::Kind::pull: return take_pull(message);
    case Message::Kind::push: return take_push(message);
    case Message::Kind::weights: return take_weights(message);
    case Message::Kind::refresh: return;
    case Message::Kind::whole: return take_whole(message.server, message.rank, message.clock);
    case Message::Kind::decision: return take_decision(message);
  }
}

void Engine::handle(const Timer& timer) {
  switch (timer.kind) {
    case Timer::Kind::finish:
      if (timer.data == worker(timer.rank).generation) finish(timer.rank);
      return;
    case Timer::Kind::lose: return lose(timer.rank);
    case Timer::Kind::settle_loss: return settle_loss(timer.rank);
    case Timer::Kind::come:
      if (worker(timer.rank).state != State::absent) return;
      ++present_;
      return start(timer.rank);
    case Timer::Kind::settle_join:
      if (timer.data != worker(timer.rank).life) return;  // it is gone again
      joining_.push_back(timer.rank);
      return settle_joins();
  }
}

/// Asks every server for weights. One that comes again is also made known as a member, a latency later.
void Engine::start(Rank rank) {
  Worker& self = worker(rank);
  const bool again = self.state == State::absent;
  self.state = State::comes;
  if (freight_) freight_->come(rank);
  for (int m = 0; m < setting_.servers; ++m) {
    entered(rank, m) = 0;
    Message message;
    message.kind = Message::Kind::pull;
    message.server = m;
    message.rank = rank;
    message.life = self.life;
    transport_.send(rank, node_of_server(m), 0, message);
    ++outcome_.messages;
  }
  if (again) transport_.set_timer(now() + setting_.latency, {Timer::Kind::settle_join, rank, self.life});
}

void Engine::take_weights(const Message& message) {
  Worker& self = worker(message.rank);
  if (message.life != self.life || message.epoch != server(message.server).epoch) return;
  Clock& mine = entered(message.rank, message.server);
  if (message.clock + 1 <= mine) return;
  mine = message.clock + 1;
  self.due = message.due;
  go_on(message.rank);
}

/// Into the newest step that all servers have released it into, if that is not the one that it is in.
void Engine::go_on(Rank rank) {
  Worker& self = worker(rank);
  Clock least = entered(rank, 0);
  for (int m = 1; m < setting_.servers; ++m) least = std::min(least, entered(rank, m));
  if (least == 0) return;
  switch (self.state) {
    case State::comes:
      self.present_since = now();
      self.first = least - 1;
      return begin(rank, least - 1);
    case State::waits:
      if (least > self.clock + 1) begin(rank, least - 1);
      return;
    case State::computes:
      if (!traits_.abandons || least <= self.clock + 1) return;
      ++outcome_.abandoned;
      outcome_.wasted_seconds += now() - self.since;
      return begin(rank, least - 1);
    case State::done:
    case State::absent: return;
  }
}

void Engine::begin(Rank rank, Clock clock) {
  worker(rank).clock = clock;
  ++worker(rank).generation;
  enter_step(rank);
}

void Engine::enter_step(Rank rank) {
  Worker& self = worker(rank);
  self.entered = now();
  if (freight_ ? freight_->finished(self.clock) : self.clock >= setting_.steps) return end(rank);
  adopt_memberships(rank);
  self.turn = rhythms_[static_cast<std::size_t>(rank)]->turn(self.clock, self.due);
  if (freight_) freight_->compute(rank, self.clock, self.turn);
  if (!self.turn.computes) {
    self.state = State::waits;
    return;
  }
  self.state = State::computes;
  self.since = now();
  if (self.turn.exchange == Exchange::weights_before) push(rank);
  const double seconds = setting_.compute.draw(setting_.seed, rank, self.clock);
  transport_.set_timer(now() + seconds, {Timer::Kind::finish, rank, self.generation});
}

void Engine::finish(Rank rank) {
  Worker& self = worker(rank);
  outcome_.computing_seconds += now() - self.since;
  ++outcome_.worker_steps;
  if (self.turn.exchange == Exchange::none) {
    ++self.clock;
    return enter_step(rank);
  }
  self.state = State::waits;
  if (self.turn.exchange == Exchange::weights_before) return go_on(rank);
  push(rank);
}

/// A partner answers at once: it does that between layers, whatever it computes.
int Engine::node_of_exchange(int m, Rank rank, Clock clock) const {
  if (setting_.sync.policy != job::PolicyName::gossip) return node_of_server(m);
  return sync::partner_of(setting_.seed, rank, clock, active_).value_or(node_of_server(m));
}

void Engine::push(Rank rank) {
  const Worker& self = worker(rank);
  const bool has_rows = !freight_ || freight_->rows(rank) > 0;
  for (int m = 0; m < setting_.servers; ++m) {
    Message message;
    message.kind = Message::Kind::push;
    message.server = m;
    message.rank = rank;
    message.life = self.life;
    message.clock = self.clock;
    const double bytes = has_rows ? setting_.slice_bytes[static_cast<std::size_t>(m)] * setting_.push_share : 0;
    transport_.send(rank, node_of_exchange(m, rank, self.clock), bytes, message);
    outcome_.bytes_pushed += bytes;
    ++outcome_.messages;
  }
}

void Engine::end(Rank rank) {
  worker(rank).state = State::done;
  first_end_ = std::min(first_end_, now());
  settle_presence(worker(rank));
  ++done_;
}

void Engine::settle_presence(Worker& self) {
  self.present += now() - self.present_since;
  self.passed += self.clock - self.first;
  self.passing += self.entered - self.present_since;
  self.among_all += std::max(0.0, std::min(self.entered, first_end_) - self.present_since);
}

double Engine::share_done() const {
  double clocks = 0;
  for (const Worker& each : workers_) clocks += static_cast<double>(each.clock);
  return std::min(1.0, clocks / static_cast<double>(setting_.steps) / static_cast<double>(workers_.size()));
}

Outcome Engine::conclude() {
  double seconds = 0, steps = 0;
  for (const Worker& each : workers_) {
    outcome_.worker_seconds += each.present;
    if (each.passing <= 0) continue;
    seconds += each.among_all;
    steps += each.among_all / each.passing * static_cast<double>(each.passed);
  }
  outcome_.seconds = now();
  outcome_.time_per_step = steps > 0 ? seconds / steps : 0;
  outcome_.updates = servers_.front().ledger.version();
  for (const Server& each : servers_) {
    const std::vector<std::uint64_t>& histogram = each.ledger.histogram();
    outcome_.staleness.resize(std::max(outcome_.staleness.size(), histogram.size()));
    for (std::size_t age = 0; age < histogram.size(); ++age) outcome_.staleness[age] += histogram[age];
  }
  return std::move(outcome_);
}

void Engine::fail_stuck() const {
  for (std::size_t r = 0; r < workers_.size(); ++r)
    if (workers_[r].state != State::done && workers_[r].state != State::absent)
      fail(Kind::lost, "under {} worker {} waits for ever to go on after step {}: those who are left cannot release it",
           sync::spec(setting_.sync), r, workers_[r].clock);
  fail(Kind::lost, "all workers are lost");
}

}  // namespace dtrain::sim
