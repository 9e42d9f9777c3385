#include "role/server.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "plan/packing.hpp"
#include "role/role.hpp"
#include "role/server_role.hpp"

namespace dtrain::role {

Server::Server(Link& link, const Welcome& welcome, plan::Plan plan)
    : link_(link),
      plan_(std::move(plan)),
      rank_(welcome.rank),
      traits_(sync::traits(plan_.job.sync)),
      // With replicas no worker may be lost, so every server comes to the same by itself.
      decided_(traits_.decided && plan_.servers > 1 && plan_.job.faults.replicas == 0),
      owner_(plan_, rank_, plan_.threads, shareable(link)),
      arenas_(static_cast<std::size_t>(plan_.exchanged_arenas())),
      squares_(link, traits_.gated && !traits_.decided),
      council_(link, rank_, plan_.servers, static_cast<std::size_t>(plan_.places()), others_),
      connections_(link.context(), Seconds(plan_.job.faults.join_within)),
      division_(plan_.job, plan_.facts, everyone(plan_.workers)),
      doors_(link, plan_, welcome),
      ledger_(rank_, static_cast<std::size_t>(plan_.places())),
      cut_gate_(static_cast<std::size_t>(plan_.places())),
      inboxes_(static_cast<std::size_t>(plan_.places()),
               Inbox(arenas_ * owner_.slice().pieces.size(), plan_.undo_possible())),
      kept_(inboxes_),
      members_(static_cast<std::size_t>(plan_.places())) {
  if (plan::packs_gradients(plan_))
    unpacker_.emplace(plan::codec_options(plan_.job), plan::codec_number(plan_.job), owner_.slice().pieces);
}

void Server::start(const Start& start, const std::vector<sync::Event>& recording) {
  doors_.allow(start.allowed);
  const sync::Setup setup = setup_of(plan_, start);
  replay_ = Replay(traits_, recording, rank_);
  job::Sync rules = plan_.job.sync;
  if (replay_.gates()) rules.policy = job::PolicyName::asp;  // which never waits: the recording does
  policy_ = sync::make_policy(rules, setup);
  for (const int rank : start.active) members_[static_cast<std::size_t>(rank)].gate = flight_ = policy_->released(rank);
  for (const int rank : setup.absent) {
    members_[static_cast<std::size_t>(rank)].lost = true;
    cut_gate_.leave(rank, start.clocks[static_cast<std::size_t>(rank)]);
  }
  if (traits_.abandons && rank_ == 0) {
    worklist_.emplace(plan_.job, plan_.facts);
    if (!start.worklist.empty()) worklist_->restore(start.worklist);
    worklist_->set_active(start.active);
  }
  if (plan_.job.output.trace)
    ledger_ = sync::Ledger(rank_, members_.size(), [this](const sync::Event& event) { trace_.push_back(event); });
  owner_.current().updates = start.updates;
  owner_.current().applied_rows = start.applied_rows;
  ledger_.begin(start.updates);
  if (clips() || decided_) meet_others(start);
  standing_by_ = start.stands_by;
  told_release_ = start.clocks;
  if (standing_by_) link_.set_name(fmt::format("standby {}", rank_));
  if (!start.standby.empty()) meet_standby(start);
  to_load_ = owner_.arenas() * owner_.slice().pieces.size();
}

void Server::meet_others(const Start& start) {
  const std::string identity = "server-" + std::to_string(rank_) + "-" + hex(link_.self().incarnation);
  for (int m = 0; m < plan_.servers; ++m)
    if (m != rank_) others_.push_back(connect_data(link_, plan_, owner_address(start, m), identity, connections_));
  std::vector<wire::Socket*> all;
  for (wire::Socket& other : others_) all.push_back(&other);
  for (const auto& [number, address] : elsewhere(start, plan_.servers))
    all.push_back(&elsewhere_.emplace_back(connect_data(link_, plan_, address, identity, connections_)));
  if (start.everywhere.empty())
    squares_.begin(rank_, plan_.servers, all);
  else
    squares_.begin(start.number, static_cast<int>(start.everywhere.size()), all);
}

void Server::serve() {
  started_ = Clock::now();
  while (standing_by_ && !dismissed_) pump(100);
  while (!settled() && !dismissed_) pump(100);
  if (dismissed_) return;  // all that this standby could add is there
  log_changes(link_.self().epoch);
  tell_over();
  // Who leaves does so between two pushes, and all that was pushed is in: the end is a cut by itself.
  const std::vector<sync::Clock> clocks = traits_.gated ? clocks_to_save() : cut_gate_.clocks();
  if (!traits_.gated) ledger_.cut(clocks, Cut::last_ordinal);
  send_snapshot({.evaluate = true, .save = true, .last = true}, Cut::last_ordinal,
                traits_.gated ? clocks : resumable(clocks));
}

/// Nobody will push any more, and all that was pushed is decided: so every server ends with the same update. Workers
/// that are stopped at once may leave before all of the state that they would have worked on is here.
bool Server::settled() const {
  const bool no_more_decisions = !decided_ || council_.decides() || over_;
  return loaded_ == to_load_ && !frozen_ && !settling_ && !unkept_ && !cut_gate_.open() && pending_.empty() &&
         early_.empty() && no_more_decisions && all_gone();
}

/// Whoever waits for a step that nobody does any more is told so by the coordinator.
bool Server::all_gone() const {
  return std::all_of(members_.begin(), members_.end(), [](const Member& m) { return m.left || m.lost || m.joining; });
}

/// No decision will follow: other servers need not wait for one, and workers with state of their own know what to save.
void Server::tell_over() {
  wire::Header header;
  header.type = wire::Type::leave;
  header.clock = flight_.clock;
  if (decided_ && council_.decides())
    for (wire::Socket& other : others_) other.send(link_.self(), header, std::string_view());
  for (const Member& member : members_)
    if (plan_.workers_keep() && member.pulled && !member.lost)
      doors_[member.route.door].send(link_.self(), header, std::string_view(), member.route.peer);
}

void Server::pump(int timeout_ms) {
  {
    const Lap lap(wait_seconds_);
    wire::Poller poller;
    link_.watch(poller);
    doors_.watch(poller);
    if (standby_) poller.add(*standby_);
    if (link_.keeps_data())
      for (auto* sockets : {&others_, &elsewhere_})
        for (wire::Socket& other : *sockets) poller.add(other);  // what the link keeps leaves meanwhile
    poller.wait(timeout_ms);
  }
  while (const auto message = link_.receive()) obey(*message);  // first: whoever connects may just have been told of
  doors_.serve();
  connections_.check();
  hear_standby();
  const auto tell = [this](const std::string& why) { link_.tell_refusal(why); };
  for (std::size_t d = 0; d < doors_.size(); ++d)
    while (auto message = doors_[d].receive(link_.self().nonce, tell)) {
      take(std::move(*message), d);
      link_.beat(flight_.clock, Phase::folding);
    }
  proceed_with_cut();
  link_.beat(flight_.clock, Phase::folding);
  if (seconds_since(traced_at_) > 0.1 || trace_.size() > 1000) flush_trace();
}

void Server::flush_trace() {
  traced_at_ = Clock::now();
  // What the standby has not heard of happens again if we are lost.
  const std::size_t ready = standby_ && !dismissed_ ? safe_events_ : trace_.size();
  if (ready == 0) return;
  link_.send(wire::Type::traced, pack(std::span(trace_).first(ready)));
  trace_.erase(trace_.begin(), trace_.begin() + static_cast<std::ptrdiff_t>(ready));
  told_events_ -= std::min(ready, told_events_), safe_events_ -= std::min(ready, safe_events_);
}

void Server::take(wire::Message message, std::size_t door) {
  if (standing_by_) return take_while_standing_by(std::move(message), door);
  if (is_of_another_life(message.header)) return refuse(message.header);
  switch (message.header.type) {
    case wire::Type::load: return take_load(std::move(message), door);
    case wire::Type::snapshot: return take_snapshot(std::move(message));
    case wire::Type::pull: return take_pull(message, door);
    case wire::Type::touch: return take_touched(message);
    case wire::Type::push: return take_push(std::move(message));
    case wire::Type::leave: return take_leave(message);
    case wire::Type::mark: return take_mark(message);
    case wire::Type::squares: return take_squares(message);
    case wire::Type::arrived: return take_arrived(message);
    case wire::Type::decided: return take_decided(std::move(message));
    default: refuse(message.header);
  }
}

void Server::refuse(const wire::Header& header) {
  ++tally_.refused;
  link_.tell_refusal(fmt::format("type {} from {} {}, clock {}, piece {} of {}: not what is due here",
                                 static_cast<int>(header.type), wire::name(header.sender_role), header.sender_rank,
                                 header.clock, header.piece, header.pieces));
}

void Server::take_leave(const wire::Message& message) {
  const auto rank = static_cast<std::size_t>(message.header.sender_rank);
  if (message.header.sender_role == wire::Role::server) {
    over_ = over_ || rank == 0;
  } else if (rank < members_.size()) {
    members_[rank].left = true;
    members_[rank].came_late = message.header.rows != 0;
    cut_gate_.leave(static_cast<int>(rank), message.header.clock);
    if (!frozen_) advance(), proceed();
  }
}

/// A checkpoint was asked for. Where steps are in common one worker marks a step in which it pushes on every server, so
/// that all save the same; otherwise each marks for itself.
void Server::take_mark(const wire::Message& message) {
  traits_.gated ? void(save_after_ = message.header.clock) : take_cut_mark(message);
}

void Server::take_squares(const wire::Message& message) {
  if (!squares_.take(message)) return refuse(message.header);
  if (!frozen_) advance(), proceed();
}

void Server::obey(const wire::Message& message) {
  const wire::Type type = message.header.type;
  if (type == wire::Type::goodbye) {
    dismissed_ = true;
  } else if (type == wire::Type::abort) {
    fail(Kind::lost, "the coordinator ended the run");
  } else if (type == wire::Type::stop) {  // a run that is stopped ends before its recording
    replay_ = {};
    advance(), proceed();
  } else if (type == wire::Type::lost) {
    leaving_ ? settle_late(message) : freeze(static_cast<int>(message.header.rows));
  } else if (type == wire::Type::take_over) {
    take_over(unpack_take_over(message.text()));
  } else if (type == wire::Type::coming) {
    leaving_ ? settle_late(message) : expect(unpack_coming(message.text()));
  } else if (type == wire::Type::membership) {
    leaving_ ? settle_late(message) : change_membership(unpack_membership(message.text()));
  }
}

/// What workers save of their own still passes through.
void Server::say_goodbye() {
  leaving_ = true;
  while (!dismissed_) pump(100);
  flush_trace();
  for (const wire::Socket& door : doors_) count_traffic(door, tally_);
  tally_.refused += doors_.strangers();
  if (!traits_.gated && !standing_by_) tally_.staleness = ledger_.histogram();
  if (worklist_) tally_.rows_never_learned = static_cast<std::uint64_t>(worklist_->rows_given_up());
  tally_.steps = updates_done_;
  tally_.compute_seconds = busy_seconds_;
  tally_.communicate_seconds = communicate_seconds_;
  tally_.wait_seconds = wait_seconds_;
  tally_.peak_bytes = peak_bytes();
  link_.send(wire::Type::left, pack(tally_));
}

void run_server(const JoinRequest& request) {
  run_role(request, [](Link& link, Welcome& welcome) {
    plan::Plan plan = take_place(link, welcome, plan_of(welcome));
    Server server(link, welcome, std::move(plan));
    link.send(wire::Type::ready, pack(Ready{server.endpoints(), {}}));
    std::vector<sync::Event> recording;
    const Start start = await_start(link, &recording);
    server.start(start, recording);
    server.serve();
    server.say_goodbye();
  });
}

}  // namespace dtrain::role
