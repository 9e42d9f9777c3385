/// Who is lost, and how the others go on.

#include <csignal>

#include "base/text.hpp"
#include "role/coordinator_role.hpp"
#include "sync/policy.hpp"

namespace dtrain::role {

void Coordinator::check_children() {
  for (Member& member : roster_.all()) {
    if (!member.child || member.state == Member::State::left || member.state >= Member::State::lost) continue;
    const std::optional<launch::Exit> exit = member.child->ended();
    if (!exit) continue;
    const std::int64_t pid = member.child->pid();
    hear_last_words(member, *exit);
    // By what it said it may be lost already, and there may be another in its place.
    const bool known = member.state == Member::State::left || member.state >= Member::State::lost;
    if (!known && member.child->pid() == pid) lose(member, ending(member, *exit));
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
        const std::uint64_t incarnation = member.incarnation;
        while (auto knock = doors_.receive_from_members()) hear(*knock);
        // By what it said it may be lost already, and there may be another in its place.
        if (member.present() && member.incarnation == incarnation) lose(member, broken_connection(member));
        break;  // who has the descriptor now, if anybody, came later
      }
}

/// We look several times a second. If we have not, we were stopped ourselves (Ctrl-Z, a suspended machine), and so were
/// they, perhaps.
void Coordinator::forgive_pause() {
  const Seconds pause = Clock::now() - looked_;
  looked_ = Clock::now();
  if (pause <= Seconds(std::clamp(plan_.job.faults.stalled_after / 2, 0.2, 1.0))) return;
  forgiven_ = looked_;
  for (Member& member : roster_.all()) member.last_beat = looked_;
}

/// A child that was stopped (SIGSTOP) answers nobody. Of a moment nothing is said.
void Coordinator::check_stops() {
  constexpr Seconds patience{1}, between_looks{0.05};
  const Clock::time_point now = Clock::now();
  if (now - stops_looked_ < between_looks) return;
  stops_looked_ = now;
  for (Member& member : roster_.all()) {
    if (!member.child || member.state == Member::State::left || member.state >= Member::State::lost) continue;
    const std::optional<launch::Stop> stop = member.child->stopped();
    if (!stop || now - std::max(stop->since, forgiven_) < patience) continue;
    member.child->signal(SIGKILL);
    lose(member, fmt::format("{} for {}", stop->text(), human_seconds(patience.count())));
  }
}

/// Nobody beats while the data are loaded: until all are ready, form() has the deadline, and then whoever is about to
/// join has as long.
void Coordinator::check_stalls() {
  if (!training_) return;
  for (Member& member : roster_.all()) {
    if (!member.present()) continue;
    const double patience = member.active ? plan_.job.faults.stalled_after : plan_.job.faults.join_within;
    const Seconds allowed = std::max(Seconds(patience), 5 * member.longest_interval);
    const Seconds silent = Clock::now() - member.last_beat;
    if (silent <= allowed) continue;
    if (member.child) member.child->signal(SIGKILL);
    lose(member, fmt::format("made no progress for {} (faults.stalled_after)", human_seconds(silent.count())));
  }
}

/// Everybody lives, everybody waits, and nobody comes further: links that are too slow for the job, or a defect of
/// ours. Neither may last for ever. Who has not beaten just now is at work. Until training begins form() has a
/// deadline.
void Coordinator::check_standstill() {
  constexpr int stalls = 30;
  if (!training_) return void(moved_ = Clock::now());
  const auto waits = [](const Member& member) {
    return member.phase != Phase::joining && member.phase != Phase::loading && member.phase != Phase::computing &&
           Clock::now() - member.last_beat < Seconds(1);
  };
  for (const Member& member : roster_.all())
    if (member.present() && member.active && !waits(member)) moved_ = Clock::now();
  const Seconds still = Clock::now() - std::max(moved_, forgiven_), allowed(stalls * plan_.job.faults.stalled_after);
  if (still <= allowed) return;
  std::vector<std::string> all;
  for (const Member& member : roster_.all())
    if (member.present())
      all.push_back(fmt::format("{} at step {} {}", member.name(), member.step + 1, name(member.phase)));
  fail(
      Kind::lost,
      "the run stands still: for {} ({} times faults.stalled_after) all roles live, wait, and come no further ({}); if "
      "links are as slow as that, set faults.stalled_after higher",
      human_seconds(still.count()), stalls, join(all, ", "));
}

void Coordinator::lose(Member& member, const std::string& how) {
  if (last_seen_) return void(member.state = Member::State::lost);  // missed by nobody any more
  if (replace_server(member, how)) return;
  if (!member.active) return drop_newcomer(member, how);
  const Remedy remedy = remedy_for(member);
  if (remedy == Remedy::end) fail_lost(member, how);
  if (remedy == Remedy::back) go_back(member, how);
  const std::string where = where_is(member);
  noticed_ = Clock::now();
  member.state = Member::State::lost;
  doors_.send(member.address, wire::Type::abort, {});  // it may live, at the other end of a link that was too slow
  const std::string what =
      fmt::format("{} {} {}; going on with {}", member.name(), how, where, roster_.active_workers().size());
  course_.progress().line("dtrain: " + what);
  course_.fault(loss_event(member, what, remedy));
  course_.tracker().drop(member.rank);
  assembly_.of_cell(0).lose(member.rank);
  to_settle_.push_back(member.rank);
  free_place_of(member);
  settle_membership();
}

/// A worker was lost and the run goes on: servers freeze and tell what they have, then all are told what becomes of the
/// step in flight and who shares the rows from the next one on. One loss at a time.
void Coordinator::settle_membership() {
  if (!settling_) {
    if (to_settle_.empty()) return admit_next();
    if (admitting_) joining_.push_front(*admitting_), admitting_.reset();  // it waits until the loss is settled
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
  course_.recovered(noticed_, membership.step + 1);
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
