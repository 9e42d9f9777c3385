/// verify resume JOB: a job trained whole, then again, killed and resumed; and what became of the weights.

#include <poll.h>
#include <signal.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/text.hpp"
#include "cli/columns.hpp"
#include "cli/output.hpp"
#include "cli/verbs.hpp"
#include "job/read.hpp"
#include "job/resolve.hpp"
#include "launch/children.hpp"
#include "report/resumption.hpp"
#include "report/summary.hpp"
#include "sync/policy.hpp"

namespace dtrain::cli {
namespace {

constexpr int most_tries = 8;  ///< to kill a run before it ends by itself

/// A folder for the runs, below where the job has its own: removed when all went well.
fs::path work_folder(const job::Job& job) {
  fs::create_directories(job.output.dir);
  std::string name = (fs::absolute(job.output.dir) / "verify-resume-XXXXXX").lexically_normal().string();
  if (::mkdtemp(name.data()) == nullptr) fail(Kind::environment, "cannot make {}: {}", name, std::strerror(errno));
  return name;
}

/// What a run that goes on has told of itself so far.
class Metrics {
 public:
  explicit Metrics(fs::path run) : file_(std::move(run) / "metrics.jsonl") {}

  void read_on() {
    std::ifstream in(file_);
    in.seekg(read_);
    for (std::string line; std::getline(in, line) && !in.eof(); read_ = in.tellg()) take(Json::parse(line, {}, false));
  }
  std::int64_t step = 0;                         ///< the newest that was told of
  std::optional<std::int64_t> first_checkpoint;  ///< its step
  std::optional<std::int64_t> newest_checkpoint;
  std::optional<std::int64_t> resumed_from;

 private:
  void take(const Json& event) {
    if (!event.is_object()) return;
    const std::string what = report::text_field(event, "event");
    const auto at = static_cast<std::int64_t>(report::metric(event, "step").value_or(0));
    if (what == "step") step = std::max(step, at);
    if (what == "resume") resumed_from = at;
    if (what != "checkpoint") return;
    newest_checkpoint = at;
    if (!first_checkpoint) first_checkpoint = at;
  }
  fs::path file_;
  std::streamoff read_ = 0;
};

class Trial {
 public:
  Trial(const Options& options, const job::Job& job)
      : options_(options), job_(job), work_(work_folder(job)), log_(level(options), "dtrain: ") {}

  const fs::path& work() const { return work_; }

  /// Trains the job to its end.
  Json train_whole() {
    log_.info("training whole");
    finish(launch::Child(command("run", "whole")), "whole");
    return report::read_summary(work_ / "whole");
  }

  /// Trains it again and kills it at `step`, behind a checkpoint if `saved`. False if it had ended before.
  bool train_and_kill(std::int64_t step, bool saved) {
    fs::remove_all(work_ / "cut");
    Metrics metrics(work_ / "cut");
    launch::Child child(command("run", "cut"));
    while (!child.ended()) {
      metrics.read_on();
      if (metrics.step >= step && (!saved || metrics.newest_checkpoint)) {
        child.signal(SIGKILL);
        break;
      }
      wait_for(child, 2);
    }
    const launch::Exit exit = child.finish(Seconds(10));
    metrics.read_on();
    killed_at_ = metrics.step, checkpoint_ = metrics.newest_checkpoint;
    if (exit.signal == SIGKILL) return true;
    if (exit.code != 0 && exit.code != static_cast<int>(Kind::assertion)) fail_run(exit, "cut");
    return false;
  }

  Json resume() {
    log_.info("resuming what was killed at step {}", killed_at_);
    launch::Command command = this->command("resume", "cut");
    command.arguments = {"resume", (work_ / "cut").string(), "--quiet"};
    finish(launch::Child(command), "cut");
    return report::read_summary(work_ / "cut");
  }

  std::int64_t killed_at() const { return killed_at_; }
  std::optional<std::int64_t> checkpoint() const { return checkpoint_; }
  /// Of the resumed run; 0: it began anew.
  std::int64_t resumed_from() const {
    Metrics metrics(work_ / "cut");
    metrics.read_on();
    return metrics.resumed_from.value_or(0);
  }
  std::optional<std::int64_t> first_checkpoint(std::int64_t below) const {
    Metrics metrics(work_ / "whole");
    metrics.read_on();
    return metrics.first_checkpoint && *metrics.first_checkpoint < below ? metrics.first_checkpoint : std::nullopt;
  }

 private:
  launch::Command command(const char* verb, const char* run) const {
    launch::Command command;
    command.name = std::string("dtrain ") + verb;
    command.arguments = {verb,    options_.path,       "--out", (work_ / run).string(), "--quiet",
                         "--set", "output.log_every=1"};
    for (const std::string& word : options_.set) command.arguments.insert(command.arguments.end(), {"--set", word});
    command.log = work_ / (std::string(run) + ".log");
    return command;
  }

  /// A signal ends it all, and what was made goes with it.
  void wait_for(launch::Child& child, int timeout_ms) {
    std::array<pollfd, 2> events{pollfd{child.descriptor(), POLLIN, 0}, pollfd{signals_.descriptor(), POLLIN, 0}};
    ::poll(events.data(), events.size(), timeout_ms);
    if (signals_.count() == 0) return;
    child.signal(SIGKILL);
    child.finish(Seconds(10));
    fs::remove_all(work_);
    throw Error(Kind::out_of_time, "stopped before anything was found out").with_code(128 + signals_.last());
  }

