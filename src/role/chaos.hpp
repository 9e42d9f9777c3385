#pragma once
/// Faults made on purpose in a role that has joined a run: what --chaos asks of it, done as its steps begin.
///
/// Each is told of before it is done, in the role's log and to the coordinator. One thread, the role's own.

#include <string>

#include "role/chaos_spec.hpp"
#include "wire/mischief.hpp"

namespace dtrain::role {

class Link;

class Chaos {
 public:
  Chaos(Link& link, FaultClock faults) : link_(link), faults_(std::move(faults)) {}

  /// Whether data sockets are to be able to keep messages; and to lose or to double them.
  bool delays() const { return faults_.has(Fault::Action::delay); }
  bool meddles() const { return faults_.has(Fault::Action::drop) || faults_.has(Fault::Action::duplicate); }
  wire::Mischief& mischief() { return mischief_; }

  /// A step begins that is counted from 0: does what is due.
  void begin_step(std::uint64_t step);

 private:
  void suffer(const Fault& fault, std::uint64_t step);

  Link& link_;
  FaultClock faults_;
  wire::Mischief mischief_;
  bool delaying_ = false;
};

/// The same in the process that leads the run, or is all of it: what has been done is in the metrics before it is done.
class ChaosBook {
 public:
  ChaosBook() = default;
  explicit ChaosBook(ChaosSpec resolved) : spec_(std::move(resolved)) {}

  bool empty() const { return spec_.faults.empty(); }
  const ChaosSpec& spec() const { return spec_; }

  /// What is still to happen to a member that joins, as parse_chaos() reads it; "" if nothing is. A fault at a step
  /// happens once, however often its role begins anew.
  std::string begin_life(wire::Role role, int rank, int& life);
  void note_done(wire::Role role, int rank, const std::string& fault);
  /// Those at a step that nobody has suffered: the run never came to it, or not with them.
  std::vector<std::string> not_done() const;
  /// The clock of a part that this process itself plays.
  FaultClock clock(wire::Role role, int rank) const { return {spec_, role, rank, 0}; }

 private:
  struct Life {
    wire::Role role;
    int rank;
    int lives = 0;
    std::vector<std::string> done;
  };
  Life& life_of(wire::Role role, int rank);
  ChaosSpec spec_;
  std::vector<Life> lives_;
};

/// Ends or stops this process, as the fault says. Comes back from a stop when somebody lets it go on, otherwise never.
void end_or_stop(Fault::Action action);

}  // namespace dtrain::role
