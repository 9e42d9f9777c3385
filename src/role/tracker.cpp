#include "role/tracker.hpp"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "sync/policy.hpp"

namespace dtrain::role {
namespace {

Json to_json(const Scores& scores) {
  Json json = Json::object();
  for (const auto& [name, value] : scores) json[name] = value;
  return json;
}

}  // namespace

Tracker::Sum Tracker::Interval::total() const {
  Sum sum;
  for (const Sum& part : by_rank) sum.loss += part.loss, sum.rows += part.rows;
  return sum;
}

Tracker::Tracker(const plan::Plan& plan, report::MetricsFile& metrics, report::Progress& progress)
    : plan_(plan),
      metrics_(metrics),
      progress_(progress),
      every_(static_cast<std::uint64_t>(std::max<Index>(1, plan.job.output.log_every))),
      last_clock_(plan::last_clock(plan) > 0 ? plan::last_clock(plan) : std::numeric_limits<std::uint64_t>::max()),
      counts_rows_(sync::traits(plan.job.sync).folds_some),
      next_(static_cast<std::size_t>(plan.places())),
      active_(next_.size(), true),
      started_(Clock::now()),
      warm_at_(started_),
      last_at_(started_),
      rate_at_(started_) {}

void Tracker::begin(const std::vector<std::uint64_t>& steps, Index applied_rows) {
  rows_before_ = applied_rows;
  next_ = steps;
  active_.assign(next_.size(), true);
  std::fill(active_.begin() + plan_.workers, active_.end(), false);
  last_at_ = rate_at_ = Clock::now();
  if (rows_at_first_) return go_back(applied_rows);
  rows_at_first_ = applied_rows;
  started_ = warm_at_ = last_at_;
}

void Tracker::go_back(Index applied_rows) {
  rows_ = rate_rows_ = std::max<Index>(0, applied_rows - *rows_at_first_);
  if (warm_rows_ > rows_) warm_rows_ = -1;
  open_.clear();
  while (!closed_.empty() && closed_.back().first + every_ > slowest()) closed_.pop_back();
  told_until_ = closed_.empty() ? 0 : closed_.back().first + every_;
}

Tracker::Interval& Tracker::interval_of(std::uint64_t step) {
  // Who joins may begin with a step that others have told of before the servers took it.
  const std::uint64_t first = std::max(step / every_ * every_, open_.empty() ? told_until_ : open_.front().first);
  while (open_.empty() || open_.back().first < first) {
    const std::uint64_t next =
        open_.empty() ? std::clamp(slowest() / every_ * every_, told_until_, first) : open_.back().first + every_;
    open_.push_back({next, std::vector<Sum>(next_.size())});
  }
  return open_[(first - open_.front().first) / every_];
}

void Tracker::record(int rank, const StepRecord& record) {
  const auto r = static_cast<std::size_t>(rank);
  if (!active_[r] || record.step != next_[r]) return;  // a step that a restarted rank has reported already
  ++next_[r];
  Sum& sum = interval_of(record.step).by_rank[r];
  sum.loss += record.loss_sum;
  sum.rows += record.rows;
  rows_ += static_cast<Index>(record.rows);
  last_at_ = Clock::now();
  if (warm_rows_ < 0 && rows_ * 10 >= plan_.total_rows) warm_rows_ = rows_, warm_at_ = last_at_;
  measure_rate();
  close_intervals();
  progress_.update(status());
}

/// Records come in bursts, so a rate is taken over a span that is long beside the time between beats.
void Tracker::measure_rate() {
  const double seconds = Seconds(last_at_ - rate_at_).count();
  if (seconds < 0.5 && rate_rows_ > 0) return;
  if (seconds > 0) rate_ = static_cast<double>(rows_ - rate_rows_) / seconds;
  if (seconds < 0.5) return;
  rate_at_ = last_at_;
  rate_rows_ = rows_;
}

void Tracker::drop(int rank) {
  active_[static_cast<std::size_t>(rank)] = false;
  close_intervals();
}

void Tracker::join(int rank, std::uint64_t step) {
  active_[static_cast<std::size_t>(rank)] = true;
  next_[static_cast<std::size_t>(rank)] = step;
}

std::uint64_t Tracker::slowest() const {
  std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
  for (std::size_t r = 0; r < next_.size(); ++r)
    if (active_[r]) least = std::min(least, next_[r]);
  return least;
}

void Tracker::close_intervals() {
  const std::uint64_t done = slowest();
  while (!open_.empty() && done >= std::min(open_.front().first + every_, last_clock_)) {
    emit(open_.front(), std::min(open_.front().first + every_, last_clock_));
    closed_.push_back(std::move(open_.front()));
    open_.pop_front();
    if (static_cast<Index>(closed_.size() * every_) > plan_.steps_per_epoch + static_cast<Index>(every_))
      closed_.pop_front();
  }
}

void Tracker::emit(const Interval& interval, std::uint64_t end) {
  told_until_ = interval.first + every_;
  const Sum sum = interval.total();
  interval_loss_ = sum.rows > 0 ? sum.loss / static_cast<double>(sum.rows) : 0;
  rows_before_ += static_cast<Index>(sum.rows);
  const Index rows = rows_until(end);
  metrics_.write({{"event", "step"},
                  {"step", counts_rows_ ? static_cast<std::uint64_t>(plan::steps_of(plan_, rows)) : end},
                  {"epoch", static_cast<double>(rows) / static_cast<double>(plan_.facts.train_rows)},
                  {"loss", interval_loss_},
                  {"learning_rate", plan::learning_rate(plan_, rows)},
                  {"samples_per_second", rate_}});
}

Index Tracker::rows_until(std::uint64_t clock) const {
  return counts_rows_ ? rows_before_ : plan_.rows_of_steps(static_cast<Index>(clock));
}

void Tracker::evaluated(Index step, Index applied_rows, const Scores& scores, double seconds) {
  if (scores.empty()) return;
  metrics_.write({{"event", "eval"},
                  {"step", step},
                  {"epoch", static_cast<double>(applied_rows) / static_cast<double>(plan_.facts.train_rows)},
                  {"test", to_json(scores)},
                  {"seconds", seconds}});
  const auto& [name, value] = scores[std::min<std::size_t>(1, scores.size() - 1)];
  latest_test_ = fmt::format("test {} {:.4f}", name, value);
  progress_.update(status());
}

report::Status Tracker::status() const {
  report::Status status;
  const Index rows = rows_until(slowest());
  status.step = counts_rows_ ? plan::steps_of(plan_, rows) : static_cast<Index>(slowest());
  status.steps = plan::steps_of(plan_, plan_.total_rows);
  status.epoch = static_cast<double>(rows) / static_cast<double>(plan_.facts.train_rows);
  status.epochs = plan_.job.train.epochs;
  status.loss = closed_.empty() ? train_loss().value_or(0) : interval_loss_;
  status.samples_per_second = rate_;
  status.latest_test = latest_test_;
  return status;
}

void Tracker::end() {
  last_at_ = Clock::now();
  ended_ = true;
  const std::uint64_t done = slowest();
  while (last_clock_ == std::numeric_limits<std::uint64_t>::max() && !open_.empty() && open_.front().first < done) {
    emit(open_.front(), done);
    closed_.push_back(std::move(open_.front()));
    open_.pop_front();
  }
  progress_.update(status(), true);
}

double Tracker::seconds() const { return Seconds((ended_ ? last_at_ : Clock::now()) - started_).count(); }

/// Records come in bursts, several steps a beat: of a short run only the whole says something.
double Tracker::steady_rate() const {
  const double span = Seconds(last_at_ - warm_at_).count();
  if (warm_rows_ >= 0 && span >= 0.5) return static_cast<double>(rows_ - warm_rows_) / span;
  return seconds() > 0 ? static_cast<double>(rows_) / seconds() : 0;
}

std::optional<double> Tracker::train_loss() const {
  Sum sum;
  for (const auto* list : {&closed_, &open_})
    for (const Interval& interval : *list) {
      const Sum part = interval.total();
      sum.loss += part.loss, sum.rows += part.rows;
    }
  if (sum.rows == 0) return std::nullopt;
  return sum.loss / static_cast<double>(sum.rows);
}

}  // namespace dtrain::role
