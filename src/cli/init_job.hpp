#pragma once
/// A job for rows that were looked at: the choices of `init`, each with its reason beside it.

#include <string>

#include "data/profile.hpp"
#include "job/job.hpp"

namespace dtrain::cli {

/// `data`: how the file is read, with the target; its `dir` as the job is to say it. Pure.
std::string job_for(const std::string& name, const job::Data& data, const data::Profile& profile);

}  // namespace dtrain::cli
