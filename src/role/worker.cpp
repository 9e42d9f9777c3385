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
      connections_(link.context(), Seconds(plan_.job.faults.join_within)) {
  if (traits_.weights) own_.reset(new Owner(Owner::of_worker(plan_, plan_.threads, shareable(link))));
  if (const data::Rows* rows = learner_.feed().rows()) division_.know(*rows);
  gradients_.emplace_back().values = link.memory().arena(plan_.layout.total);
  own_gradient_ = {{{gradients_.back().values.data()}, 1}};
  link_.slow_data(plan_.job.faults.inject);
  make_packers();
  if (const std::string& compute = plan_.job.faults.inject.compute; !compute.empty())
    inject_ = std::get<job::Distribution>(job::parse_distribution(compute));
}

void Worker::connect(const Start& start) {
  connected_ = Clock::now();
  clock_ = first_clock_ = since_ = start.clocks.at(static_cast<std::size_t>(rank_));
  rhythm_ = sync::make_rhythm(plan_.job.sync, setup_of(plan_, start), rank_);
  active_ = start.active;
  division_.set_active(active_);
  rhythm_->set_active(active_);
  joins_ = start.joins;
  if (joins_) link_.set_epoch(start.epoch);
  applied_rows_ = start.applied_rows;
  own_state_ = own_ && !start.own_updates.empty();
  if (own_state_) own_->current().updates = start.own_updates.at(static_cast<std::size_t>(rank_));
  if (own_state_) since_exchange_ = Since::of(start.own_since.at(static_cast<std::size_t>(rank_)));
  if (packer_ && !start.own_since.empty()) packer_->set_rate(start.own_since.at(static_cast<std::size_t>(rank_)).at(0));
  if (traits_.abandons) {
    worklist_.emplace(plan_.job, plan_.facts);
    if (!start.worklist.empty()) worklist_->restore(start.worklist);
    worklist_->set_active(active_);
  }
  identity_ = "worker-" + std::to_string(rank_) + "-" + hex(link_.self().incarnation);
  const auto arenas = static_cast<std::size_t>(plan_.exchanged_arenas());
  for (std::size_t m = 0; m < start.endpoints.size(); ++m) {
    servers_.push_back({connect_data(link_, plan_, owner_address(start, static_cast<int>(m)), identity_, connections_),
                        {},
                        {},
                        0,
                        0,
                        0,
                        false,
                        0});
    servers_.back().arrived.assign(arenas * plan_.slices[m].pieces.size(), 0);
    servers_.back().epochs.assign(servers_.back().arrived.size(), 0);
  }
  if (replica_) {
    doors_->allow(start.allowed);
    replica_->connect(plan_, start, identity_, connections_);
  }
  learner_.feed().start(start, connections_);
  if (joins_) learner_.feed().set_active(active_);
  while (!learner_.feed().settled()) {
    poll(100, Phase::fetching);
    drain();
  }
  asked_ = clock_;
  ask_ahead(clock_);
  pulled_ = true;
  tell_servers(wire::Type::pull);
}

bool Worker::finished() const {
  if (worklist_) return worklist_->finished();
  if (traits_.folds_some) return applied_rows_ >= division_.total_rows();
  return clock_ >= static_cast<sync::Clock>(plan_.total_steps);
}

/// Where a step applies the rows of some, the servers know of how many: a loss may have fallen into it. Until they have
/// told of all steps before this one, or a later one that went on without us; false if something else is to be looked
/// at first.
bool Worker::learn_applied_rows() {
  if (!traits_.folds_some || worklist_) return true;
  const auto known = [this] {
    return newest_epoch_ <= link_.self().epoch && applied_before_.lower_bound(clock_) != applied_before_.end();
  };
  while (!known()) {
    const Lap lap(wait_seconds_);
    poll(100, Phase::waiting);
    drain();
    if (interrupted()) return false;
  }
  const auto told = applied_before_.lower_bound(clock_);
  applied_rows_ = told->second.rows;
  applied_before_.erase(applied_before_.begin(), told);
  return true;
}

