#pragma once
/// Faults that are made on purpose, as --chaos says them, and when each is due.
///
///   SPEC   = ITEM { "," ITEM }
///   ITEM   = "seed=" NUMBER  |  ACTION [ ":" WHO ] [ "@" WHEN ] [ ":" HOW ]
///   ACTION = "kill" | "stop" | "delay" | "drop" | "duplicate" | "cut" | "disk"
///   WHO    = "coordinator"  |  ( "worker" | "server" ) [ "." ( RANK | "*" | "?" ) ]
///   WHEN   = STEP  |  "~" PROBABILITY
///   HOW    = TIME  (delay)  |  COUNT  (drop, duplicate)
///
/// "?" is one of them, drawn from the seed, and so is a step that is not given; WHO is "worker.?" if it is not given,
/// and "worker" means "worker.?". Steps count from 1; of a server they are its updates, of `disk` checkpoints.
///
/// Pure; any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "wire/frame.hpp"

namespace dtrain::role {

struct Fault {
  enum class Action {
    kill,       ///< the process ends itself as SIGKILL does
    stop,       ///< it stops itself as SIGSTOP does
    delay,      ///< for one step, its data messages are kept for a time
    drop,       ///< data messages are not sent
    duplicate,  ///< data messages are sent twice
    cut,        ///< its data connections are closed under it
    disk        ///< a checkpoint finds the disk full
  };
  static constexpr int every = -1, drawn = -2;

  Action action = Action::kill;
  wire::Role role = wire::Role::worker;
  int rank = drawn;        ///< or every; of the coordinator: 0
  std::uint64_t step = 0;  ///< 0: drawn, or by probability
  double probability = 0;  ///< of a step
  Seconds delay{0.02};
  int count = 1;  ///< of messages

  bool operator==(const Fault&) const = default;
};
const char* name(Fault::Action action);

struct ChaosSpec {
  std::vector<Fault> faults;
  std::optional<std::uint64_t> seed;  ///< nullopt: the job's
  bool operator==(const ChaosSpec&) const = default;
};

/// Throws Error(Kind::usage) that names the item, what is wrong with it and what would be right.
ChaosSpec parse_chaos(std::string_view text);
/// What parse_chaos() reads back: "kill:worker.1@40".
std::string to_text(const Fault& fault);
std::string to_text(const ChaosSpec& spec);

/// Who there is to suffer.
struct Cast {
  int workers = 1, servers = 0;  ///< processes
  bool alone = false;            ///< one process, no connections
  std::int64_t steps = 1;
  std::uint64_t seed = 0;  ///< the job's
};
/// The same with nothing left to draw but what is drawn step by step. Throws Error(Kind::usage) for a role that the run
/// does not have.
ChaosSpec resolve(ChaosSpec spec, const Cast& cast);

/// The faults of one role, in one of its lives.
class FaultClock {
 public:
  FaultClock() = default;
  /// Takes what concerns that role. `life`: how many it had before; chance has it differently in each.
  FaultClock(const ChaosSpec& spec, wire::Role role, int rank, int life);

  bool empty() const { return faults_.empty(); }
  bool has(Fault::Action action) const;
  /// What is due as a step begins that is counted from 0. Steps that were passed over count as begun with it; one that
  /// has begun before brings nothing again.
  std::vector<Fault> begin(std::uint64_t step);

 private:
  bool due(const Fault& fault, std::uint64_t number, std::uint64_t first) const;
  std::vector<Fault> faults_;
  std::uint64_t seed_ = 0;
  wire::Role role_{};
  int rank_ = 0, life_ = 0;
  std::optional<std::uint64_t> begun_;  ///< counted from 1
};

}  // namespace dtrain::role
