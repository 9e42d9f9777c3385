#pragma once
/// Gossip: pairs of workers average their weights, nobody else waits (Lian et al. 2018, AD-PSGD).
///
/// Even ranks are active: in each step they offer their weights to a partner. Odd ranks are passive: they answer with
/// theirs, one offer after another, whatever else they do, and offer nothing. Since no rank both asks and answers, the
/// waiting of one for another can have no cycle. Both then have the mean of the two; the active one's step, with the
/// gradient at its weights from before, comes on top. Pure; any thread.

#include <optional>
#include <span>
#include <vector>

#include "sync/policy.hpp"

namespace dtrain::sync {

inline bool offers(Rank rank) { return rank % 2 == 0; }

/// Whom `rank` offers its weights in the step of that clock: drawn among the odd ranks of `active`, which ascends.
/// Absent where it offers nothing: an odd rank, or one without odd ranks to ask.
std::optional<Rank> partner_of(std::uint64_t seed, Rank rank, Clock clock, const std::vector<Rank>& active);

/// out = (mine + theirs) / 2: on both sides with the same bits. `out` may be the memory of one of them.
void average_pair(std::span<const float> mine, std::span<const float> theirs, std::span<float> out);

}  // namespace dtrain::sync