/// In a run that has begun: until it is let into a step. Nothing is done if the run ends before that.
bool Worker::await_entry() {
  const Lap lap(wait_seconds_);
  while (!stopping_ && (!gate_ || newest_epoch_ > link_.self().epoch || (worklist_ && rounds_.empty())))
    poll(100, Phase::waiting), drain();
  return !stopping_;
}

void Worker::train() {
  if (joins_ && !await_entry()) return;
  joins_ = false;
  while (!stopping_ && !finished()) {
    settle_rounds();
    adopt_memberships();
    restart_ = false;
    look_for_halt();
    own_ && !traits_.gated ? drain() : mark_if_due();
    if (stopping_ || !learn_applied_rows() || finished() || !await_gate() || !begin_step()) continue;
    turn_ = rhythm_->turn(clock_, own_ ? gate_->due : clock_);
    if (mark_wanted_ && turn_.exchange != sync::Turn::Exchange::none)
      tell_servers(wire::Type::mark), mark_wanted_ = false, marked_ = clock_;
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

/// Whoever is killed as a step begins has been let into it by every server: so that it is in flight everywhere, and the
/// others go on alike each time.
bool Worker::begin_step() {
  if (!link_.suffers()) return true;
  has_rows_ = has_rows_now();
  const bool in_common = traits_.gated && !traits_.folds_some && !own_ && !replica_;
  if (in_common && !await_layers(0, static_cast<int>(plan_.layout.layers.size()) - 1)) return false;
  link_.begin_step(clock_);
  return true;
}

Worker::Outcome Worker::one_step() {
  has_rows_ = has_rows_now();
  if (!turn_.computes) return sit_out();
  return has_rows_ || own_ ? step() : idle_step();
}

void Worker::close_step() {
  ++tally_.steps;
  entered_ = committed_ = false;
  if (worklist_) return;  // settle_rounds() counts the clock
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
    case wire::Type::save:
      cut_wanted_ = message.header.rows;
      mark_wanted_ = cut_wanted_ == 0;
      return;
    case wire::Type::goodbye:
      dismissed_ = true;
      stopping_ = stopping_ || joins_;
      return;
    case wire::Type::abort: fail(Kind::lost, "the coordinator ended the run");
    case wire::Type::membership: return take_membership(unpack_membership(message.text()));
    case wire::Type::take_over: return take_over(unpack_take_over(message.text()));
    default: return;
  }
}

void Worker::take_membership(const Membership& told) {
  memberships_.push_back(told);
  if (told.lost != Membership::nobody) learner_.feed().lose(told.lost);
  link_.set_epoch(told.epoch);
  for (const int m : told.undone) {
    Inflow& inflow = servers_.at(static_cast<std::size_t>(m));
    inflow.least_epoch = told.epoch;
    // What has come of the new membership before we were told of it stays.
    for (std::size_t p = 0; p < inflow.arrived.size(); ++p)
      if (inflow.arrived[p] == told.step + 2 && inflow.epochs[p] < told.epoch) inflow.arrived[p] = 0;
    if (const auto at = applied_before_.find(told.step + 1);
        at != applied_before_.end() && at->second.epoch < told.epoch)
      applied_before_.erase(at);
    if (inflow.released == told.step + 2 && inflow.released_epoch < told.epoch) inflow.released = 0;
  }
  if (traits_.gated && told.step + 1 == clock_) restart_ = true;
}

void Worker::adopt_memberships() {
  if (worklist_) return;  // settle_rounds() does, round by round
  while (!memberships_.empty() && !(traits_.gated && clock_ <= memberships_.front().step)) {
    adopt(memberships_.front());
    memberships_.pop_front();
  }
}

void Worker::adopt(const Membership& told) {
  if (worklist_) return worklist_->set_active(told.active);
  division_.set_active(told.active);
  learner_.feed().set_active(told.active);
  rhythm_->set_active(told.active);
  active_ = told.active;
}

void Worker::leave() {
  leaving_ = true;
  tell_servers(wire::Type::leave);
  if (own_ && !joins_) leave_own();
  if (packer_ && !joins_) leave_packed();
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
  for (const Inflow& inflow : servers_) count_traffic(inflow.socket, tally_);
  tally_.payload_sent -= state_sent_;
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
