#pragma once
/// A consistent cut through the pushes that one server takes, where each rank goes on by itself (ALGORITHMS.md,
/// section 7, last paragraph): which pushes wait, and when the state is what the cut says.
///
/// Between two pushes every rank sends a mark on its connection to every server: its clock K, alike on all. As messages
/// of a connection come in order, a mark comes behind the pushes below K and before all others. From its mark on a
/// rank's pushes are held; when the marks of all are in, the pushes that were taken are just those below the cut, on
/// every server alike. Then the state is saved, and what was held goes on in the order in which it came. A rank that
/// has left has no push any more, and counts as marked with the clock that it left with; one that is lost counts as
/// marked too.
///
/// Nothing waits for ever. A rank marks whatever it waits for (weights, its release under a bound, the end of the run):
/// only its own computing comes between being asked and marking, so that all marks come in, and then whatever is held
/// goes on. A push below the cut is held on no server, as it comes before the mark everywhere: so it needs nothing that
/// is held, even if it waits for the other servers' sums of squares.
/// The next cut is asked for only when all servers have saved this one, or one of them is lost.
///
/// Pure. Source: Chandy and Lamport 1985.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "sync/policy.hpp"

namespace dtrain::role {

class CutGate {
 public:
  explicit CutGate(std::size_t ranks) : seats_(ranks) {}

  /// `rank` begins its pushes from `clock` on with this one. False if that is not due: it has marked this cut already,
  /// or the cut is not after the last one. A mark of a rank that takes part no more says nothing, nor does one of a cut
  /// that was under way when the rank joined, or that was given up.
  bool mark(sync::Rank rank, std::uint64_t ordinal, sync::Clock clock) {
    Seat& seat = at(rank);
    if (seat.gone_at) seat.early = ordinal;
    if (seat.gone_at || ordinal <= seat.excused) return true;
    if (ordinal > last_ && ordinal < ordinal_) return true;
    if (open() && ordinal > ordinal_) give_up();
    if (ordinal <= last_ || seat.marked) return false;
    ordinal_ = ordinal;
    seat.marked = true;
    seat.clock = clock;
    return true;
  }

  /// It pushes no more, though one of its pushes may still be held; `clock`: of the one that would have been next.
  void leave(sync::Rank rank, sync::Clock clock) {
    Seat& seat = at(rank);
    if (!seat.gone_at) seat.gone_at = clock;
  }
  /// It was lost or not there, and takes part from `clock` on. It has pushed nothing yet: that is its mark of a cut
  /// that is under way, and of one that it has marked already, before we knew that it joins.
  void join(sync::Rank rank, sync::Clock clock) {
    Seat& seat = at(rank);
    if (seat.early > std::max(last_, ordinal_)) {
      if (open()) give_up();
      ordinal_ = seat.early;
    }
    if (open()) seat.marked = true, seat.clock = clock;
    seat.excused = open() ? ordinal_ : last_;
    seat.early = 0;
    seat.gone_at.reset();
  }

  /// Cuts up to this one were asked of a server whose place this one has taken: none of them can be whole.
  void pass_over(std::uint64_t ordinal) { last_ = std::max(last_, ordinal); }

  /// Whose pushes go on because the cut that held them was given up: when another server is lost, the next is asked for
  /// before this one is whole, and a rank that had not marked this one marks the next alone. What was held came before
  /// anybody's mark of the next. To be asked for after each mark and each join.
  std::vector<sync::Rank> freed() { return std::exchange(freed_, {}); }

  /// A rank has marked, and the cut has not been taken.
  bool open() const { return ordinal_ != 0; }

  /// A push of this rank is here. True: it waits until the cut is taken.
  bool hold(sync::Rank rank) {
    if (!open() || (!at(rank).marked && !at(rank).gone_at)) return false;
    held_.push_back(rank);
    return true;
  }
  bool holds(sync::Rank rank) const { return std::count(held_.begin(), held_.end(), rank) > 0; }
  /// It is lost, and with it what it had pushed beyond the cut; whether it had.
  bool forget(sync::Rank rank) { return std::erase(held_, rank) > 0; }

  /// All marks are in: what is taken is just what is below the cut, once it is applied.
  bool complete() const {
    return open() && std::all_of(seats_.begin(), seats_.end(), [](const Seat& s) { return s.marked || s.gone_at; });
  }

  struct Cut {
    std::uint64_t ordinal = 0;
    std::vector<sync::Clock> clocks;  ///< per rank: its first push that is not in
    std::vector<sync::Rank> held;     ///< whose pushes go on now, in the order in which they came
  };
  /// Only of one that is complete; it is over then.
  Cut take() {
    Cut cut{ordinal_, clocks(), std::exchange(held_, {})};
    for (Seat& seat : seats_) seat.marked = false;
    last_ = std::max(last_, std::exchange(ordinal_, 0));
    return cut;
  }
  /// Per rank: what it has marked or, if it has not, left with; 0 of others.
  std::vector<sync::Clock> clocks() const {
    std::vector<sync::Clock> clocks;
    for (const Seat& seat : seats_) clocks.push_back(seat.marked ? seat.clock : seat.gone_at.value_or(0));
    return clocks;
  }

 private:
  struct Seat {
    bool marked = false;  ///< this cut, with
    sync::Clock clock = 0;
    std::optional<sync::Clock> gone_at;
    std::uint64_t early = 0;    ///< the cut that it marked before we knew that it joins
    std::uint64_t excused = 0;  ///< it joined when this cut was under way, or after it
  };
  void give_up() {
    for (Seat& seat : seats_) seat.marked = false;
    freed_.insert(freed_.end(), held_.begin(), held_.end());
    held_.clear();
  }
  Seat& at(sync::Rank rank) { return seats_.at(static_cast<std::size_t>(rank)); }
  std::vector<Seat> seats_;
  std::vector<sync::Rank> held_, freed_;
  std::uint64_t ordinal_ = 0;  ///< of the cut under way; 0: none
  std::uint64_t last_ = 0;     ///< of the last one that was taken
};

}  // namespace dtrain::role
