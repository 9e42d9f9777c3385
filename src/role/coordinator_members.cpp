/// Who is lost, and how the others go on.

#include <csignal>

#include "base/text.hpp"
#include "role/coordinator_role.hpp"
#include "sync/policy.hpp"

namespace dtrain::role {

void Coordinator::check_children() {
  for (Member& member : roster_.all()) {
    if (!member.child || member.state == Member::State::left || member.state == Member::State::lost) continue;
    const std::optional<launch::Exit> exit = member.child->ended();
    if (!exit) continue;
    hear_last_words(member, *exit);
    if (member.state != Member::State::left) lose(member, exit->text());
  }
}

/// Whoever ended by itself has said why: that may still be on its way.
void Coordinator::hear_last_words(const Member& member, const launch::Exit& exit) {
  const Deadline patience(exit.signal != 0 ? Seconds(0) : Seconds(0.5));
  for (;;) {
    while (auto knock = doors_.receive()) hear(*knock);
    if (member.failure || member.state == Member::State::left || patience.passed()) return;
    wire::Poller poller;
    doors_.watch(poller);
    poller.wait(20);
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
  const bool goes_on = training_ && plan_.servers > 0 && !plan_.grid.split() && member.role == wire::Role::worker &&
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
  assembly_.of_cell(0).lose(member.rank);
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
  settle_step(membership);
  // Workers first: weights of the new membership wait until its list has come.
  doors_.set_epoch(epoch_);
  for (const int rank : membership.active)
    doors_.send(roster_.worker(rank).address, wire::Type::membership, pack(membership));
  for (int m = 0; m < plan_.servers; ++m)
    doors_.send(roster_.server(m).address, wire::Type::membership, pack(membership));
  settling_.reset();
  settle_membership();
}

/// What becomes of the step in flight. Where one server decides for all, it knows; where nobody waits for others there
/// is none; otherwise servers may be a step apart, and those ahead take theirs back if the others cannot follow.
void Coordinator::settle_step(Membership& membership) {
  const sync::Traits traits = sync::traits(plan_.job.sync);
  membership.step = frozen_.front()->step;
  if (traits.decided || !traits.gated) return;
  for (const auto& frozen : frozen_) membership.step = std::min(membership.step, frozen->step);
  bool some_past = false, all_complete = true;
  for (const auto& frozen : frozen_) {
    if (frozen->step > membership.step)
      some_past = true;
    else
      all_complete = all_complete && frozen->complete;
  }
  // Under subset a server that is past has drawn the next step among all: it draws again, as the others will.
  const bool follow = all_complete && plan_.job.sync.policy != job::PolicyName::subset;
  membership.keep_pending = some_past && follow;
  for (int m = 0; some_past && !follow && m < plan_.servers; ++m) {
    if (frozen_[static_cast<std::size_t>(m)]->step == membership.step) continue;
    membership.undone.push_back(m);
    assembly_.of_cell(0).take_back(m, membership.step, epoch_);
  }
}

}  // namespace dtrain::role
