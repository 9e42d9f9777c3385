#include "role/worker.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "role/peer.hpp"
#include "role/role.hpp"
#include "role/worker_role.hpp"

namespace dtrain::role {

Worker::Worker(Link& link, const Welcome& welcome, plan::Plan plan)
    : link_(link),
      plan_(std::move(plan)),
      rank_(welcome.rank),
      traits_(sync::traits(plan_.job.sync)),
      doors_(plan_.cell.whole() ? nullptr : std::make_unique<DataDoors>(link, plan_, welcome)),
      replica_(plan_.cell.whole() ? nullptr
                                  : std::make_unique<Replica>(link, plan_.cell, [this] { return await_replica(); })),
      learner_(plan_, make_feed(link, plan_, welcome), replica_.get()),
      division_(plan_.job, plan_.facts, everyone(plan_.workers)),
      ahead_(division_),
      weights_(traits_.weights ? 0 : plan_.layout.total),
      centre_(plan_.job.sync.policy == job::PolicyName::easgd ? plan_.layout.total : 0),
      gradient_(link.memory().arena(plan_.layout.total)),
      connections_(link.context(), Seconds(plan_.job.faults.join_within)) {
  if (traits_.weights) own_.reset(new Owner(Owner::of_worker(plan_, plan_.threads, shareable(link))));
  if (const data::Rows* rows = learner_.feed().rows()) division_.know(*rows);
  own_gradient_ = {{{gradient_.data()}, 1}};
  link_.slow_data(plan_.job.faults.inject);
  make_packers();
  if (const std::string& compute = plan_.job.faults.inject.compute; !compute.empty())
    inject_ = std::get<job::Distribution>(job::parse_distribution(compute));
}

void Worker::connect(const Start& start) {
  connected_ = Clock::now();
  clock_ = first_clock_ = since_ = start.clocks.at(static_cast<std::size_t>(rank_));
  rhythm_ = sync::make_rhythm(plan_.job.sync, setup_of(plan_, start), rank_);
  active_ = everyone(plan_.workers);
  rhythm_->set_active(active_);
  applied_rows_ = start.applied_rows;
  own_state_ = own_ && !start.own_updates.empty();
  if (own_state_) own_->current().updates = start.own_updates.at(static_cast<std::size_t>(rank_));
  if (own_state_) since_exchange_ = Since::of(start.own_since.at(static_cast<std::size_t>(rank_)));
  if (packer_ && !start.own_since.empty()) packer_->set_rate(start.own_since.at(static_cast<std::size_t>(rank_)).at(0));
  if (traits_.abandons) {
    worklist_.emplace(plan_.job, plan_.facts);
    if (!start.worklist.empty()) worklist_->restore(start.worklist);
  }
  const std::string identity = "worker-" + std::to_string(rank_) + "-" + hex(link_.self().incarnation);
  const auto arenas = static_cast<std::size_t>(plan_.exchanged_arenas());
  for (std::size_t m = 0; m < start.endpoints.size(); ++m) {
    servers_.push_back({connect_data(link_, plan_, owner_address(start, static_cast<int>(m)), identity, connections_),
                        {},
                        {},
                        0,
                        0,
                        0,
                        false});
    servers_.back().arrived.assign(arenas * plan_.slices[m].pieces.size(), 0);
    servers_.back().epochs.assign(servers_.back().arrived.size(), 0);
  }
  if (replica_) {
    doors_->allow(start.allowed);
    replica_->connect(plan_, start, identity, connections_);
  }
  learner_.feed().start(start, connections_);
  while (!learner_.feed().settled()) {
    poll(100, Phase::fetching);
    drain();
  }
  asked_ = clock_;
  ask_ahead(clock_);
  tell_servers(wire::Type::pull);
}

bool Worker::finished() const {
  if (worklist_) return worklist_->finished();
  if (traits_.folds_some) return applied_rows_ >= division_.total_rows();
  return clock_ >= static_cast<sync::Clock>(plan_.total_steps);
}

/// What this step applies: the rows of those who are drawn for it.
void Worker::count_drawn_rows() {
  const auto step = static_cast<Index>(clock_);
  for (const int drawn :
       sync::subset_of(plan_.job.seed, clock_, *plan_.job.sync.size, active_, static_cast<std::size_t>(plan_.workers)))
    applied_rows_ += division_.count(step, drawn);
}

void Worker::train() {
  while (!stopping_ && !finished()) {
    settle_rounds();
    adopt_memberships();
    restart_ = false;
    look_for_halt();
    if (stopping_ || finished() || !await_gate()) continue;
    turn_ = rhythm_->turn(clock_, own_ ? gate_->due : clock_);
    if (mark_wanted_ && turn_.exchange != sync::Turn::Exchange::none)
      tell_servers(wire::Type::mark), mark_wanted_ = false;
    const Clock::time_point start = Clock::now();
    const double idle = wait_seconds_ + communicate_seconds_ + fetch_seconds_;
    ask_ahead(clock_ + 1);
    const Outcome outcome = one_step();
    compute_seconds_ += seconds_since(start) - (wait_seconds_ + communicate_seconds_ + fetch_seconds_ - idle);
    if (outcome == Outcome::done) close_step();
    if (outcome == Outcome::overtaken) ++tally_.abandoned;
    if (worklist_ && outcome != Outcome::again) await_round();
  }
  // The last push is answered too: only then is everything that belongs to this rank applied and counted.
  has_rows_ = true;
  const int layers = static_cast<int>(plan_.layout.layers.size());
  while (!worklist_ && !stopping_ && !await_layers(0, layers - 1)) restart_ = false, look_for_halt();
}

Worker::Outcome Worker::one_step() {
  has_rows_ = has_rows_now();
  if (!turn_.computes) return sit_out();
  return has_rows_ || own_ ? step() : idle_step();
}

void Worker::close_step() {
  ++tally_.steps;
  entered_ = false;
  if (worklist_) return;  // settle_rounds() counts the clock
  if (traits_.folds_some) count_drawn_rows();
  ++clock_;
  using Exchange = sync::Turn::Exchange;
  if (turn_.exchange == Exchange::gradient || turn_.exchange == Exchange::weights_after || !turn_.computes)
    since_ = clock_;
}

/// Until it is known whose rows were learned.
void Worker::await_round() {
  const Lap lap(wait_seconds_);
  while (!stopping_ && (rounds_.empty() || rounds_.front().epoch > link_.self().epoch))
    poll(100, Phase::waiting), drain();
}

/// What has been decided of earlier rounds, and with it what this rank works on now.
void Worker::settle_rounds() {
  while (worklist_ && !rounds_.empty() && rounds_.front().epoch <= link_.self().epoch) {
    const Decision& decision = rounds_.front().decision;
    while (!memberships_.empty() && memberships_.front().step <= decision.clock) {
      adopt(memberships_.front());
      memberships_.pop_front();
    }
    const bool counted = std::binary_search(decision.fold.begin(), decision.fold.end(), rank_);
    if (tried_ && tried_->step == decision.clock && counted)
      record(*tried_), tally_.rows += tried_->rows;
    else
      record({decision.clock, 0, 0});
    if (packer_ && !counted) packer_->take_back(decision.clock);
    for (const int rank : decision.fold)
      if (const auto portion = worklist_->of(rank)) applied_rows_ += division_.count(portion->step, portion->part);
    worklist_->settle(decision.fold);
    clock_ = since_ = decision.clock + 1;
    tried_.reset();
    rounds_.pop_front();
  }
}

void Worker::obey(const wire::Message& message) {
  switch (message.header.type) {
    case wire::Type::stop:
      if (!replica_) stopping_ = true;
      stop_wanted_ = replica_ && replica_->leads();
      return;
    case wire::Type::save: mark_wanted_ = true; return;
    case wire::Type::goodbye: dismissed_ = true; return;
    case wire::Type::abort: fail(Kind::lost, "the coordinator ended the run");
    case wire::Type::membership: return take_membership(unpack_membership(message.text()));
    default: return;
  }
}

void Worker::take_membership(const Membership& told) {
  memberships_.push_back(told);
  learner_.feed().lose(told.lost);
  link_.set_epoch(told.epoch);
  for (const int m : told.undone) {
    Inflow& inflow = servers_.at(static_cast<std::size_t>(m));
    inflow.least_epoch = told.epoch;
    // What has come of the new membership before we were told of it stays.
    for (std::size_t p = 0; p < inflow.arrived.size(); ++p)
      if (inflow.arrived[p] == told.step + 2 && inflow.epochs[p] < told.epoch) inflow.arrived[p] = 0;
    if (inflow.released == told.step + 2 && inflow.released_epoch < told.epoch) inflow.released = 0;
  }
  if (told.step + 1 == clock_) restart_ = true;
}

void Worker::adopt_memberships() {
  if (worklist_) return;  // settle_rounds() does, round by round
  while (!memberships_.empty() && !(traits_.gated && clock_ <= memberships_.front().step)) {
    adopt(memberships_.front());
    memberships_.pop_front();
  }
}

void Worker::adopt(const Membership& told) {
  if (worklist_) return worklist_->lose(told.lost);
  division_.set_active(told.active);
  learner_.feed().set_active(told.active);
  rhythm_->set_active(told.active);
  active_ = told.active;
}

void Worker::leave() {
  tell_servers(wire::Type::leave);
  if (own_) leave_own();
  if (packer_) leave_packed();
  for (const Inflow& inflow : servers_) {
    tally_.payload_sent += inflow.socket.counters().payload_sent;
    tally_.wire_sent += inflow.socket.counters().wire_sent;
  }
  tally_.payload_sent -= state_sent_;
  link_.flush(clock_, Phase::leaving);
  // The last weights are still on their way: they are counted when the coordinator says good-bye.
  while (!dismissed_) {
    poll(100, Phase::leaving);
    drain();
  }
  send_tally();
}

void Worker::send_tally() {
  tally_.fetch_seconds = fetch_seconds_;
  tally_.seconds = seconds_since(connected_);
  tally_.wait_seconds = wait_seconds_;
  tally_.communicate_seconds = communicate_seconds_;
  tally_.compute_seconds = compute_seconds_;
  for (const Inflow& inflow : servers_) {
    tally_.payload_received += inflow.socket.counters().payload_received;
    tally_.wire_received += inflow.socket.counters().wire_received;
    tally_.refused += inflow.socket.refused();
  }
  if (doors_)
    for (const wire::Socket& door : *doors_) count_traffic(door, tally_);
  if (replica_) replica_->count(tally_);
  tally_.payload_received -= state_received_;
  tally_.peak_bytes = peak_bytes();
  link_.send(wire::Type::left, pack(tally_));
}

void run_worker(const JoinRequest& request) {
  run_role(request, [](Link& link, Welcome& welcome) {
    plan::Plan plan = take_place(link, welcome, plan_of(welcome, link.request().data_dir));
    if (plan.peers()) return be_peer(link, welcome, std::move(plan));
    Worker worker(link, welcome, std::move(plan));
    link.send(wire::Type::ready, pack(Ready{worker.endpoints(), worker.row_endpoints()}));
    worker.connect(await_start(link));
    worker.train();
    worker.leave();
  });
}

}  // namespace dtrain::role
