#pragma once
/// What a policy must do, said in the plainest way: every question is answered by looking at all ranks.

#include <memory>

#include "law/schedule.hpp"

namespace dtrain::law {

/// Told of what counts only: pushes that are owed, losses of active ranks, and so on.
class Oracle {
 public:
  virtual ~Oracle() = default;
  virtual sync::Actions push(const sync::Push& push) = 0;
  virtual sync::Actions lose(Rank rank, bool keep) = 0;
  virtual sync::Actions join(Rank rank) = 0;
  virtual sync::Actions undo(Rank lost) = 0;
  /// A bound that the policy says to have set in what is told next.
  virtual void set_bound(std::int64_t bound) = 0;
};

std::unique_ptr<Oracle> make_oracle(const Schedule& schedule);

}  // namespace dtrain::law
