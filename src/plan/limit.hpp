#pragma once
/// topology.memory: whether every worker has enough.

#include "plan/plan.hpp"

namespace dtrain::plan {

/// Throws Error(Kind::job) if a worker of `plan` needs more than its job allows; names the fewest stages that would do.
/// `job`: as it was given, with what is left to the plan.
void check_memory(const Plan& plan, const job::Job& job);

}  // namespace dtrain::plan
