#pragma once
/// What a run has whatever its topology: folder, plan, metrics, evaluation aside, and the reasons to stop.

#include <deque>
#include <optional>

#include "base/error.hpp"
#include "launch/children.hpp"
#include "plan/plan.hpp"
#include "report/run_folder.hpp"
#include "role/aside.hpp"
#include "role/chaos.hpp"
#include "role/run.hpp"
#include "role/tracker.hpp"

namespace dtrain::role {

/// One role's part of the summary.
struct RoleReport {
  std::string role;
  int rank = 0;
  Tally tally;
};

/// Somebody wanted it: by signals, or since --max-time was over.
inline bool is_wished_end(const Error& error) { return error.exit_code() >= static_cast<int>(Kind::out_of_time); }

class Course {
 public:
  /// Looks at the data, makes the plan, and writes what a run's folder starts with.
  explicit Course(const RunRequest& request);

  const RunRequest& request() const { return request_; }
  const plan::Plan& plan() const { return plan_; }
  const data::Survey& survey() const { return survey_; }
  const report::RunFolder& folder() const { return folder_; }
  report::MetricsFile& metrics() { return metrics_; }
  report::Progress& progress() { return progress_; }
  Tracker& tracker() { return tracker_; }
  Aside& aside() { return *aside_; }
  launch::Signals& signals() { return signals_; }

  /// Adds to trace.jsonl, if the job wants one.
  void trace(const std::vector<sync::Event>& events);

  /// What --chaos has done and has yet to do.
  ChaosBook& chaos() { return chaos_; }
  /// A fault is about to be made: to the metrics and the log.
  void note_chaos(wire::Role role, int rank, const std::string& fault, std::uint64_t step);
  /// A step begins, counted from 0, of a role that is played by this very process: does what is due.
  void suffer(wire::Role role, int rank, std::uint64_t step);

  /// What a checkpoint says of the run beside its numbers.
  Json state_facts() const;

  /// Weights and moments to start from: fresh ones, or those of the newest sound checkpoint if the run goes on or has
  /// gone back.
  store::State take_initial_state();

  /// A role was lost: adds when to what is told: role, rank, what, and what is done about it.
  void fault(const Json& what);
  /// How often roles were started anew, or the run went back (faults.max_restarts).
  int restarts() const { return restarts_; }
  void count_restart() { ++restarts_; }
  /// The run starts once more from its newest checkpoint, or from the beginning: saves under way are finished first.
  void go_back();
  /// After a fault that was noticed then, the run goes on from this step.
  void recovered(Clock::time_point noticed, std::uint64_t step);

  /// Why the run should stop now, if it should: told once by a signal or the clock, and kept.
  /// A second signal throws Error at once.
  bool should_stop();
  int stop_code() const { return stop_code_; }

  /// Whether `checkpoint.every`, if it is a time, has passed since this was last true.
  bool save_due();
  /// So many checkpoints fell due while one was on its way.
  void pass_over(int checkpoints) { passed_over_ += checkpoints; }

  /// Takes what has been evaluated and saved aside; throws what failed there.
  void take_results();
  /// The last snapshot's result: waits for it, writes the model.
  void conclude();

  /// finish() for a run that failed; what cannot be written now (a full disk) is passed over.
  void finish_failed(const Error& failure);

  /// Writes summary.json and report.html. `failure`: why the run failed, or nullptr.
  Json finish(const std::vector<RoleReport>& roles, const Error* failure);

 private:
  void settle(AsideResult result);
  void begin_trace(const store::State& state);
  std::optional<store::State> saved_state();
  void spread(store::State& state) const;
  void compare_facts(const store::State& state);
  store::State fresh_state() const;

  const RunRequest& request_;
  Clock::time_point begun_ = Clock::now(), saved_at_ = begun_;
  data::Survey survey_;
  plan::Plan plan_;
  ChaosBook chaos_;
  FaultClock as_coordinator_, as_worker_;
  launch::Signals signals_;   ///< until then there is nothing to save, and a signal simply ends us
  report::RunFolder folder_;  ///< made only once the data have been found right
  report::MetricsFile metrics_;
  std::optional<report::LinesFile> trace_;
  report::Progress progress_;
  Tracker tracker_;
  std::unique_ptr<Aside> aside_;
  int stop_code_ = 0;
  Scores scores_;                     ///< of the newest evaluation
  std::optional<store::State> last_;  ///< the last snapshot's state
  int checkpoints_ = 0, passed_over_ = 0;
  int faults_ = 0, restarts_ = 0;
  bool goes_on_;  ///< from a checkpoint, if there is one
};

}  // namespace dtrain::role
