#include "sync/one_by_one.hpp"

#include <algorithm>
#include <stdexcept>

#include "sync/policies.hpp"

namespace dtrain::sync {

OneByOne::OneByOne(const Setup& setup, const Terms& terms)
    : seats_(setup.clocks.size()), terms_(terms), end_(end_of(setup)) {
  for (const Rank rank : setup.absent) seat(rank).active = false;
  for (std::size_t r = 0; r < seats_.size(); ++r) {
    const Clock clock = setup.clocks[r];
    seats_[r].next = clock;
    seats_[r].released = {static_cast<Rank>(r), clock, due(clock)};
    if (!seats_[r].active) continue;
    ++active_;
    if (clock < end_) clocks_.add(clock);
  }
  if (!clocks_.empty()) opened_ = clocks_.least() + terms_.bound;
}

Clock OneByOne::due(Clock clock) const {
  if (clock >= end_) return end_;
  return std::min(clock - clock % terms_.period + terms_.period, end_) - 1;
}

Verdict OneByOne::push(const Push& push, Actions& out) {
  out.clear();
  const Seat& s = seat(push.rank);
  if (!s.active || s.parked || push.clock != s.released.due || push.clock >= end_) return Verdict::stray;
  if (push.rows > 0) out.fold.push_back(push.rank);
  const Clock least = clocks_.least();
  heard(push);
  move(push.rank, push.clock + 1);
  enter(push.rank, out);
  follow(least, out);
  return Verdict::taken;
}

void OneByOne::lose(Rank rank, bool /*keep_pending*/, Actions& out) {
  out.clear();
  Seat& s = seat(rank);
  if (!s.active) return;
  s.active = false;
  --active_;
  if (s.parked) unpark(rank);
  if (s.next >= end_) return;
  const Clock least = clocks_.least();
  clocks_.remove(s.next);
  uncounted(rank);
  follow(least, out);
}

Clock OneByOne::entry(Rank rank) const {
  const Clock next = seats_.at(static_cast<std::size_t>(rank)).next;
  if (!clocks_.empty()) return std::max(next, clocks_.least());
  return active_ > 0 ? end_ : next;
}

void OneByOne::join_from(Rank rank, Clock least, Actions& out) {
  out.clear();
  Seat& s = seat(rank);
  if (s.active) return;
  s.next = std::min(std::max(entry(rank), least), end_);
  s.active = true;
  ++active_;
  if (s.next < end_) clocks_.add(s.next), counted(rank, s.next);
  enter(rank, out);
  follow(clocks_.least(), out);
}

void OneByOne::undo(Rank /*lost*/, Actions& /*out*/) {
  throw std::logic_error("owners apply their slices independently; nothing is ever undone");
}

void OneByOne::move(Rank rank, Clock to) {
  Seat& s = seat(rank);
  if (to < end_) {
    clocks_.add(to);
    counted(rank, to);
  } else {
    uncounted(rank);
  }
  clocks_.remove(s.next);
  s.next = to;
}

void OneByOne::enter(Rank rank, Actions& out) {
  const Clock clock = seat(rank).next;
  if (!open(clock)) blocked(rank, clock, out);
  open(clock) ? release(rank, out) : park(rank);
}

void OneByOne::release(Rank rank, Actions& out) {
  Seat& s = seat(rank);
  s.released.clock = s.next;
  s.released.due = due(s.next);
  out.release.push_back(s.released);
}

void OneByOne::park(Rank rank) {
  Seat& s = seat(rank);
  Rank& first = clocks_.waiting(s.next);
  s.parked = true;
  s.before = ClockRing::nobody;
  s.after = first;
  if (first != ClockRing::nobody) seat(first).before = rank;
  first = rank;
  ++parked_;
}

void OneByOne::unpark(Rank rank) {
  Seat& s = seat(rank);
  if (s.after != ClockRing::nobody) seat(s.after).before = s.before;
  (s.before != ClockRing::nobody ? seat(s.before).after : clocks_.waiting(s.next)) = s.after;
  s.parked = false;
  --parked_;
}

/// The minimum, or the bound, may have moved: lets go of those who waited for that.
void OneByOne::follow(Clock least_before, Actions& out) {
  if (clocks_.empty()) return;
  const Clock least = clocks_.least(), opens = least + terms_.bound;
  const Clock last = std::min(opens, clocks_.greatest());
  for (Clock clock = std::max(opened_ + 1, least); clock <= last && parked_ > 0; ++clock)
    for (Rank& first = clocks_.waiting(clock); first != ClockRing::nobody;) {
      const Rank rank = first;
      unpark(rank);
      release(rank, out);
    }
  opened_ = opens;
  std::sort(out.release.begin(), out.release.end(), [](const Release& a, const Release& b) { return a.rank < b.rank; });
  if (terms_.eager && least != least_before) refresh(out);
}

void OneByOne::refresh(Actions& out) const {
  auto released = out.release.begin();
  for (const Seat& s : seats_) {
    if (released != out.release.end() && released->rank == s.released.rank)
      ++released;
    else if (s.active && !s.parked && s.next < end_)
      out.refresh.push_back(s.released.rank);
  }
}

}  // namespace dtrain::sync
