#pragma once
/// Which rows a rank works on, round by round, where a round may end without some of them (ALGORITHMS.md, section 2,
/// Quorum): what was dropped is queued again, at most three times.
///
/// Rows come in portions: portion (step, part) is what rank `part` has in that step of the division. Under `replicate`
/// a dropped portion goes to a rank that was in time in the round before, under `shard` back to the rank that holds it;
/// portions of a lost rank are done by the others when they have none of their own. A pure function of how the rounds
/// ended, so every role that is told has the same. Not thread-safe.

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "base/random.hpp"
#include "data/division.hpp"
#include "job/job.hpp"

namespace dtrain::data {

class Worklist {
 public:
  struct Portion {
    Index step = 0;
    int part = 0;
    int drops = 0;
    bool operator==(const Portion&) const = default;
  };
  static constexpr int most_drops = 3;

  Worklist(const job::Job& job, const Facts& facts);

  /// What `rank` works on in this round; nullopt: there is nothing left for it.
  std::optional<Portion> of(int rank) const { return now_.at(static_cast<std::size_t>(rank)); }
  /// The round is over: these ranks' portions (ascending) are learned.
  void settle(const std::vector<int>& folded);
  /// From the next round on. What the rank works on now counts as dropped if the round ends without it.
  void lose(int rank);
  /// These have something to do from the next round on. What anybody works on now stays as lose() has it.
  void set_active(const std::vector<int>& active);

  /// Nobody has anything left to do.
  bool finished() const;
  /// Rows that were dropped once too often.
  Index rows_given_up() const { return rows_given_up_; }

  /// All of it as numbers, for a checkpoint; and back. Throws Error(Kind::checkpoint) for numbers that are no state.
  std::vector<std::int64_t> state() const;
  void restore(const std::vector<std::int64_t>& state);

 private:
  void deal();
  bool over(std::size_t queue) const;
  std::optional<Portion> take(std::size_t queue);
  std::optional<Portion> next_for(int rank);
  std::size_t queue_of(int part) const { return shard_ ? static_cast<std::size_t>(part) : 0; }

  bool shard_;
  Index steps_;
  int ranks_, parts_;  ///< places; and parts of a step, of which a rank that joins may do any
  Division division_;
  std::vector<bool> active_, in_time_;       ///< per rank; in_time_: in the round before
  std::vector<std::deque<Portion>> again_;   ///< per queue: one for all, or under shard one a rank
  std::vector<Index> fresh_;                 ///< per queue: portions taken so far
  std::vector<std::optional<Portion>> now_;  ///< per rank
  Index rows_given_up_ = 0;
};

}  // namespace dtrain::data
