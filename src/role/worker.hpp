#pragma once
/// A worker: waits for the weights that the next layer needs, computes, and lets each layer's gradient leave at once.

#include "role/link.hpp"

namespace dtrain::role {

/// Joins, trains until the run's end or a stop, and leaves. Throws Error; the coordinator has been told by then.
void run_worker(const JoinRequest& request);

}  // namespace dtrain::role
