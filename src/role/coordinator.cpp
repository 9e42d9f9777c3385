#include "role/coordinator.hpp"

#include <csignal>

#include "base/hash.hpp"
#include "base/text.hpp"
#include "job/read.hpp"
#include "role/assembly.hpp"
#include "role/connections.hpp"
#include "role/roster.hpp"

namespace dtrain::role {
namespace {

constexpr Seconds end_patience{3};  ///< for a role to end once it was told to

class Coordinator {
 public:
  explicit Coordinator(Course& course)
      : course_(course),
        plan_(course.plan()),
        nonce_(entropy()),
        doors_(context_, nonce_, outer_door(course)),
        roster_(plan_),
        assembly_(plan_),
        state_(course.take_initial_state()),
        connections_(context_, Seconds(plan_.job.faults.join_within)) {}

  std::vector<RoleReport> run();

 private:
  static Doors::Outer outer_door(const Course& course);
  void train_all();
  void note_fault(const Error& error);
  void spawn();
  void announce();
  void form();
  void start();
  void load(int server);
  void train();
  void part();
  void end_children(bool kindly);

  void pump(int timeout_ms);
  void hear(Knock& knock);
  void admit(const Knock& knock);
  void welcome(Member& member, const Knock& knock, const Join& join);
  std::vector<std::string> binds(const Member& member, const wire::Message& message) const;
  std::string endpoint_for(const Member& server, const Member& reader) const;
  void note_progress(Member& member, const wire::Message& message);
  void check_children();
  void check_connections();
  void forgive_pause();
  void check_stalls();
  void lose(Member& member, const std::string& how);
  void settle_membership();
  void collect_snapshots();
  [[noreturn]] void fail_lost(const Member& member, const std::string& how);
  void tell_all(wire::Type type, std::string_view payload = {});
  std::vector<RoleReport> reports();

