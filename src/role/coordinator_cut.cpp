/// Who is asked to save, and when.

#include <algorithm>

#include "role/coordinator_role.hpp"
#include "sync/policy.hpp"

namespace dtrain::role {

/// Where steps are in common, or nobody but the workers saves, roles know by themselves when a number of steps is over,
/// and one of them names a step for a checkpoint by the clock. Otherwise all workers are asked to mark one cut. A run
/// that repeats a recording is asked for none: its pushes are applied in the order of the recording, in which no cut
/// need lie where it would fall due here.
void Coordinator::ask_for_checkpoints() {
  if (sync::traits(plan_.job.sync).gated || plan_.servers == 0) {
    if (course_.save_due()) doors_.send(roster_.worker(roster_.active_workers().front()).address, wire::Type::save, {});
    return;
  }
  const Index applied = course_.tracker().applied_rows();
  if (!course_.request().recording.empty() || applied <= started_with_ || stop_told_) return;
  if (cut_calls_.call(applied, course_.save_due())) asked_.clear();
  if (cut_calls_.under_way()) ask_to_mark();
}

/// All who take part, and whoever joins meanwhile: once each. Whoever has not been told to start hears of nothing else.
void Coordinator::ask_to_mark() {
  for (const Member& member : roster_.all()) {
    if (member.role != wire::Role::worker || member.state != Member::State::ready || !member.active) continue;
    if (std::find(asked_.begin(), asked_.end(), member.incarnation) != asked_.end()) continue;
    doors_.send(member.address, wire::Type::save, {}, cut_calls_.ordinal());
    asked_.push_back(member.incarnation);
  }
}

}  // namespace dtrain::role
