#pragma once
/// Who trains on which rows at which step (ALGORITHMS.md, sections 0, 6 and 7). Pure functions of (seed, epoch, step).

#include <cstdint>
#include <span>
#include <vector>

#include "base/random.hpp"
#include "job/job.hpp"

namespace dtrain::data {

/// The order of an epoch and its division among ranks. One per role that needs row numbers; remembers the current
/// epoch's permutation. Not thread-safe.
class Division {
 public:
  /// `active`: the ranks that share the rows, ascending.
  Division(const job::Job& job, Index train_rows, std::vector<int> active);

  Index steps_per_epoch() const;
  Index total_steps() const;  ///< epochs, cut by train.steps
  Index total_rows() const;   ///< that the run applies in all

  /// Rows of step t (counted from 0 over the whole run) for `rank`, in order. Valid until the next call.
  std::span<const std::uint32_t> rows(Index step, int rank);
  /// How many rows `rank` has in step t, and all ranks together.
  Index count(Index step, int rank);
  Index count(Index step);
  /// Rows applied by steps 0..t-1.
  Index applied_before(Index step) const;
  std::uint32_t epoch_of(Index step) const;

  /// From the next call on, the rows are shared by these ranks. Under `shard` the rows of a rank that is not in the
  /// list are dealt out to the others by stride.
  void set_active(std::vector<int> active);

 private:
  void shuffle(std::uint32_t epoch);
  void share_out(std::uint32_t epoch);
  bool shard_, shuffle_;
  job::Partition partition_;
  std::uint64_t seed_;
  Index rows_, batch_, epochs_, step_limit_;
  std::vector<int> active_;
  std::uint32_t epoch_ = ~0u;                        ///< of order_ and shards_
  std::vector<std::uint32_t> order_;                 ///< replicate: the global order
  std::vector<std::vector<std::uint32_t>> shards_;   ///< shard: per active rank, its rows in order
  std::vector<std::vector<std::uint32_t>> borders_;  ///< shard: per step, the cumulative count of each active rank
};

}  // namespace dtrain::data
