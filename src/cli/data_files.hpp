#pragma once
/// The job whose files `data` is about: one that is given, or one made up for a single file.

#include "cli/options.hpp"
#include "job/job.hpp"

namespace dtrain::cli {

/// Whether a path is a job's, by its name.
bool is_job(const std::string& path);

/// Throws Error(Kind::usage) where flags contradict the file's kind, and what load_job() and guess_data() throw.
job::Job job_of_files(const Options& options);

}  // namespace dtrain::cli
