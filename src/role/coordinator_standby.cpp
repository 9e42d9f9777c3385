/// When a server is lost that has a standby, or a standby is (faults.replicas: 1; role/server_standby.cpp has the
/// whole).

#include <csignal>

#include "role/coordinator_role.hpp"
#include "role/keep.hpp"

namespace dtrain::role {

/// Whether the run goes on without this server, as it is: by its standby, or since it was one. A server that says what
/// it failed at is not lost: its standby would fail at the same.
bool Coordinator::replace_server(Member& member, const std::string& how) {
  if (!training_ || member.role != wire::Role::server) return false;
  if (member.failure && member.failure->code != static_cast<int>(Kind::lost)) return false;
  Member* standby = roster_.standby(member.rank);
  const bool has_other = standby != nullptr && !standby->acting && standby->present();
  if (!has_other) return false;
  if (member.child) member.child->signal(SIGKILL);
  member.state = Member::State::lost;
  doors_.send(member.address, wire::Type::abort, {});
  const std::string what =
      loss_text(member, how) + (member.standby ? "; its server goes on alone" : "; its standby takes its place");
  course_.progress().line("dtrain: " + what);
  Json event = loss_event(member, what, Remedy::mend);
  event["role"] = member.kind();
  event["action"] = "standby";
  course_.fault(event);
  connections_.forget(member.name());
  member.standby ? go_without_standby(member) : let_take_over(member, *standby);
  return true;
}

void Coordinator::go_without_standby(const Member& standby) {
  TakeOver told;
  told.rank = standby.rank;
  told.epoch = epoch_;
  told.alone = true;
  doors_.send(roster_.server(standby.rank).address, wire::Type::take_over, pack(told));
}

/// The standby first. A worker may come to it before it was told: it is answered then.
void Coordinator::let_take_over(const Member& lost, Member& standby) {
  replaced_at_ = Clock::now();
  doors_.set_epoch(++epoch_);
  assembly_.of_cell(0).replace(lost.rank, epoch_);
  TakeOver told;
  told.rank = lost.rank;
  told.epoch = epoch_;
  told.name = lost.name();
  told.events = lost.events;
  told.snapshots = assembly_.of_cell(0).known(lost.rank);
  told.cut = cut_calls_.ordinal();
  cut_calls_.abandon();
  standby.acting = true;
  doors_.send(standby.address, wire::Type::take_over, pack(told));
  told.snapshots.clear();
  if (doors_.secure()) told.key = standby.public_key;
  for (Member& reader : roster_.all()) {
    if (!reader.present() || &reader == &standby || reader.role == wire::Role::loader) continue;
    told.endpoint = endpoint_for(standby.data_endpoint, reader);
    doors_.send(reader.address, wire::Type::take_over, pack(told));
  }
}

void Coordinator::note_taken_over(const Member& member) {
  if (!member.acting || !replaced_at_) return;
  const double seconds = seconds_since(*replaced_at_);
  replaced_at_.reset();
  course_.metrics().write({{"event", "recovery"},
                           {"role", "server"},
                           {"rank", member.rank},
                           {"action", "standby"},
                           {"seconds", seconds},
                           {"step", member.step + 1}});
  course_.request().log.info("standby {} had taken over after {:.3f} s", member.rank, seconds);
}

}  // namespace dtrain::role
