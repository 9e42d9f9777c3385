#pragma once
/// How weights are cut for the way: into what owners have, and into what travels as one message.

#include <vector>

#include "plan/plan.hpp"

namespace dtrain::plan {

/// Which collective algorithm workers without servers go by.
collective::Algorithm decide_algorithm(const Plan& plan);

/// Fills in the slices and, without servers, the buckets of a plan whose layout, numbers of workers and servers,
/// algorithm and `sparse` are decided. Layers may be empty, where a cell has nothing of them.
void share_weights(Plan& plan);

}  // namespace dtrain::plan
