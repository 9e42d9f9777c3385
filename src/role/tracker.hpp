#pragma once
/// The course of a run as numbers: losses by rank become `step` events, a progress line and a summary.
///
/// Sums are kept by rank and added in rank order, so that the recorded losses do not depend on the order of messages.

#include <deque>
#include <map>
#include <vector>

#include "base/time.hpp"
#include "plan/plan.hpp"
#include "report/progress.hpp"
#include "report/run_folder.hpp"
#include "role/evaluate.hpp"
#include "role/messages.hpp"

namespace dtrain::role {

class Tracker {
 public:
  Tracker(const plan::Plan& plan, report::MetricsFile& metrics, report::Progress& progress);

  /// Training starts, at these steps: one per rank; so many rows have been applied before. Again when the run has gone
  /// back to there: what came after is forgotten.
  void begin(const std::vector<std::uint64_t>& steps, Index applied_rows);
  /// Steps of a rank come in order.
  void record(int rank, const StepRecord& record);
  void drop(int rank);
  /// It takes a place, and this step is the first that it reports.
  void join(int rank, std::uint64_t step);
  void evaluated(Index step, Index applied_rows, const Scores& scores, double seconds);
  void redraw() { progress_.update(status()); }
  void end();

  std::uint64_t slowest() const;  ///< the least step that an active rank has to report next
  Index rows() const { return rows_; }
  /// With those that were applied before.
  Index applied_rows() const { return rows_at_first_.value_or(0) + rows_; }
  double seconds() const;
  /// Rows a second after the first tenth of the run's rows; of a run that is over in a moment, of all of it.
  double steady_rate() const;
  /// Mean over about the last epoch; nullopt before the first record.
  std::optional<double> train_loss() const;

 private:
  struct Sum {
    double loss = 0;
    std::uint64_t rows = 0;
  };
  struct Interval {
    std::uint64_t first = 0;  ///< step
    std::vector<Sum> by_rank;
    Sum total() const;
  };
  void go_back(Index applied_rows);
  Interval& interval_of(std::uint64_t step);
  void measure_rate();
  void close_intervals();
  void emit(const Interval& interval, std::uint64_t end);
  Index rows_until(std::uint64_t clock) const;
  report::Status status() const;

  const plan::Plan& plan_;
  report::MetricsFile& metrics_;
  report::Progress& progress_;
  std::uint64_t every_;
  std::uint64_t last_clock_;            ///< a rank's steps end there; without an end: the greatest number
  bool counts_rows_;                    ///< a step's rows are those that were reported, not the nominal ones
  Index rows_before_ = 0;               ///< applied before this part of the run, and in closed intervals
  std::optional<Index> rows_at_first_;  ///< applied when training first began
  std::vector<std::uint64_t> next_;     ///< per rank: the step it reports next
  std::vector<bool> active_;
  std::deque<Interval> open_, closed_;
  std::uint64_t told_until_ = 0;  ///< steps before this one are in closed intervals
  Clock::time_point started_, warm_at_, last_at_, rate_at_;
  Index rows_ = 0, warm_rows_ = -1, rate_rows_ = 0;
  bool ended_ = false;
  double rate_ = 0;  ///< rows a second, lately
  double interval_loss_ = 0;
  std::string latest_test_;
};

}  // namespace dtrain::role