  Course& course_;
  const plan::Plan& plan_;
  std::uint64_t nonce_;
  wire::Context context_;
  Doors doors_;
  Roster roster_;
  Assembly assembly_;
  store::State state_;  ///< that the servers start from
  wire::InFlight loading_;
  std::deque<wire::Socket> data_;  ///< one to each server
  Connections connections_;        ///< of these
  bool training_ = false, stop_told_ = false, all_told_ = false, last_seen_ = false;
  std::uint32_t epoch_ = 0;
  std::optional<int> settling_;  ///< a lost worker whose step in flight is being settled
  std::deque<int> to_settle_;
  std::vector<std::optional<Frozen>> frozen_;
  Clock::time_point looked_ = Clock::now();  ///< for stalls
};

Doors::Outer Coordinator::outer_door(const Course& course) {
  const RunRequest& request = course.request();
  const job::Topology& topology = course.plan().job.topology;
  if (topology.external + topology.external_servers > 0 && request.listen.empty())
    fail(Kind::usage,
         "{} of the job's roles join from outside (topology.external, topology.external_servers): say where they "
         "reach us, for example --listen tcp://127.0.0.1:*",
         topology.external + topology.external_servers);
  const std::string token =
      request.token_file.empty() ? (course.folder().path() / "token").string() : request.token_file;
  return {request.listen, token, request.insecure, !request.token_file.empty()};
}

std::vector<RoleReport> Coordinator::run() {
  try {
    train_all();
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
    course_.metrics().write({{"event", "fault"}, {"what", error.what()}});
  } catch (const Error& second) {
    course_.request().log.warn("the fault could not be recorded: {}", second.what());
  }
}

void Coordinator::train_all() {
  spawn();
  announce();
  form();
  start();
  train();
  part();
}

void Coordinator::spawn() {
  for (Member& member : roster_.all()) {
    if (member.external) continue;
    launch::Command command;
    command.name = member.name();
    command.arguments = {wire::name(member.role), "--connect", doors_.local_endpoint()};
    const std::string threads = std::to_string(plan_.threads);
    command.environment = {{"OMP_NUM_THREADS", threads},
                           {launch::spin_count.name, launch::spin_count.value},
                           {"OPENBLAS_NUM_THREADS", "1"},
                           {"DTRAIN_TICKET", member.name()},
                           {"DTRAIN_RUN", doors_.run_secret()}};
    command.log = course_.folder().log(wire::name(member.role), member.rank);
    member.child.emplace(command);
  }
}

void Coordinator::announce() {
  if (doors_.outer_endpoint().empty()) return;
  std::string flags;
  const RunRequest& request = course_.request();
  if (doors_.secure())
    flags = " --token-file " +
            (request.token_file.empty() ? (course_.folder().path() / "token").string() : request.token_file);
  else if (request.insecure && wire::leaves_host(doors_.outer_endpoint()))
    flags = " --insecure";
  const job::Topology& topology = plan_.job.topology;
  for (std::int64_t i = 0; i < topology.external_servers; ++i)
    request.log.info("join with: dtrain server --connect {}{}", doors_.outer_endpoint(), flags);
  for (std::int64_t i = 0; i < topology.external; ++i)
    request.log.info("join with: dtrain worker --connect {}{}", doors_.outer_endpoint(), flags);
}

void Coordinator::form() {
  const Deadline deadline(Seconds(plan_.job.faults.join_within));
  Clock::time_point reminded = Clock::now();
  while (!roster_.all_in(Member::State::ready)) {
    if (deadline.passed())
      fail(Kind::formation, "after {} (faults.join_within) these had not joined: {}",
           human_seconds(plan_.job.faults.join_within), roster_.missing(Member::State::ready));
    if (course_.should_stop())
      throw Error(Kind::formation, "stopped before the run began").with_code(course_.stop_code());
    if (Clock::now() - reminded > std::chrono::seconds(5)) {
      course_.request().log.info("still waiting for {}", roster_.missing(Member::State::ready));
      reminded = Clock::now();
    }
    pump(100);
  }
}

std::string Coordinator::endpoint_for(const Member& server, const Member& reader) const {
  // A local server listens for local readers on ipc and, where some read from outside, on tcp too.
  const std::vector<std::string> both = split(server.data_endpoint, ' ');
  return reader.external ? both.back() : both.front();
}

void Coordinator::start() {
  Start start;
  start.clocks = state_.clocks;
  start.updates = state_.updates;
  start.applied_rows = state_.applied_rows;
  for (const Member& member : roster_.all()) start.allowed.push_back(member.public_key);
  start.allowed.push_back(doors_.keys().public_key);
  for (Member& reader : roster_.all()) {
    start.endpoints.clear(), start.keys.clear();
    for (int m = 0; m < plan_.servers; ++m) {
      start.endpoints.push_back(endpoint_for(roster_.server(m), reader));
      start.keys.push_back(doors_.secure() ? roster_.server(m).public_key : "");
    }
    doors_.send(reader.address, wire::Type::start, pack(start));
  }
  for (int m = 0; m < plan_.servers; ++m) load(m);
  training_ = true;
  for (Member& member : roster_.all()) member.last_beat = Clock::now();
  course_.tracker().begin(state_.clocks);
}

/// Weights and moments go to their owners from here, fresh or from a checkpoint: one way in.
void Coordinator::load(int server) {
  const Member& member = roster_.server(server);
  const std::string endpoint = split(member.data_endpoint, ' ').front();
  const wire::Keys keys = wire::connecting_keys(doors_.keys(), member.public_key);
  const bool secure = doors_.secure() && endpoint.starts_with("tcp://");
  wire::Socket& socket =
      data_.emplace_back(context_, wire::Socket::Pattern::dealer, "coordinator", secure ? &keys : nullptr);
  connections_.watch(socket, server);
  socket.connect(endpoint);
  for (std::size_t a = 0; a <= state_.moments.size(); ++a) {
    const Arena& arena = a == 0 ? state_.weights : state_.moments[a - 1];
    for (const plan::Piece& piece : plan_.slices[static_cast<std::size_t>(server)].pieces) {
      wire::Header header;
      header.type = wire::Type::load;
      header.slice = static_cast<std::uint32_t>(a);
      header.offset = static_cast<std::uint64_t>(piece.offset);
      header.count = static_cast<std::uint64_t>(piece.count);
      socket.send_floats(
          doors_.self(), header,
          arena.span().subspan(static_cast<std::size_t>(piece.offset), static_cast<std::size_t>(piece.count)),
          loading_);
    }
  }
}

void Coordinator::train() {
  while (!last_seen_) {
    pump(100);
    course_.take_results();
    if (course_.save_due()) doors_.send(roster_.worker(roster_.active_workers().front()).address, wire::Type::save, {});
    if (course_.should_stop() && !stop_told_) tell_all(wire::Type::stop), stop_told_ = true;
  }
  course_.tracker().end();
}

/// Everybody has done all there is to do: they say what it took, and go.
void Coordinator::part() {
  tell_all(wire::Type::goodbye);
  all_told_ = true;
  const Deadline deadline(end_patience);
  while (!roster_.all_in(Member::State::left) && !deadline.passed()) pump(50);
  end_children(true);
}

void Coordinator::end_children(bool kindly) {
  const Deadline deadline(kindly ? end_patience : Seconds(0.5));
  for (Member& member : roster_.all())
    if (member.child) member.child->finish(Seconds(deadline.milliseconds(10000) / 1000.0));
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
  if (all_told_) return;
  check_children();
  check_connections();
  check_stalls();
  connections_.check();
}

void Coordinator::hear(Knock& knock) {
  const wire::Type type = knock.message.header.type;
  if (type == wire::Type::join) return admit(knock);
  Member* member = roster_.at(knock.from);
  if (member == nullptr || member->incarnation != knock.message.header.incarnation) return;
  if (member->state == Member::State::lost) return;  // the others go on without it, whatever it still has to say
  const Seconds interval = Clock::now() - member->last_beat;
  if (training_) member->longest_interval = std::max(member->longest_interval, interval);
  member->last_beat = Clock::now();
  const std::string_view text = knock.message.text();
  switch (type) {
    case wire::Type::ready:
      if (const auto ready = unpack_ready(text)) member->data_endpoint = join(ready->endpoints, " ");
      member->state = Member::State::ready;
      return;
    case wire::Type::progress: return note_progress(*member, knock.message);
    case wire::Type::cut:
      if (const auto cut = unpack_cut(text);
          cut && member->role == wire::Role::server && cut->clocks.size() == static_cast<std::size_t>(plan_.workers))
        assembly_.add(member->rank, *cut);
      return;
    case wire::Type::frozen:
      if (const auto frozen = unpack_frozen(text); frozen && member->role == wire::Role::server && settling_) {
        frozen_.at(static_cast<std::size_t>(member->rank)) = *frozen;
        settle_membership();
      }
      return;
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
    course_.request().log.warn("refused a join: {}", why);
    doors_.send(knock.from, wire::Type::refused, pack(Failure{static_cast<int>(Kind::formation), why}));
  };
  const std::optional<Join> join = unpack_join(knock.message.text());
  if (!join) return refuse("the join message cannot be read");
  if (!doors_.admits(knock.from, *join, knock.message)) return refuse("the secret is wrong");
  Member* member = knock.from.door == 0 ? roster_.by_ticket(join->ticket) : roster_.free_place(join->role);
  if (member == nullptr)
    return refuse(
        fmt::format("no {} is wanted from outside any more (topology.external: {}, topology.external_servers: {})",
                    wire::name(join->role), plan_.job.topology.external, plan_.job.topology.external_servers));
  if (member->state != Member::State::expected) return refuse(member->name() + " has joined already");
  welcome(*member, knock, *join);
}

void Coordinator::welcome(Member& member, const Knock& knock, const Join& join) {
  member.address = knock.from;
  member.descriptor = knock.message.descriptor;
  member.incarnation = knock.message.header.incarnation;
  member.state = Member::State::joined;
  member.host = join.host;
  member.pid = join.pid;
  member.public_key = join.public_key;
  member.last_beat = Clock::now();
  const Welcome welcome{member.rank,
                        nonce_,
                        epoch_,
                        job::write_job(plan_.job),
                        plan_.host,
                        plan_.facts,
                        course_.survey().encoding,
                        binds(member, knock.message),
                        doors_.secure()};
  doors_.send(member.address, wire::Type::welcome, pack(welcome));
  course_.metrics().write({{"event", "role"},
                           {"role", wire::name(member.role)},
                           {"rank", member.rank},
                           {"what", "joined"},
                           {"host", join.host},
                           {"pid", join.pid}});
  if (member.external) course_.request().log.info("{} joined from {}", member.name(), join.host);
}

std::vector<std::string> Coordinator::binds(const Member& member, const wire::Message& message) const {
  if (member.role != wire::Role::server) return {};
  const bool six = message.address.find(':') != std::string::npos;
  if (member.external) return {"tcp://" + (six ? "[" + message.address + "]" : message.address) + ":*"};
  std::vector<std::string> endpoints{fmt::format("ipc://{}/s{}", doors_.folder().string(), member.rank)};
  const std::string& listen = course_.request().listen;
  const job::Topology& topology = plan_.job.topology;
  if (topology.external + topology.external_servers > 0)
    endpoints.push_back(listen.substr(0, listen.rfind(':')) + ":*");
  return endpoints;
}

void Coordinator::note_progress(Member& member, const wire::Message& message) {
  const auto report = unpack_progress(message.text());
  if (!report) return;
  member.step = report->step;
  member.phase = report->phase;
  if (member.role != wire::Role::worker) return;
  for (const StepRecord& record : report->records) course_.tracker().record(member.rank, record);
}

void Coordinator::check_children() {
  for (Member& member : roster_.all()) {
    if (!member.child || member.state == Member::State::left || member.state == Member::State::lost) continue;
    const std::optional<launch::Exit> exit = member.child->ended();
    if (!exit) continue;
    while (auto knock = doors_.receive()) hear(*knock);  // its last words may have arrived meanwhile
    lose(member, exit->text());
  }
}

void Coordinator::check_connections() {
  while (const auto gone = doors_.disconnected())
    for (Member& member : roster_.all())
      if (member.external && member.present() && member.address.door == gone->first &&
          member.descriptor == gone->second) {
        while (auto knock = doors_.receive()) hear(*knock);
        if (member.state != Member::State::left) lose(member, "closed its connection");
      }
}

/// We look several times a second. If we have not, we were stopped ourselves (Ctrl-Z, a suspended machine), and so were
/// they, perhaps.
void Coordinator::forgive_pause() {
  const Seconds pause = Clock::now() - looked_;
  looked_ = Clock::now();
  if (pause > Seconds(1))
    for (Member& member : roster_.all()) member.last_beat = looked_;
}

/// Nobody beats while the data are loaded: until all are ready, form() has the deadline.
void Coordinator::check_stalls() {
  if (!training_) return;
  for (Member& member : roster_.all()) {
    if (!member.present()) continue;
    const Seconds allowed = std::max(Seconds(plan_.job.faults.stalled_after), 5 * member.longest_interval);
    const Seconds silent = Clock::now() - member.last_beat;
    if (silent <= allowed) continue;
    if (member.child) member.child->signal(SIGKILL);
    lose(member, fmt::format("made no progress for {} (faults.stalled_after)", human_seconds(silent.count())));
  }
}

void Coordinator::fail_lost(const Member& member, const std::string& how) {
  const std::string where =
      training_ ? fmt::format(" at step {} while {}", member.step + 1, name(member.phase))
                : fmt::format(" while {}", member.state == Member::State::expected ? "starting" : name(member.phase));
  if (member.failure && member.failure->code != static_cast<int>(Kind::lost))
    throw Error(static_cast<Kind>(member.failure->code), member.failure->message).during(member.name());
  const std::string log = member.child
                              ? "; its log: " + course_.folder().log(wire::name(member.role), member.rank).string()
                              : " on " + member.host;
  const std::string why = member.failure ? ": " + member.failure->message : "";
  throw Error(Kind::lost, fmt::format("{} (pid {}) {}{}{}{}", member.name(),
                                      member.child ? member.child->pid() : member.pid, how, where, why, log));
}

void Coordinator::lose(Member& member, const std::string& how) {
  const job::Faults& faults = plan_.job.faults;
  const auto left = static_cast<std::int64_t>(roster_.active_workers().size()) - 1;
  const bool goes_on = training_ && member.role == wire::Role::worker &&
                       faults.on_worker_loss == job::OnWorkerLoss::keep_going && left >= faults.min_workers &&
                       (!member.failure || member.failure->code == static_cast<int>(Kind::lost));
  if (!goes_on) fail_lost(member, how);
  member.state = Member::State::lost;
  doors_.send(member.address, wire::Type::abort, {});  // it may live, at the other end of a link that was too slow
  const std::string what = fmt::format("{} {} at step {} while {}; going on with {}", member.name(), how,
                                       member.step + 1, name(member.phase), left);
  course_.progress().line("dtrain: " + what);
  course_.metrics().write(
      {{"event", "fault"}, {"role", wire::name(member.role)}, {"rank", member.rank}, {"what", what}});
  course_.tracker().drop(member.rank);
  to_settle_.push_back(member.rank);
  settle_membership();
}

/// A worker was lost and the run goes on: servers freeze and tell what they have, then all are told what becomes of the
/// step in flight and who shares the rows from the next one on. One loss at a time.
void Coordinator::settle_membership() {
  if (!settling_) {
    if (to_settle_.empty()) return;
    settling_ = to_settle_.front();
    to_settle_.pop_front();
    frozen_.assign(static_cast<std::size_t>(plan_.servers), std::nullopt);
    for (int m = 0; m < plan_.servers; ++m)
      doors_.send(roster_.server(m).address, wire::Type::lost, {}, static_cast<std::uint64_t>(*settling_));
    return;
  }
  if (!std::all_of(frozen_.begin(), frozen_.end(), [](const auto& f) { return f.has_value(); })) return;
  Membership membership;
  membership.epoch = ++epoch_;
  membership.lost = *settling_;
  membership.active = roster_.active_workers();
  membership.step = frozen_.front()->step;
  for (const auto& frozen : frozen_) membership.step = std::min(membership.step, frozen->step);
  bool some_past = false, all_complete = true;
  for (const auto& frozen : frozen_) {
    if (frozen->step > membership.step)
      some_past = true;
    else
      all_complete = all_complete && frozen->complete;
  }
  membership.keep_pending = some_past && all_complete;
  const bool gated = plan_.job.sync.policy == job::PolicyName::bsp;  // others agree on no step, and take none back
  for (int m = 0; gated && some_past && !all_complete && m < plan_.servers; ++m) {
    if (frozen_[static_cast<std::size_t>(m)]->step == membership.step) continue;
    membership.undone.push_back(m);
    assembly_.take_back(m, membership.step, epoch_);
  }
  // Workers first: weights of the new membership wait until its list has come.
  doors_.set_epoch(epoch_);
  for (const int rank : membership.active)
    doors_.send(roster_.worker(rank).address, wire::Type::membership, pack(membership));
  for (int m = 0; m < plan_.servers; ++m)
    doors_.send(roster_.server(m).address, wire::Type::membership, pack(membership));
  settling_.reset();
  settle_membership();
}

void Coordinator::collect_snapshots() {
  for (wire::Socket& socket : data_)
    while (const auto message = socket.receive(nonce_)) assembly_.add(*message);
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
    if (member.tally) reports.push_back({wire::name(member.role), member.rank, *member.tally});
  return reports;
}

}  // namespace

std::vector<RoleReport> run_cluster(Course& course) {
  wire::keep_large_blocks();
  return Coordinator(course).run();
}

}  // namespace dtrain::role
