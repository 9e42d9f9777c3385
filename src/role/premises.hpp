#pragma once
/// What a run needs of its machine and of its command line.

#include "plan/plan.hpp"
#include "role/run.hpp"

namespace dtrain::role {

/// Lets this process, which is about to become the coordinator of `plan`, have as many open files as it may. Throws,
/// before anything is written, Error(Kind::environment) where that is not enough for its roles, and Error(Kind::usage)
/// where roles join from outside and are not told where.
void check_premises(const RunRequest& request, const plan::Plan& plan);

}  // namespace dtrain::role
