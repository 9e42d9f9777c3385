#pragma once
/// Steps in common: what bsp, quorum, subset, local, bmuf and adaptive periods share.
///
/// A round is a step, or a block of them. All who take part are released into it; the pushes of its last step are
/// awaited, folded in rank order, and all go on into the next round. A policy says which step ends a round (due_of),
/// who owes a push (owes) and when enough are in (enough).
/// Identities are counted, not messages: a seat a rank, filled at most once a round.
/// Who joins waits for the next round, unless nobody is in this one or it was the last. An event costs O(1), the end of
/// a round O(ranks).

#include "sync/policy.hpp"

namespace dtrain::sync {

class Rounds : public Policy {
 public:
  Verdict push(const Push& push, Actions& out) override;
  void lose(Rank rank, bool keep_pending, Actions& out) override;
  void join_from(Rank rank, Clock least, Actions& out) override;
  void undo(Rank lost, Actions& out) override;
  Release released(Rank rank) const override { return seats_.at(static_cast<std::size_t>(rank)).released; }

 protected:
  enum class State : std::uint8_t { absent, joining, active };
  struct Seat {
    State state = State::active;
    bool pushed = false;       ///< in this round; also by a rank lost since whose push was kept
    bool last_pushed = false;  ///< in the round before, for take_back()
    std::uint64_t rows = 0, last_rows = 0;
    double loss = 0;
    Release released;
  };

  /// The maker of a policy ends with open().
  explicit Rounds(const Setup& setup);
  /// The first round begins at `first`; each rank is at its own clock in it.
  void open(Clock first);
  /// The farthest clock of those who take part.
  Clock farthest() const;
  /// undo() of one-step rounds.
  void take_back(Rank lost, Actions& out);

  virtual Clock due_of(Clock first) const { return first; }
  virtual bool owes(Rank /*rank*/) const { return true; }
  virtual bool enough() const { return awaited_ == 0; }
  virtual Verdict refusal(const Push& /*push*/) const { return Verdict::stray; }
  /// A round begins with the ranks that are active now.
  virtual void begun() {}
  /// A round is over; out.fold is known, the next round is not yet.
  virtual void closing(Actions& /*out*/) {}

  const std::vector<Seat>& seats() const { return seats_; }
  Clock first() const { return first_; }
  Clock due() const { return due_; }
  Clock end() const { return end_; }
  /// Pushes with rows.
  std::size_t filled() const { return filled_; }
  std::size_t awaited() const { return awaited_; }

 private:
  Seat& seat(Rank rank) { return seats_.at(static_cast<std::size_t>(rank)); }
  void begin(Clock first);
  void recount();
  void settle(Actions& out);
  void admit(Actions& out);
  void finish(Actions& out);

  std::vector<Seat> seats_;
  Clock end_;
  Clock first_ = 0, due_ = 0;  ///< of the round in flight
  std::size_t active_ = 0, joining_ = 0;
  std::size_t awaited_ = 0;  ///< active ranks that owe a push
  std::size_t filled_ = 0;
};

}  // namespace dtrain::sync