  void finish(launch::Child child, const char* run) {
    while (!child.ended()) wait_for(child, 1000);
    const launch::Exit exit = child.finish(Seconds(0));
    // What the job asserts of its result is not what is asked here.
    if (exit.signal != 0 || (exit.code != 0 && exit.code != static_cast<int>(Kind::assertion))) fail_run(exit, run);
  }

  [[noreturn]] void fail_run(const launch::Exit& exit, const char* run) const {
    const std::string log = (work_ / (std::string(run) + ".log")).string();
    std::string last;
    for (const std::string& line : split(read_file(log, Kind::environment), '\n'))
      if (!line.empty()) last = line;
    const Kind kind = exit.code > 0 && exit.code <= static_cast<int>(Kind::checkpoint) ? static_cast<Kind>(exit.code)
                                                                                       : Kind::internal;
    fail(kind, "the run in {} {}: {} (all of it: {})", (work_ / run).string(), exit.text(), last, log);
  }

  const Options& options_;
  const job::Job& job_;
  fs::path work_;
  Log log_;
  launch::Signals signals_;
  std::int64_t killed_at_ = 0;
  std::optional<std::int64_t> checkpoint_;
};

/// At the step that was asked for, or at the one that was drawn: then earlier each time that the run was over first.
void kill_somewhere(Trial& trial, const Options& options, const job::Job& job, std::int64_t steps) {
  const auto first = trial.first_checkpoint(steps);
  std::int64_t step = options.at > 0 ? options.at : report::step_to_kill(job.seed, first.value_or(0), steps);
  for (int tries = 0; tries < most_tries; ++tries) {
    const bool saved = options.at == 0 && first && tries < most_tries - 1;
    if (trial.train_and_kill(step, saved)) return;
    if (options.at == 0) step = std::max<std::int64_t>(1, step / 2);
  }
  fail(Kind::usage,
       "the run was over before it could be killed, {} times: give the job more to do (train.epochs), or an earlier "
       "--at; what it left is in {}",
       most_tries, trial.work().string());
}

Json describe(const Trial& trial, const Json& whole, const Json& resumed, bool same_bits) {
  return {{"steps", static_cast<std::int64_t>(report::metric(resumed, "steps").value_or(0))},
          {"killed_at", trial.killed_at()},
          {"resumed_from", trial.resumed_from()},
          {"equal_weights_promised", same_bits},
          {"whole", report::text_field(whole, "weights.sha256")},
          {"resumed", report::text_field(resumed, "weights.sha256")}};
}

std::string render(const Json& facts, const std::string& policy) {
  const auto from = facts["resumed_from"].get<std::int64_t>();
  std::string text =
      entry("whole", 10, facts["whole"].get<std::string>()) +
      entry("killed", 10, fmt::format("at step {} of {}", facts["killed_at"].dump(), facts["steps"].dump())) +
      entry("resumed", 10,
            from > 0 ? fmt::format("from the checkpoint of step {}", from)
                     : std::string("from the beginning: there was no checkpoint yet")) +
      entry("weights", 10, facts["resumed"].get<std::string>());
  const bool equal = facts["whole"] == facts["resumed"];
  if (facts["equal_weights_promised"].get<bool>()) return text + "equal: promise kept\n";
  return text + fmt::format(
                    "{}: {} promises no equal weights; the resumed run ended at its last step with a finite "
                    "loss, and no more is promised\n",
                    equal ? "equal" : "not equal", policy);
}

}  // namespace

int verify_resume(const Options& options) {
  std::string warnings;
  job::Job job = job::load_job(options.path, options.set, &warnings);
  warn(warnings);
  if (job.topology.external + job.topology.external_servers > 0)
    fail(Kind::usage, "verify resume starts all roles by itself: leave topology.external and external_servers at 0");
  job.sync = job::resolve_sync(job.sync, job.topology.data_ranks());
  const bool same_bits = report::resumes_to_same_bits(job.sync, job.topology.data_ranks());
  Trial trial(options, job);
  const Json whole = trial.train_whole();
  const auto steps = static_cast<std::int64_t>(report::metric(whole, "steps").value_or(0));
  if (options.at >= steps) {
    fs::remove_all(trial.work());
    fail(Kind::usage, "--at {}: the run ends at step {}, and must be killed before that", options.at, steps);
  }
  kill_somewhere(trial, options, job, steps);
  const Json resumed = trial.resume();
  if (const auto broken = report::broken_resumption(whole, resumed, same_bits))
    fail(Kind::assertion, "{}, which was killed at step {} and went on from {}; both are in {}", *broken,
         trial.killed_at(), trial.resumed_from(), trial.work().string());
  const Json facts = describe(trial, whole, resumed, same_bits);
  fs::remove_all(trial.work());
  if (options.json)
    print_json(facts);
  else
    print(render(facts, sync::spec(job.sync)));
  return 0;
}

}  // namespace dtrain::cli
