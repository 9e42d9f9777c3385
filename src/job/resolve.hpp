#pragma once
/// What the numbers left to `auto` become once the number of workers is known.

#include "job/job.hpp"

namespace dtrain::job {

/// `sync` with nothing absent: quorum max(1, N - 1), size max(1, N / 2), alpha 0.9 / N, block_momentum 1 - 1 / N, N
/// being `workers`, at least 1. What was given stays. Pure.
/// Sources: Zhang, Choromanska and LeCun 2015 (alpha), Chen and Huo 2016 (block_momentum).
Sync resolve_sync(const Sync& sync, std::int64_t workers);

}  // namespace dtrain::job
