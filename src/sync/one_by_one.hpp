#pragma once
/// Each push by itself: what asp, ssp, easgd and adaptive staleness share.
///
/// A push is folded at once. Its rank may start its next step, of clock c, when c - min <= bound, min being the least
/// clock of the active ranks; until then it is parked. It is let go as soon as the minimum is at least what it needs. A
/// rank that has done all its steps is let go whatever the others do, and holds nobody back.
/// Who joins starts at its own clock or at the minimum, whichever is more. An event costs amortised O(1), and
/// O(r log r) for the r ranks that it releases; under `eager` O(ranks) when the minimum moves.

#include "sync/clock_ring.hpp"
#include "sync/policy.hpp"

namespace dtrain::sync {

class OneByOne : public Policy {
 public:
  static constexpr Clock unbounded = Clock{1} << 62;
  struct Terms {
    Clock bound = unbounded;
    Clock period = 1;  ///< pushes are due in the last step of each
    bool eager = false;
  };
  OneByOne(const Setup& setup, const Terms& terms);

  Verdict push(const Push& push, Actions& out) override;
  void lose(Rank rank, bool keep_pending, Actions& out) override;
  void join_from(Rank rank, Clock least, Actions& out) override;
  Clock entry(Rank rank) const override;
  void undo(Rank lost, Actions& out) override;
  Release released(Rank rank) const override { return seats_.at(static_cast<std::size_t>(rank)).released; }

 protected:
  Clock bound() const { return terms_.bound; }
  /// Only from within blocked().
  void set_bound(Clock bound) { terms_.bound = bound; }
  bool is_fastest(Clock clock) const { return clock >= clocks_.greatest(); }

  /// This push was taken; its rank's clock moves on next.
  virtual void heard(const Push& /*push*/) {}
  /// The rank now counts among the active ones at this clock; or no more.
  virtual void counted(Rank /*rank*/, Clock /*clock*/) {}
  virtual void uncounted(Rank /*rank*/) {}
  /// The rank is about to be parked before it starts `clock`.
  virtual void blocked(Rank /*rank*/, Clock /*clock*/, Actions& /*out*/) {}

 private:
  struct Seat {
    bool active = true;
    bool parked = false;
    Clock next = 0;                                              ///< its clock; ahead of its release while it is parked
    Rank before = ClockRing::nobody, after = ClockRing::nobody;  ///< among those parked for the same clock
    Release released;
  };
  Seat& seat(Rank rank) { return seats_.at(static_cast<std::size_t>(rank)); }
  Clock due(Clock clock) const;
  bool open(Clock clock) const { return clock >= end_ || clock <= clocks_.least() + terms_.bound; }
  void move(Rank rank, Clock to);
  void enter(Rank rank, Actions& out);
  void release(Rank rank, Actions& out);
  void park(Rank rank);
  void unpark(Rank rank);
  void follow(Clock least_before, Actions& out);
  void refresh(Actions& out) const;

  std::vector<Seat> seats_;
  Terms terms_;
  Clock end_;
  ClockRing clocks_;  ///< of the active ranks that have not done all their steps
  std::size_t active_ = 0, parked_ = 0;
  Clock opened_ = 0;  ///< nobody is parked for this clock or one before
};

}  // namespace dtrain::sync
