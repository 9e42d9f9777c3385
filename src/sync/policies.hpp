#pragma once
/// The makers of the policies, one file each; make_policy() and make_rhythm() are the only callers.

#include <limits>

#include "sync/policy.hpp"

namespace dtrain::sync {

std::unique_ptr<Policy> make_bsp(const Setup& setup);  ///< sign_vote too
std::unique_ptr<Policy> make_asp(const Setup& setup);
std::unique_ptr<Policy> make_ssp(const job::Sync& sync, const Setup& setup);
std::unique_ptr<Policy> make_quorum(const job::Sync& sync, const Setup& setup);
std::unique_ptr<Policy> make_subset(const job::Sync& sync, const Setup& setup);
std::unique_ptr<Policy> make_local(const job::Sync& sync, const Setup& setup);  ///< bmuf too
std::unique_ptr<Policy> make_easgd(const job::Sync& sync, const Setup& setup);
std::unique_ptr<Policy> make_gossip(const Setup& setup);
std::unique_ptr<Policy> make_adaptive(const job::Sync& sync, const Setup& setup);

std::unique_ptr<Rhythm> make_gradient_rhythm();  ///< a gradient in each step
std::unique_ptr<Rhythm> make_subset_rhythm(const job::Sync& sync, const Setup& setup, Rank rank);
std::unique_ptr<Rhythm> make_local_rhythm();
std::unique_ptr<Rhythm> make_easgd_rhythm();
std::unique_ptr<Rhythm> make_gossip_rhythm(const Setup& setup, Rank rank);

/// A setup without a number of steps has no end.
inline Clock end_of(const Setup& setup) {
  return setup.total_steps > 0 ? setup.total_steps : std::numeric_limits<Clock>::max();
}

}  // namespace dtrain::sync
