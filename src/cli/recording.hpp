#pragma once
/// A recorded run, to be repeated: what --replay names.

#include <string>
#include <vector>

#include "job/job.hpp"
#include "sync/trace.hpp"

namespace dtrain::cli {

/// The job that a trace's head carries, with nothing left to `auto`. Throws Error(Kind::data) if it cannot be read.
job::Job job_in(const sync::TraceHead& head, const std::string& path);

/// The events of the trace in `path`, for RunRequest::recording; `job` is made to fit: what it leaves to `auto` and
/// decides bits becomes what it was then, and a worker that is lost ends the run.
/// Throws Error(Kind::usage) where the recording is of another job, whose first key that differs is named, or cannot be
/// repeated, and Error(Kind::data) for what is no trace.
std::vector<sync::Event> replay_in(job::Job& job, const std::string& path);

}  // namespace dtrain::cli
