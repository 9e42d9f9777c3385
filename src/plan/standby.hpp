#pragma once
/// What it takes that a second server keeps each slice (faults.replicas).

#include "plan/plan.hpp"

namespace dtrain::plan {

/// Of the standby of this server: what that has, and what it reads of it.
Memory standby_memory(const Plan& plan, int rank);

/// What the standby of this server is sent of one update.
double kept_bytes(const Plan& plan, int rank);

}  // namespace dtrain::plan
