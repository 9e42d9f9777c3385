/// Where workers step by themselves (local, bmuf): their own weights, moments and schedule.

#include <algorithm>

#include "role/all_reduce_role.hpp"
#include "role/role.hpp"

namespace dtrain::role {

void AllReduce::own_step() {
  const auto step = static_cast<Index>(clock_);
  const Index after = division_.applied_before(step + 1);
  own_->current().applied_rows = division_.applied_before(step);
  for (int rank = 0; rank < plan_.workers; ++rank)
    since_rows_[static_cast<std::size_t>(rank)] += static_cast<std::uint64_t>(division_.count(step, rank));
  if (division_.count(step, rank_) > 0) {
    own_->open(1, after);
    train_on_rows(own_->current().weights.span());
    finish_own_step(after, true);
  } else {
    record({clock_, 0, 0});
  }
  if (turn_.exchange == sync::Turn::Exchange::none) return;
  begin_round(since_rows_, after);
  exchange_rest();
  end_round();
}

/// The block's result is where the next one begins, for everybody.
void AllReduce::adopt_published() {
  Version& ours = own_->current();
  Version& common = owner_->current();
  for (std::size_t a = 0; a < static_cast<std::size_t>(plan_.exchanged_arenas()); ++a) {
    Arena& to = published(ours, a);
    wait_until_sent(ours.in_flight);
    std::copy_n(published(common, a).data(), to.size(), to.data());
  }
  if (plan_.job.sync.momentum == job::AverageMomentum::reset)
    for (Arena& moment : ours.moments) std::fill(moment.span().begin(), moment.span().end(), 0.0f);
  std::fill(since_rows_.begin(), since_rows_.end(), 0);
}

}  // namespace dtrain::role
