#pragma once
/// What a run of a job on this machine would be, found without starting anything.

#include "data/data.hpp"
#include "job/job.hpp"
#include "plan/plan.hpp"

namespace dtrain::cli {

/// Surveys the data and plans for this machine. Throws Error(Kind::data), and what make_plan() throws.
plan::Plan foresee(const job::Job& job);

}  // namespace dtrain::cli
