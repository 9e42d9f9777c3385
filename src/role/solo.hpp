#pragma once
/// One worker without servers: one process, no wire. The same owner, network, data and checkpoints as any other run.

#include "role/course.hpp"

namespace dtrain::role {

/// Trains to the end or to a stop; returns where the time went.
std::vector<RoleReport> run_solo(Course& course);

}  // namespace dtrain::role
