/// What is done about a lost role: mended in place, all go back to the last checkpoint, or the end.

#include "base/text.hpp"
#include "role/coordinator_role.hpp"
#include "sync/policy.hpp"

namespace dtrain::role {
namespace {

/// What a role says went wrong with itself (its data, its disk, its numbers) would go wrong again.
bool is_own_fault(const Member& member) {
  return member.failure && member.failure->code != static_cast<int>(Kind::lost);
}

const char* name(Remedy remedy) {
  switch (remedy) {
    case Remedy::mend: return "continue";
    case Remedy::back: return "back";
    case Remedy::end: return "stop";
  }
  return "";
}

}  // namespace

Remedy Coordinator::remedy_for(const Member& member) const {
  const job::Faults& faults = plan_.job.faults;
  if (is_own_fault(member)) return Remedy::end;
  if (!training_ && !member.place.empty())
    return Remedy::end;  // a host that is not there will not come by asking again
  if (member.role == wire::Role::worker && faults.on_worker_loss != job::OnWorkerLoss::stop && others_can_go_on(member))
    return Remedy::mend;
  return needs_restart(member) && may_go_back() ? Remedy::back : Remedy::end;
}

/// Somebody must have begun to work and, where each goes on by itself, not have come to the end; a worker that will be
/// started anew counts as there.
bool Coordinator::others_can_go_on(const Member& without) const {
  const bool ends = sync::traits(plan_.job.sync).gated || stop_told_ || without.phase == Phase::leaving;
  std::int64_t left = 0;
  for (const int rank : roster_.active_workers()) {
    const Member& other = roster_.worker(rank);
    left += rank != without.rank && other.entered && (ends || other.phase != Phase::leaving) ? 1 : 0;
  }
  return training_ && plan_.may_change() && left >= 1 &&
         (left >= plan_.job.faults.min_workers || may_start_anew(without));
}

/// Whether nobody can go on until there is another in its place.
bool Coordinator::needs_restart(const Member& member) const {
  return member.role != wire::Role::worker || plan_.job.faults.on_worker_loss == job::OnWorkerLoss::restart;
}

/// A run that is being stopped, or that repeats a recording, is not begun anew.
bool Coordinator::may_go_back() const {
  return course_.restarts() < plan_.job.faults.max_restarts && course_.stop_code() == 0 &&
         course_.request().recording.empty();
}

/// "at step 12 while computing"; "while loading data". Of the first steps nothing may have been told yet.
std::string Coordinator::where_is(const Member& member) const {
  const char* doing = member.state == Member::State::expected ? "starting" : role::name(member.phase);
  if (!training_) return fmt::format("while {}", doing);
  if (member.phase == Phase::joining) return "before its first report";
  return fmt::format("at step {} while {}", member.step + 1, doing);
}

/// "worker 1 (pid 17) was killed by signal 9 (SIGKILL) at step 12 while computing"
std::string Coordinator::loss_text(const Member& member, const std::string& how) const {
  const std::string why = member.failure ? ": " + member.failure->message : "";
  return fmt::format("{} (pid {}) {} {}{}", member.name(), member.child ? member.child->pid() : member.pid, how,
                     where_is(member), why);
}

Json Coordinator::loss_event(const Member& member, const std::string& what, Remedy remedy) const {
  return {{"role", member.kind()},
          {"rank", member.rank},
          {"what", what},
          {"noticed_after", seconds_since(member.last_beat)},
          {"action", name(remedy)}};
}

/// What to add where the run would have gone back once more.
std::string Coordinator::too_often(const Member& member) const {
  const int times = course_.restarts();
  if (!needs_restart(member) || times == 0 || times < plan_.job.faults.max_restarts) return "";
  return fmt::format("; roles were started anew {} before (faults.max_restarts)",
                     times == 1 ? "once" : fmt::format("{} times", times));
}

void Coordinator::fail_lost(const Member& member, const std::string& how) {
  end_ = loss_event(member, {}, Remedy::end);
  if (is_own_fault(member))
    throw Error(static_cast<Kind>(member.failure->code), member.failure->message).during(member.name());
  if (!training_ && !member.place.empty())
    fail(Kind::formation, "{}: {}; its log: {}", member.name(), how,
         course_.folder().log(member.kind(), member.rank).string());
  const std::string log =
      member.child ? "; its log: " + course_.folder().log(member.kind(), member.rank).string() : " on " + member.host;
  throw Error(Kind::lost, loss_text(member, how) + too_often(member) + log);
}

/// Roles from outside that nobody here has started stay with us and join the next attempt; a lost one may live, at the
/// other end of a link that was too slow. Those that we started are ended when the attempt is.
void Coordinator::go_back(const Member& member, const std::string& how) {
  Setback setback{Clock::now(), std::nullopt};
  if (member.external) setback.free_place = member.role;
  const std::string what = loss_text(member, how);
  course_.progress().line(fmt::format("dtrain: {}; going back to the last checkpoint ({} of {})", what,
                                      course_.restarts() + 1, plan_.job.faults.max_restarts));
  course_.fault(loss_event(member, what, Remedy::back));
  for (const Member& other : roster_.all())
    if (other.external && other.present())
      doors_.send(other.address, &other != &member && other.ticket.empty() ? wire::Type::again : wire::Type::abort, {});
  throw setback;
}

std::vector<RoleReport> run_cluster(Course& course) {
  wire::keep_large_blocks();
  wire::Context context;
  Doors doors(context, entropy(), Coordinator::outer_door(course), course.request().log);
  std::optional<Setback> setback;
  for (;;) {
    try {
      return Coordinator(course, context, doors, setback ? &*setback : nullptr).run();
    } catch (const Setback& again) {
      setback = again;
    }
    doors.renew();
  }
}

}  // namespace dtrain::role
