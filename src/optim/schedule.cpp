#include "optim/schedule.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numbers>

namespace dtrain::optim {
namespace {

/// The schedule proper, as a share of the base rate, `rows` after the warm-up's end.
double share_after(const job::Schedule& schedule, double rows, double last_rows, const Progress& progress) {
  if (schedule.type == job::ScheduleType::constant) return 1;
  if (schedule.type == job::ScheduleType::cosine) {
    const double done = last_rows > 0 ? std::min(rows / last_rows, 1.0) : 1.0;
    return schedule.floor + (1 - schedule.floor) * (1 + std::cos(std::numbers::pi * done)) / 2;
  }
  const double every = rows_of(schedule.every, progress);
  if (every <= 0) return 1;
  const double times = rows / every;
  return std::pow(schedule.factor, schedule.type == job::ScheduleType::step ? std::floor(times) : times);
}

}  // namespace

double rows_of(const job::Length& length, const Progress& progress) {
  assert(length.unit != job::Unit::time);
  const Index rows = length.unit == job::Unit::step ? progress.batch : progress.rows_per_epoch;
  return length.value * static_cast<double>(rows);
}

double learning_rate(const job::Schedule& schedule, double base, const Progress& progress) {
  const auto applied = static_cast<double>(progress.applied_rows);
  const double warmup = rows_of(schedule.warmup, progress);
  if (applied < warmup) return base * std::min((applied + static_cast<double>(progress.batch)) / warmup, 1.0);
  return base * share_after(schedule, applied - warmup, static_cast<double>(progress.total_rows) - warmup, progress);
}

}  // namespace dtrain::optim
