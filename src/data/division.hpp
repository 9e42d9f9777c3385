#pragma once
/// Who trains on which rows at which step (ALGORITHMS.md, sections 0, 6 and 7). Pure functions of (seed, epoch, step).

#include <cstdint>
#include <span>
#include <vector>

#include "base/random.hpp"
#include "data/data.hpp"
#include "job/job.hpp"

namespace dtrain::data {

/// The order of an epoch and its division among ranks. One per role that needs row numbers; remembers the current
/// epoch's permutation. Not thread-safe.
class Division {
 public:
  /// `active`: the ranks that share the rows, ascending.
  Division(const job::Job& job, const Facts& facts, std::vector<int> active);
  /// Where the number of rows tells all: not for shards by class.
  Division(const job::Job& job, Index train_rows, std::vector<int> active);

  /// Shards by class need the classes before the first rows(); counts do without. Does nothing for other shards.
  void know(const Rows& train_rows);

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

  /// From the next call on, the rows are shared by these ranks (ascending, at least one). Under `shard` the rows that a
  /// step takes from the shard of an absent rank are dealt out to the present ones by stride, so that a change of the
  /// list, at whatever step, neither repeats nor skips a row.
  void set_active(std::vector<int> active);

 private:
  Index in_step(Index step) const;
  Index place_of(int rank) const;
  void shuffle(std::uint32_t epoch);
  void size_shards();
  void list_members();
  void deal_steps();
  void deal_batch(Index batch, std::span<std::uint32_t> taken);
  void shuffle_shard(std::uint32_t epoch, std::size_t shard);
  std::span<const std::uint32_t> shard_rows(Index step, std::size_t shard) const;
  Index shard_count(Index step, std::size_t shard) const;

  bool shard_, shuffle_;
  Shards shards_;  ///< empty where only the number of rows is known
  job::PartitionBy partition_;
  std::uint64_t seed_;
  Index rows_, batch_, epochs_, step_limit_;
  std::vector<int> active_;
  std::uint32_t epoch_ = ~0u;         ///< of order_
  std::vector<std::uint32_t> order_;  ///< the epoch's order; under shard, one shard after the other

  // shard only. Shards belong to the ranks 0..shards-1, present or not; sizes and counts are the same in every epoch.
  std::vector<Index> first_;            ///< shard i is order_[first_[i], first_[i+1])
  std::vector<std::uint32_t> members_;  ///< rows of the shards; empty where a row's number tells its place
  std::vector<std::uint32_t> borders_;  ///< [step in epoch, shard]: rows of the shard that earlier steps took
  std::vector<std::size_t> absent_;     ///< shards whose rank is not active
  std::vector<std::uint32_t> scratch_;  ///< a permutation, or the rows of one part; holds what it may ever need
};

}  // namespace dtrain::data
