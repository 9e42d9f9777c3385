#pragma once
/// A whole run, from a job that has been read to a summary: what `run`, `resume` and `bench` call.

#include <filesystem>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/log.hpp"
#include "base/time.hpp"
#include "job/job.hpp"
#include "report/progress.hpp"
#include "role/chaos_spec.hpp"
#include "sync/trace.hpp"

namespace dtrain::role {

struct RunRequest {
  job::Job job;
  std::string job_text;                ///< as given, for the run's folder
  std::string out;                     ///< the run's folder, "" for output.dir
  std::filesystem::path resume;        ///< a run's folder to go on in, "" for a new run
  std::string listen;                  ///< where roles from outside join, "" if none are wanted
  std::string token_file;              ///< where to write the joiners' token, "" for RUN/token
  bool insecure = false;               ///< plain TCP off loopback
  Seconds max_time{0};                 ///< 0: no limit
  ChaosSpec chaos;                     ///< faults that are made on purpose
  std::vector<sync::Event> recording;  ///< whose order of pushes and pulls is repeated; empty: none
  Log log{Level::normal, "dtrain: "};
  report::Progress::Mode progress = report::Progress::Mode::plain;
  bool color = false;
};

struct RunResult {
  std::filesystem::path folder;
  Json summary;
  int exit_code = 0;  ///< 0, 128+n or 75; whatever else went wrong is thrown, after the summary was written
};

/// To be called before anything else when the job may run in this very process: restarts it if OpenMP's threads would
/// otherwise not be set up as they should.
void prepare_threads(const job::Job& job);

/// Trains, evaluates, saves, reports. Throws Error; by then every child has ended and, once the run has
/// a folder, summary.json says why.
RunResult run_job(const RunRequest& request);

}  // namespace dtrain::role
