#pragma once
/// What a plan says of a network that is spread over several workers. For plan/describe.cpp.

#include <string>

#include "base/json.hpp"
#include "plan/plan.hpp"

namespace dtrain::plan {

/// "4 workers: 2 replicas of 2 stages x 1"
std::string grid_words(const Plan& plan);
/// "1f1b, 8 micro-batches of 8 rows; at best 11 % of the time a stage waits"; "" without a pipeline.
std::string pipeline_words(const Plan& plan);
/// What the workers of a replica hand each other.
std::string replica_words(const Plan& plan);
/// One line a cell.
std::string cells_table(const Plan& plan);

/// What belongs into the plan's object: grid, cells and what passes between them.
Json cells_json(const Plan& plan);

}  // namespace dtrain::plan
