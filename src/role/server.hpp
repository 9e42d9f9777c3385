#pragma once
/// A server: owns a slice of the weights, folds what workers push, and answers with what became of it.

#include "role/link.hpp"

namespace dtrain::role {

/// Joins, serves until every worker has left, and leaves. Throws Error; the coordinator has been told by then.
void run_server(const JoinRequest& request);

}  // namespace dtrain::role
