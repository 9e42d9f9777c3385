/// `dtrain run`, `dtrain resume`: a job from file to result.

#include <unistd.h>

#include <optional>

#include "base/error.hpp"
#include "base/file.hpp"
#include "cli/output.hpp"
#include "cli/recording.hpp"
#include "cli/verbs.hpp"
#include "job/hosts.hpp"
#include "job/read.hpp"
#include "launch/children.hpp"
#include "report/summary.hpp"
#include "role/run.hpp"
#include "wire/security.hpp"

namespace dtrain::cli {
namespace {

/// Where roles from outside reach us: as given or, where other hosts are named, on all addresses.
std::string listen_for(const Options& options, const job::Topology& topology) {
  const bool elsewhere = !topology.hosts.empty() && topology.external + topology.external_servers > 0;
  if (options.listen.empty()) return elsewhere ? "tcp://*:*" : "";
  if (!options.listen.starts_with("tcp://"))
    fail(Kind::usage,
         "--listen {}: roles from outside come by TCP, and those of this machine need no --listen; give "
         "tcp://ADDRESS:PORT",
         options.listen);
  return options.listen;
}

/// A token that nobody reads would be a secret in a strange place.
void check_token_flags(const Options& options, const job::Topology& topology) {
  if (wire::token_descriptor(options.token_file))
    fail(Kind::usage, "--token-file names the file that the run writes its token to, and {} is none",
         options.token_file);
  if (options.insecure && job::launches_by_ssh(topology))
    fail(Kind::usage,
         "--insecure: roles that are started over ssh are handed a token and need no other care; leave it out, or set "
         "topology.launch to print");
}

role::RunRequest request_for(const Options& options, job::Job job, std::string text) {
  check_token_flags(options, job.topology);
  role::RunRequest request;
  request.listen = listen_for(options, job.topology);
  request.job = std::move(job);
  request.job_text = std::move(text);
  request.out = options.out;
  request.token_file = options.token_file;
  request.insecure = options.insecure;
  request.max_time = options.max_time;
  request.log = Log(level(options), "dtrain: ");
  using Mode = report::Progress::Mode;
  request.progress = options.quiet ? Mode::none : ::isatty(STDERR_FILENO) ? Mode::live : Mode::plain;
  request.color = use_color(options, STDERR_FILENO);
  if (options.record && request.job.sync.policy == job::PolicyName::gossip)
    fail(Kind::usage, "no recording is kept under gossip: leave --record out");
  if (options.record) request.job.output.trace = true;
  if (!options.chaos.empty()) request.chaos = role::parse_chaos(options.chaos);
  if (!options.replay.empty()) request.recording = replay_in(request.job, options.replay);
  return request;
}

void show(const Options& options, const Json& summary) {
  if (options.json)
    print_json(summary);
  else
    print(report::render_summary(summary));
}

/// Shows the summary of a run that is done, held against the job's assertions; returns the exit code.
int show_judged(const Options& options, const role::RunRequest& request, Json summary) {
  const std::vector<std::string> failed = report::failed_assertions(request.job.assertions, summary);
  const int code = failed.empty() ? 0 : static_cast<int>(Kind::assertion);
  if (code != 0) summary["exit_code"] = code, summary["failed_assertions"] = failed;
  show(options, summary);
  for (const std::string& line : failed) request.log.error("{}", line);
  return code;
}

int run_and_report(const Options& options, const role::RunRequest& request) {
  role::prepare_threads(request.job);
  const role::RunResult result = role::run_job(request);
  if (result.exit_code == 0) return show_judged(options, request, result.summary);
  show(options, result.summary);
  return result.exit_code;
}

/// The summary of a run that needs no resuming.
std::optional<Json> finished(const fs::path& run) {
  std::error_code ignored;
  if (!fs::exists(run / "summary.json", ignored)) return std::nullopt;
  Json summary = report::read_summary(run);
  if (report::text_field(summary, "status") != "done") return std::nullopt;
  return summary;
}

bool holds_a_run(const std::string& folder) {
  std::error_code ignored;
  return !folder.empty() && fs::exists(fs::path(folder) / "resolved.yaml", ignored);
}

int resume_folder(const Options& options, const std::string& folder) {
  const fs::path path = fs::absolute(folder).lexically_normal();
  if (!holds_a_run(path)) fail(Kind::checkpoint, "{} holds no run: there is no resolved.yaml in it", path.string());
  std::string warnings;
  role::RunRequest request = request_for(options, job::load_job(path / "resolved.yaml", options.set, &warnings), "");
  warn(warnings);
  request.resume = path;
  if (const std::optional<Json> summary = finished(path)) {
    request.log.info("{} is done; there is nothing to go on with", path.string());
    return show_judged(options, request, *summary);
  }
  return run_and_report(options, request);
}

}  // namespace

int run(const Options& options) {
  if (options.resume && options.out.empty())
    fail(Kind::usage, "--resume goes on in the folder that --out names: give --out DIR");
  if (options.resume && !options.replay.empty())
    fail(Kind::usage, "--replay repeats a run from its beginning: it cannot go with --resume");
  if (options.resume && holds_a_run(options.out)) return resume_folder(options, options.out);
  std::string warnings;
  job::Job job = job::load_job(options.job, options.set, &warnings, launch::host_name());
  warn(warnings);
  return run_and_report(options, request_for(options, std::move(job), read_file(options.job, Kind::job)));
}

int resume(const Options& options) { return resume_folder(options, options.run); }

}  // namespace dtrain::cli
