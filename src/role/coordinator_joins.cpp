/// Who takes a place in a run that has begun: a worker that is started anew, or one from outside.

#include <algorithm>

#include "role/coordinator_role.hpp"
#include "sync/policy.hpp"

namespace dtrain::role {

bool Coordinator::may_start_anew(const Member& member) const {
  const job::Faults& faults = plan_.job.faults;
  return faults.on_worker_loss == job::OnWorkerLoss::restart && member.child &&
         course_.restarts() < faults.max_restarts && !stop_told_;
}

/// The place of a lost worker is taken again: by one that we start, or by whoever comes from outside.
void Coordinator::free_place_of(Member& member) {
  if (may_start_anew(member)) {
    course_.count_restart();
    member.vacate(Member::State::expected);
    if (member.place.empty())
      member.child.emplace(command_of(member));
    else
      spawn_elsewhere(member);
    course_.progress().line(fmt::format("dtrain: {} is started anew ({} of {}, faults.max_restarts)", member.name(),
                                        course_.restarts(), plan_.job.faults.max_restarts));
  } else {
    const bool free = member.external && !plan_.trades_rows();
    member.vacate(free ? Member::State::vacant : Member::State::lost);
    if (free && member.ticket.empty() && member.rank < plan_.processes()) announce_place(member.role);
  }
}

/// It was about to join: the others have not counted on it.
void Coordinator::drop_newcomer(Member& member, const std::string& how) {
  const std::string why = member.failure ? ": " + member.failure->message : "";
  const std::string what = fmt::format("{}, which was about to join, {}{}", member.name(), how, why);
  course_.progress().line("dtrain: " + what);
  course_.fault(loss_event(member, what, Remedy::mend));
  if (member.present()) doors_.send(member.address, wire::Type::abort, {});
  std::erase(joining_, member.rank);
  if (admitting_ == member.rank) call_off();
  free_place_of(member);
  admit_next();
}

/// One change of membership at a time, and losses first.
void Coordinator::admit_next() {
  if (!training_ || stop_told_ || last_seen_ || settling_ || admitting_ || joining_.empty()) return;
  admitting_ = joining_.front();
  joining_.pop_front();
  ++attempt_;
  frozen_.assign(static_cast<std::size_t>(plan_.servers), std::nullopt);
  for (int m = 0; m < plan_.servers; ++m) tell_coming(roster_.server(m), 0);
  for (int k = 0; k < plan_.loaders(); ++k) tell_coming(roster_.loader(k), 0);
}

void Coordinator::tell_coming(Member& to, std::uint64_t until, bool called_off) {
  const Member& member = roster_.worker(*admitting_);
  doors_.send(to.address, wire::Type::coming,
              pack(Coming{attempt_, member.rank, member.incarnation, member.public_key, until, called_off}));
}

void Coordinator::call_off() {
  for (int m = 0; m < plan_.servers; ++m) tell_coming(roster_.server(m), 0, true);
  admitting_.reset();
}

/// The run is at its end.
void Coordinator::refuse_newcomer() {
  Member& member = roster_.worker(*admitting_);
  call_off();
  doors_.send(member.address, wire::Type::goodbye, {});
  member.vacate(Member::State::lost);
  admit_next();
}

/// All servers are frozen: if they are so at the same step, the newcomer takes part from the next one on.
void Coordinator::settle_join() {
  if (!std::all_of(frozen_.begin(), frozen_.end(), [](const auto& f) { return f.has_value(); })) return;
  if (stop_told_ || std::any_of(frozen_.begin(), frozen_.end(), [](const auto& f) { return f->over; }))
    return refuse_newcomer();
  if (!aligned()) return;
  const sync::Traits traits = sync::traits(plan_.job.sync);
  std::uint64_t first = frozen_.front()->step + 1;
  if (!traits.gated) {
    first = 0;
    for (const auto& frozen : frozen_) first = std::max(first, frozen->entry);
  }
  const std::uint64_t end = plan::last_clock(plan_);
  if (end > 0 && first >= end) return refuse_newcomer();
  take_in(traits.gated ? first - 1 : first, first);
}

/// Whether those who decide on updates have the same step in flight, and nothing of the one before is still to be done.
/// Those who have not go on until then, and tell us again.
bool Coordinator::aligned() {
  const sync::Traits traits = sync::traits(plan_.job.sync);
  if (!traits.gated) return true;
  const std::size_t deciders = traits.decided ? 1 : frozen_.size();
  std::uint64_t farthest = 0;
  for (std::size_t m = 0; m < deciders; ++m)
    farthest = std::max(farthest, frozen_[m]->step + (frozen_[m]->complete ? 0 : 1));
  bool all = true;
  for (std::size_t m = 0; m < deciders; ++m) {
    if (frozen_[m]->complete && frozen_[m]->step == farthest) continue;
    all = false;
    frozen_[m].reset();
    tell_coming(roster_.server(static_cast<int>(m)), farthest);
  }
  return all;
}

/// `first`: the step that it does first.
void Coordinator::take_in(std::uint64_t step, std::uint64_t first) {
  Member& member = roster_.worker(*admitting_);
  Membership membership;
  membership.epoch = ++epoch_;
  membership.joined = member.rank;
  membership.step = step;
  const std::vector<int> others = roster_.active_workers();
  member.active = true;
  member.entered = false;
  membership.active = roster_.active_workers();
  doors_.set_epoch(epoch_);
  for (const int rank : others) doors_.send(roster_.worker(rank).address, wire::Type::membership, pack(membership));
  // Under quorum it learns of the step in flight as the others do.
  const std::uint64_t known = sync::traits(plan_.job.sync).abandons ? step : first;
  doors_.send(member.address, wire::Type::start, pack(start_of_newcomer(member, known)));
  for (int m = 0; m < plan_.servers; ++m)
    doors_.send(roster_.server(m).address, wire::Type::membership, pack(membership));
  course_.tracker().join(member.rank, known);
  assembly_.of_cell(0).join(member.rank);
  course_.progress().line(fmt::format("dtrain: {} takes part from step {} on", member.name(), first + 1));
  course_.metrics().write({{"event", "role"},
                           {"role", wire::name(member.role)},
                           {"rank", member.rank},
                           {"what", "takes part"},
                           {"step", first + 1}});
  member.last_beat = Clock::now();
  admitting_.reset();
  settle_membership();
}

Start Coordinator::start_of_newcomer(const Member& member, std::uint64_t first) {
  Start start;
  start.clocks.assign(static_cast<std::size_t>(plan_.places()), first);
  start.applied_rows = static_cast<Index>(frozen_.front()->applied_rows);
  start.worklist = frozen_.front()->worklist;
  for (const Member& each : roster_.all()) start.allowed.push_back(each.public_key);
  start.active = roster_.active_workers();
  start.epoch = epoch_;
  start.joins = true;
  return start_of(member, std::move(start));
}

}  // namespace dtrain::role
