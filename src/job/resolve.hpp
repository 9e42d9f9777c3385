#pragma once
/// What the numbers left to `auto` become once the number of workers is known.

#include "job/job.hpp"

namespace dtrain::job {

/// `sync` with nothing absent: quorum max(1, N - 1), size max(1, N / 2), alpha 0.9 / N, block_momentum 1 - 1 / N, N
/// being `workers`, at least 1. What was given stays. Pure.
/// Sources: Zhang, Choromanska and LeCun 2015 (alpha), Chen and Huo 2016 (block_momentum).
/// A period that is set while running is at least 1, whatever bounds of a staleness stand there.
Sync resolve_sync(const Sync& sync, std::int64_t workers);

/// That last rule alone.
void settle_bounds(Sync& sync);

/// Whether workers meet at servers; otherwise they exchange among themselves, or there is one of them.
bool has_servers(const Topology& topology);

/// Whether pushes are applied one by one, each to weights that others have moved meanwhile.
bool applies_each_push(const Sync& sync);

/// Whether workers step by themselves and send weights; otherwise they send gradients.
bool exchanges_weights(const Sync& sync);

/// The codec whose values are sent, zstd or not: `sync.zstd_of` under zstd.
Codec inner_codec(const Sync& sync);

}  // namespace dtrain::job
