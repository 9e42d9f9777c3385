/// What the coordinator is told: who wants to join, and what becomes of those who have.

#include "base/text.hpp"
#include "job/places.hpp"
#include "job/read.hpp"
#include "role/coordinator_role.hpp"

namespace dtrain::role {

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

void Coordinator::admit(Knock& knock) {
  const auto refuse = [&](const std::string& why) {
    doors_.send(knock.from, wire::Type::refused, pack(Failure{static_cast<int>(Kind::formation), why}));
  };
  try {
    check_connections();  // one that ended before this one began may have had its descriptor
  } catch (const Setback&) {
    if (knock.from.door > 0) doors_.put_back(std::move(knock));  // for the next attempt
    throw;
  }
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
  if (member->state == Member::State::vacant && (stop_told_ || last_seen_)) return refuse("the run is about to end");
  if (member->state != Member::State::expected && member->state != Member::State::vacant)
    return refuse(member->name() + " has joined already");
  welcome(*member, knock, *join);
}

void Coordinator::welcome(Member& member, const Knock& knock, const Join& join) {
  const Member::State before = member.state;
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
  if (!doors_.send(member.address, wire::Type::welcome, pack(welcome))) {
    member.state = before;  // it is gone already
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

}  // namespace dtrain::role
