#pragma once
/// The coordinator: who takes part, until when everybody must have answered, and what becomes of the numbers.

#include "role/course.hpp"

namespace dtrain::role {

/// Starts and gathers servers and workers, trains, and ends them. Throws Error (after every child has ended): of the
/// root cause, naming role, rank and phase.
std::vector<RoleReport> run_cluster(Course& course);

}  // namespace dtrain::role
