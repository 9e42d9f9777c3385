#include "role/coordinator.hpp"

#include <csignal>

#include "base/hash.hpp"
#include "base/text.hpp"
#include "job/places.hpp"
#include "job/read.hpp"
#include "role/coordinator_role.hpp"
#include "role/hosts.hpp"

namespace dtrain::role {
namespace {

constexpr Seconds end_patience{3};  ///< for a role to end once it was told to

}  // namespace

Doors::Outer Coordinator::outer_door(const Course& course) {
  const RunRequest& request = course.request();
  const job::Topology& topology = course.plan().job.topology;
  const std::string token =
      request.token_file.empty() ? (course.folder().path() / "token").string() : request.token_file;
  const std::int64_t more = std::max<std::int64_t>(0, topology.max_workers.value_or(0) - topology.workers);
  return {request.listen, token, request.insecure, !request.token_file.empty() || job::launches_by_ssh(topology),
          static_cast<std::size_t>(topology.external + topology.external_servers + more)};
}

std::vector<RoleReport> Coordinator::run() {
  try {
    train_all();
    conclude_strangers();
  } catch (const Setback&) {
    kill_children();
    throw;
  } catch (const Error& error) {
    tell_all(wire::Type::abort);
    end_children(false);
    note_fault(error);
    throw;
  } catch (...) {
    end_children(false);
    throw;
  }
  return reports();
}

/// A disk that is full may be the very fault.
void Coordinator::note_fault(const Error& error) {
  try {
    conclude_strangers();
    end_["what"] = error.what(), end_["action"] = "stop";
    course_.fault(end_);
  } catch (const Error& second) {
    course_.request().log.warn("the fault could not be recorded: {}", second.what());
  }
}

void Coordinator::train_all() {
  if (plan_.job.topology.transport == job::Transport::shared_memory) probe_ = memory_.arena(1);
  spawn();
  announce();
  form();
  start();
  if (setback_ != nullptr) course_.recovered(setback_->noticed, states_.front().step);
  train();
  part();
}

void Coordinator::spawn() {
  for (Member& member : roster_.all())
    if (!member.external) member.child.emplace(command_of(member));
  if (setback_ == nullptr || job::launches_by_ssh(plan_.job.topology)) spawn_elsewhere();
}

launch::Command Coordinator::command_of(const Member& member) const {
  launch::Command command;
  command.name = member.name();
  command.arguments = {wire::name(member.role), "--connect", doors_.local_endpoint()};
  add_data_dir(command.arguments, plan_.job.topology, member);
  const std::string threads = std::to_string(member.role == wire::Role::loader ? 1 : plan_.threads);
  command.environment = {{"OMP_NUM_THREADS", threads},
                         {launch::spin_count.name, launch::spin_count.value},
                         {"OPENBLAS_NUM_THREADS", "1"},
                         {"DTRAIN_TICKET", member.name()},
                         {"DTRAIN_RUN", doors_.run_secret()}};
  command.log = course_.folder().log(member.kind(), member.rank);
  return command;
}

/// Those who had joined before the run went back know the way.
void Coordinator::announce() {
  const job::Topology& topology = plan_.job.topology;
  if (setback_ != nullptr) {
    if (setback_->free_place && !job::launches_by_ssh(topology)) announce_place(*setback_->free_place);
    return;
  }
  if (!topology.hosts.empty()) return;  // spawn_elsewhere() has told who is started where
  for (std::int64_t i = 0; i < topology.external_servers; ++i) announce_place(wire::Role::server);
  for (std::int64_t i = 0; i < topology.external; ++i) announce_place(wire::Role::worker);
  if (job::grows(topology)) announce_place(wire::Role::worker, true);
}

/// `invites`: to a place that may stay empty.
void Coordinator::announce_place(wire::Role role, bool invites) {
  std::string flags;
  const RunRequest& request = course_.request();
  if (doors_.secure())
    flags = " --token-file " + token_file();
  else if (request.insecure && wire::leaves_host(doors_.outer_endpoint()))
    flags = " --insecure";
  const auto tell = [&](const std::string& what) {
    request.log.info("{}: dtrain {} --connect {}{}", what, wire::name(role), doors_.outer_endpoint(), flags);
  };
  invites ? tell(fmt::format("more workers (up to {} in all) may join with", plan_.places())) : tell("join with");
}

void Coordinator::form() {
  const Deadline deadline(Seconds(plan_.job.faults.join_within));
  Clock::time_point reminded = Clock::now();
  while (!roster_.all_in(Member::State::ready)) {
    if (deadline.passed())
      fail(Kind::formation, "after {} (faults.join_within) these had not joined: {}",
           human_seconds(plan_.job.faults.join_within), roster_.missing(Member::State::ready));
    if (course_.should_stop())
      throw Error(Kind::formation, setback_ ? "stopped before the run went on" : "stopped before the run began")
          .with_code(course_.stop_code());
    if (Clock::now() - reminded > std::chrono::seconds(5)) {
      course_.request().log.info("still waiting for {}", roster_.missing(Member::State::ready));
      reminded = Clock::now();
    }
    pump(100);
  }
}

std::string Coordinator::endpoint_for(const std::string& endpoints, const Member& reader) {
  // A local role listens for local readers on ipc and, where some read from outside, on tcp too.
  const std::vector<std::string> both = split(endpoints, ' ');
  return reader.external ? both.back() : both.front();
}

int Coordinator::cell_of(const Member& member) const {
  return member.role == wire::Role::server ? plan_.cell_of_server(member.rank) : plan_.grid.cell_of(member.rank);
}

int Coordinator::rank_in_cell(const Member& member) const {
  return member.role == wire::Role::server ? member.rank % plan_.servers_of_cell() : plan_.grid.data_of(member.rank);
}

/// The first of a cell's owners, where all of the run are counted cell by cell.
int Coordinator::first_owner(int cell) const { return cell * plan_.of_cell(cell).owners(); }

void Coordinator::train() {
  while (!last_seen_) {
    pump(100);
    course_.take_results();
    course_.suffer(wire::Role::coordinator, 0, course_.tracker().slowest());
    ask_for_checkpoints();
    if (course_.should_stop() && !stop_told_) tell_all(wire::Type::stop), stop_told_ = true;
  }
  course_.tracker().end();
  course_.pass_over(cut_calls_.passed_over());
}

/// Everybody has done all there is to do: they say what it took, and go.
void Coordinator::part() {
  tell_all(wire::Type::goodbye);
  all_told_ = true;
  for (Member& member : roster_.all())  // whoever has not joined yet hears of nothing
    if (member.child && member.state == Member::State::expected)
      member.child->signal(SIGKILL), member.vacate(Member::State::lost);
  const Deadline deadline(end_patience);
  while (!roster_.all_in(Member::State::left) && !deadline.passed()) pump(50);
  end_children(true);
}

void Coordinator::end_children(bool kindly) {
  const Deadline deadline(kindly ? end_patience : Seconds(0.5));
  for (Member& member : roster_.all())
    if (member.child) member.child->finish(Seconds(deadline.milliseconds(10000) / 1000.0));
}

void Coordinator::kill_children() {
  for (Member& member : roster_.all())
    if (member.child) member.child->signal(SIGKILL);
  for (Member& member : roster_.all())
    if (member.child) member.child->finish(end_patience);
}

void Coordinator::pump(int timeout_ms) {
  wire::Poller poller;
  doors_.watch(poller);
  for (wire::Socket& socket : data_) poller.add(socket);
  for (Member& member : roster_.all())
    if (member.child && !member.child->ended()) poller.add(member.child->descriptor());
  poller.add(course_.signals().descriptor());
  poller.add(course_.aside().descriptor());
  poller.wait(timeout_ms);
  forgive_pause();
  doors_.serve();
  while (auto knock = doors_.receive()) hear(*knock);
  collect_snapshots();
  if (all_told_ || last_seen_) return;  // all is done: who is lost now is missed by nobody
  check_children();
  check_connections();
  check_stops();
  check_stalls();
  check_standstill();
  connections_.check();
}

void Coordinator::hear(Knock& knock) {
  const wire::Type type = knock.message.header.type;
  if (type == wire::Type::join) return admit(knock);
  Member* member = roster_.at(knock.from);
  if (member == nullptr || member->incarnation != knock.message.header.incarnation) return;
  miss(knock.message, *member);
  if (member->incarnation != knock.message.header.incarnation) return;  // lost by that, and the place is another's
  if (member->state == Member::State::lost || member->state == Member::State::vacant)
    return;  // the others go on without it, whatever it still has to say
  const Seconds interval = Clock::now() - member->last_beat;
  if (training_) member->longest_interval = std::max(member->longest_interval, interval);
  member->last_beat = Clock::now();
  const std::string_view text = knock.message.text();
  switch (type) {
    case wire::Type::ready:
      if (const auto ready = unpack_ready(text)) {
        member->data_endpoint = join(ready->endpoints, " ");
        member->row_endpoint = join(ready->row_endpoints, " ");
      }
      member->state = Member::State::ready;
      if (!member->active) joining_.push_back(member->rank), admit_next();
      return;
    case wire::Type::progress: return note_progress(*member, knock.message);
    case wire::Type::cut:
      if (const auto cut = unpack_cut(text)) note_cut(*member, *cut);
      return;
    case wire::Type::changed:
      if (const auto changed = unpack_changed(text)) note_change(*member, *changed);
      return;
    case wire::Type::traced:
      if (auto events = unpack_traced(text)) {
        for (sync::Event& event : *events) event.server += first_owner(cell_of(*member));
        member->events += events->size();
        course_.trace(*events);
      }
      return;
    case wire::Type::frozen:
      if (const auto frozen = unpack_frozen(text); frozen && member->role == wire::Role::server) {
        const bool loss = frozen->attempt == 0;
        if (loss ? !settling_ : !admitting_ || frozen->attempt != attempt_) return;
        frozen_.at(static_cast<std::size_t>(member->rank)) = *frozen;
        loss ? settle_membership() : settle_join();
      }
      return;
    case wire::Type::take_over: return note_taken_over(*member);
    case wire::Type::chaos: return note_chaos(*member, knock.message);
    case wire::Type::failed: member->failure = unpack_failure(text); return;
    case wire::Type::left:
      member->tally = unpack_tally(text);
      member->state = Member::State::left;
      return;
    default: return;
  }
}

void Coordinator::admit(const Knock& knock) {
  const auto refuse = [&](const std::string& why) {
    doors_.send(knock.from, wire::Type::refused, pack(Failure{static_cast<int>(Kind::formation), why}));
  };
  check_connections();  // one that ended before this one began may have had its descriptor
  const std::optional<Join> join = unpack_join(knock.message.text());
  const bool known = join && doors_.admits(knock.from, *join, knock.message);
  const std::string why = join ? "the secret is wrong" : "the join message cannot be read";
  if (!known) return doors_.strangers().note("a join: " + why), refuse(why);
  Member* member = knock.from.door == 0   ? roster_.by_ticket(join->ticket)
                   : join->ticket.empty() ? roster_.free_place(join->role)
                                          : roster_.kept_place(join->role, join->ticket);
  if (member == nullptr)
    return refuse(fmt::format(
        "no {} is wanted from outside any more (topology.external: {}, topology.external_servers: {}, "
        "topology.max_workers: {})",
        wire::name(join->role), plan_.job.topology.external, plan_.job.topology.external_servers, plan_.places()));
  if (member->state == Member::State::vacant && (stop_told_ || all_told_)) return refuse("the run is about to end");
  if (member->state != Member::State::expected && member->state != Member::State::vacant)
    return refuse(member->name() + " has joined already");
  welcome(*member, knock, *join);
}

void Coordinator::welcome(Member& member, const Knock& knock, const Join& join) {
  member.address = knock.from;
  member.descriptor = knock.message.descriptor;
  member.incarnation = knock.message.header.incarnation;
  member.state = Member::State::joined;
  doors_.let_in(knock.from, knock.message);
  member.host = join.host;
  member.pid = join.pid;
  member.public_key = join.public_key;
  member.last_beat = Clock::now();
  Welcome welcome{member.rank,
                  nonce_,
                  epoch_,
                  job::write_job(plan_.job),
                  plan_.host,
                  plan_.facts,
                  course_.survey().encoding,
                  {},
                  {},
                  doors_.secure()};
  if (member.role != wire::Role::worker || plan_.peers() || plan_.grid.split())
    welcome.bind = binds(member, knock.message, "d");
  if (member.role == wire::Role::worker && plan_.trades_rows()) welcome.bind_rows = binds(member, knock.message, "r");
  if (!member.standby) welcome.chaos = course_.chaos().begin_life(member.role, member.rank, welcome.life);
  if (const auto lies = memory_.locate(probe_.span()); lies && !member.external) {
    // Given back by whoever reads it.
    lies->readers->fetch_add(1, std::memory_order_relaxed);
    welcome.probe_block = lies->block, welcome.probe_place = lies->place;
  }
  if (!doors_.send(member.address, wire::Type::welcome, pack(welcome))) {  // it is gone already
    member.state = Member::State::expected;
    return;
  }
  course_.metrics().write({{"event", "role"},
                           {"role", member.kind()},
                           {"rank", member.rank},
                           {"what", "joined"},
                           {"host", join.host},
                           {"pid", join.pid}});
  if (member.external) course_.request().log.info("{} joined from {}", member.name(), join.host);
}

/// Where a member is to listen. `kind`: of socket, in the name that it has on this machine.
std::vector<std::string> Coordinator::binds(const Member& member, const wire::Message& message,
                                            const char* kind) const {
  const bool six = message.address.find(':') != std::string::npos;
  if (member.external) return {"tcp://" + (six ? "[" + message.address + "]" : message.address) + ":*"};
  std::vector<std::string> endpoints{plan_.job.topology.transport == job::Transport::tcp
                                         ? "tcp://127.0.0.1:*"
                                         : fmt::format("ipc://{}/{}{}{}-{}", doors_.folder().string(), kind,
                                                       member.standby ? 'b' : wire::name(member.role)[0], member.rank,
                                                       course_.restarts())};
  const std::string& listen = course_.request().listen;
  const job::Topology& topology = plan_.job.topology;
  if (topology.external + topology.external_servers > 0 || job::grows(topology))
    endpoints.push_back(listen.substr(0, listen.rfind(':')) + ":*");
  return endpoints;
}

void Coordinator::note_progress(Member& member, const wire::Message& message) {
  const auto report = unpack_progress(message.text());
  if (!report) return;
  if (member.step != report->step || member.phase != report->phase || !report->records.empty()) moved_ = Clock::now();
  member.step = report->step;
  member.phase = report->phase;
  if (member.role != wire::Role::worker) return;
  member.entered = member.entered || !report->records.empty() || (member.active && report->phase == Phase::computing);
  for (const StepRecord& record : report->records) course_.tracker().record(rank_in_cell(member), record);
}

void Coordinator::note_cut(const Member& member, const Cut& cut) {
  if (member.role == wire::Role::server) cut_calls_.saved(cut.ordinal);
  Assembly& assembly = assembly_.of_cell(cell_of(member));
  if (cut.own)
    assembly.add_own(rank_in_cell(member), cut);
  else if (cut.clocks.size() == static_cast<std::size_t>(plan_.places()))
    assembly.add(rank_in_cell(member), cut);
}

/// Every server sets its own bound where each goes its own way, and all the same where they agree.
void Coordinator::note_change(const Member& member, const Changed& changed) {
  course_.metrics().write({{"event", "bound"},
                           {"server", member.rank},
                           {"what", changed.what},
                           {"from", changed.from},
                           {"to", changed.to},
                           {"step", changed.step + 1}});
}

void Coordinator::collect_snapshots() {
  const int a_cell = plan_.of_cell(0).owners(), owners = a_cell * plan_.grid.cells();  // and then their standbys
  for (std::size_t i = 0; i < data_.size(); ++i)
    while (const auto message = data_[i].receive(nonce_)) {
      const int owner = static_cast<int>(i) % owners, cell = owner / a_cell;
      miss(*message,
           static_cast<int>(i) < owners ? roster_.owner(plan_, cell, owner % a_cell) : *roster_.standby(owner));
      assembly_.of_cell(cell).add(*message);
    }
  while (auto snapshot = assembly_.take()) {
    snapshot->state.facts = course_.state_facts();
    if (snapshot->last) last_seen_ = true;
    course_.aside().hand_over(std::move(*snapshot));
  }
}

void Coordinator::tell_all(wire::Type type, std::string_view payload) {
  for (Member& member : roster_.all())
    if (member.present()) doors_.send(member.address, type, payload);
}

std::vector<RoleReport> Coordinator::reports() {
  std::vector<RoleReport> reports;
  for (const Member& member : roster_.all())
    if (member.tally)
      reports.push_back({member.stands_by() ? "standby" : wire::name(member.role), member.rank, *member.tally});
  return reports;
}

}  // namespace dtrain::role
