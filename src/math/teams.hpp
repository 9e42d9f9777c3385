#pragma once
/// Threads inside a role: a few equal teams, each with a fixed part of the work, so that bits depend on their number
/// only. The one place that names OpenMP; without it the teams run one after another and give the same bits.

#include <algorithm>

#include "base/random.hpp"  // Index

namespace dtrain {

/// Calls work(team) once for each team in [0, teams), at the same time where threads allow. `work` must not throw.
/// Not to be nested.
template <class Work>
void in_teams(int teams, Work&& work) {
  if (teams <= 1) return work(0);
#ifdef _OPENMP
#pragma omp parallel for num_threads(teams) schedule(static, 1)
#endif
  for (int team = 0; team < teams; ++team) work(team);
}

/// Teams that pay for their start: one per `grain` operations, at least one, at most `threads`.
inline int useful_teams(double operations, double grain, int threads) {
  return static_cast<int>(std::clamp(operations / grain, 1.0, static_cast<double>(std::max(threads, 1))));
}

/// Where part `team` of [0, count) begins when it is cut into nearly equal parts at multiples of `step`.
inline Index cut(Index count, int teams, int team, Index step) {
  const Index steps = (count + step - 1) / step;
  return std::min(count, steps * team / teams * step);
}

}  // namespace dtrain
