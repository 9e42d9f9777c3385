#pragma once
/// The learning rate as a pure function of applied rows (ALGORITHMS.md, section 0).

#include "base/random.hpp"
#include "job/job.hpp"

namespace dtrain::optim {

struct Progress {
  Index applied_rows = 0;  ///< before the step in question
  Index rows_per_epoch = 1;
  Index batch = 1;
  Index total_rows = 1;  ///< that the run will apply in all
};

/// warm-up: linear, base*(k+1)/warm-up steps at its k-th step. constant; step: base*factor^floor(x/every);
/// exponential: base*factor^(x/every); cosine: floor + (1-floor)*(1+cos(pi*x/X))/2, where x counts from the warm-up's
/// end.
double learning_rate(const job::Schedule& schedule, double base, const Progress& progress);

/// A length in rows. Time is not a length of rows: asserts.
double rows_of(const job::Length& length, const Progress& progress);

}  // namespace dtrain::optim
