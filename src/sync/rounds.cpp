#include "sync/rounds.hpp"

#include <algorithm>
#include <stdexcept>

#include "sync/policies.hpp"

namespace dtrain::sync {

Rounds::Rounds(const Setup& setup) : seats_(setup.clocks.size()), end_(end_of(setup)) {
  for (std::size_t r = 0; r < seats_.size(); ++r)
    seats_[r].released = {static_cast<Rank>(r), setup.clocks[r], setup.clocks[r]};
  for (const Rank rank : setup.absent) seat(rank).state = State::absent;
  for (const Seat& s : seats_) active_ += s.state == State::active;
}

Clock Rounds::farthest() const {
  Clock clock = 0;
  for (const Seat& s : seats_)
    if (s.state == State::active || active_ == 0) clock = std::max(clock, s.released.clock);
  return clock;
}

void Rounds::open(Clock first) {
  begin(first);
  for (Seat& s : seats_)
    if (s.state == State::active) s.released.due = due_;
}

Verdict Rounds::push(const Push& push, Actions& out) {
  out.clear();
  Seat& s = seat(push.rank);
  if (s.state != State::active) return Verdict::stray;
  if (s.pushed || push.clock != due_ || push.clock >= end_ || !owes(push.rank)) return refusal(push);
  s.pushed = true;
  s.rows = push.rows;
  s.loss = push.loss;
  --awaited_;
  filled_ += push.rows > 0;
  settle(out);
  return Verdict::taken;
}

void Rounds::lose(Rank rank, bool keep_pending, Actions& out) {
  out.clear();
  Seat& s = seat(rank);
  if (s.state == State::absent) return;
  --(s.state == State::active ? active_ : joining_);
  if (s.state == State::active && !s.pushed && owes(rank)) --awaited_;
  if (s.pushed && !keep_pending) filled_ -= s.rows > 0, s.pushed = false;
  s.state = State::absent;
  settle(out);
}

void Rounds::join_from(Rank rank, Clock /*least*/, Actions& out) {
  out.clear();
  Seat& s = seat(rank);
  if (s.state != State::absent) return;
  s.state = State::joining;
  ++joining_;
  settle(out);
}

void Rounds::undo(Rank /*lost*/, Actions& /*out*/) {
  throw std::logic_error("this policy agrees on its updates beforehand; nothing is ever undone");
}

void Rounds::take_back(Rank lost, Actions& out) {
  out.clear();
  first_ = --due_;
  for (Seat& s : seats_) s.pushed = s.last_pushed, s.rows = s.last_rows;
  Seat& gone = seat(lost);
  if (gone.state != State::absent) --(gone.state == State::active ? active_ : joining_);
  gone.state = State::absent;
  gone.pushed = false;
  // It was complete, so it awaits nobody: neither the lost one nor those who have joined since.
  awaited_ = 0;
  if (active_ > 0) return finish(out);
  recount();
  settle(out);
}

void Rounds::begin(Clock first) {
  first_ = first;
  due_ = due_of(first);
  recount();
}

void Rounds::recount() {
  begun();
  awaited_ = filled_ = 0;
  for (std::size_t r = 0; r < seats_.size(); ++r) {
    const Seat& s = seats_[r];
    filled_ += s.pushed && s.rows > 0;
    awaited_ += s.state == State::active && !s.pushed && owes(static_cast<Rank>(r));
  }
}

void Rounds::settle(Actions& out) {
  const bool over = first_ >= end_;
  if (joining_ > 0 && (active_ == 0 || over)) admit(out);
  if (active_ > 0 && !over && enough()) finish(out);
}

/// Nobody is left in this round, or all rounds are over: those who wait for the next one enter this one.
void Rounds::admit(Actions& out) {
  active_ += joining_;
  joining_ = 0;
  for (Seat& s : seats_) {
    if (s.state != State::joining) continue;
    s.state = State::active;
    s.released.clock = first_, s.released.due = due_;
    if (!s.pushed) out.release.push_back(s.released);
  }
  recount();
}

void Rounds::finish(Actions& out) {
  out.release.clear();
  for (std::size_t r = 0; r < seats_.size(); ++r) {
    Seat& s = seats_[r];
    if (s.pushed && s.rows > 0) out.fold.push_back(static_cast<Rank>(r));
    s.last_pushed = s.pushed;
    s.last_rows = s.rows;
    s.pushed = false;
    if (s.state == State::joining) s.state = State::active;
  }
  active_ += joining_;
  joining_ = 0;
  closing(out);
  begin(due_ + 1);
  for (Seat& s : seats_) {
    if (s.state != State::active) continue;
    s.released.clock = first_, s.released.due = due_;
    out.release.push_back(s.released);
  }
}

}  // namespace dtrain::sync
