#include "role/coordinator.hpp"

#include <csignal>
#include <utility>

#include "base/text.hpp"
#include "job/places.hpp"
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
    attempt();
    conclude_strangers();
  } catch (const Setback&) {
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

/// What was being saved when it goes back may fail: then there is no next one.
void Coordinator::attempt() {
  try {
    train_all();
  } catch (const Setback&) {
    kill_children();
    course_.go_back();
    throw;
  }
}

/// A disk that is full may be the very fault.
void Coordinator::note_fault(const Error& error) {
  try {
    conclude_strangers();
    if (is_wished_end(error)) return;
    end_["what"] = error.what(), end_["action"] = "stop";
    course_.fault(end_);
  } catch (const Error& second) {
    course_.request().log.warn("the fault could not be recorded: {}", second.what());
  }
}

void Coordinator::train_all() {
  states_ = parts_of(plan_, course_.take_initial_state());
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

/// Of those who were to join the next attempt: they are gone too, it seems, and others may take their places.
void Coordinator::announce_missing() {
  bool left_out = false;  // of the one whose loss was noticed all have been told
  for (const Member& member : roster_.all()) {
    if (!member.external || !member.ticket.empty() || member.state != Member::State::expected) continue;
    if (!left_out && setback_->free_place == member.role)
      left_out = true;
    else
      announce_place(member.role);
  }
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
  bool announced_again = false;
  while (!roster_.all_in(Member::State::ready)) {
    if (deadline.passed())
      fail(Kind::formation, "after {} (faults.join_within) these had not joined: {}",
           human_seconds(plan_.job.faults.join_within), roster_.missing(Member::State::ready));
    if (course_.should_stop())
      throw Error(Kind::formation, setback_ ? "stopped before the run went on" : "stopped before the run began")
          .with_code(course_.stop_code());
    if (Clock::now() - reminded > std::chrono::seconds(5)) {
      course_.request().log.info("still waiting for {}", roster_.missing(Member::State::ready));
      if (setback_ != nullptr && !std::exchange(announced_again, true)) announce_missing();
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
  if (last_seen_) return;  // all is done: who is lost now is missed by nobody
  check_children();
  check_connections();
  check_stops();
  check_stalls();
  check_standstill();
  connections_.check();
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
