#pragma once
/// What one owner of a slice did, event by event; and whether that keeps a policy's promise.
///
/// The checker knows the promises of ALGORITHMS.md and none of the policies' code. Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sync/policy.hpp"

namespace dtrain::sync {

struct Event {
  enum class What : std::uint8_t {
    pull,     ///< a rank asks for weights: at its start
    push,     ///< a complete push came and was taken
    drop,     ///< a complete push came and was not: late, or of no step that was due
    apply,    ///< that push is in the update that made `version`
    release,  ///< the rank may do step `clock`, with `version`
    lose,
    join,  ///< it does no step before `clock`
    undo,  ///< right after a loss: the last step counts as not taken; `version` is that before it
    cut    ///< saved here: all of the rank's pushes below `clock` are in, and no other. One of each rank
  };
  What what{};
  int server = 0;
  Rank rank = 0;
  Clock clock = 0;
  std::uint64_t version = 0;  ///< updates of this slice up to here
  std::uint64_t rows = 0;     ///< push; cut: the ordinal by which all servers know it
  bool operator==(const Event&) const = default;
};
const char* name(Event::What what);

/// The first line of a trace. Events of a server begin with its version as it was then.
struct TraceHead {
  std::string job;  ///< its resolved text: what was promised
  int workers = 1, servers = 1;
  Clock total_steps = 0, single_until = 0;
  std::vector<Clock> clocks;  ///< per rank, where the run began
  std::vector<Rank> absent;   ///< lost earlier
  bool operator==(const TraceHead&) const = default;
};

/// One JSON object a line, without its end: {"event": "apply", "server": 0, "rank": 1, "clock": 7, "version": 12}.
/// A clock is told of push, drop, apply, release, join and cut, rows of push, an ordinal of cut,
/// a rank of all but undo.
std::string to_line(const TraceHead& head);
std::string to_line(const Event& event);

struct Trace {
  TraceHead head;
  std::vector<Event> events;  ///< in the order of the file; of one server, in the order that they happened
};
/// The head is line 1, event i line i + 2. Throws Error(Kind::data) with file and line.
Trace read_trace(const std::string& path);

/// The first event that broke the promise, and why.
struct Breach {
  std::size_t event = 0;  ///< index in the trace; its size: what should have followed did not
  std::string why;
};
/// Exactly once, version order, staleness bound, folds in common: what the head's policy promises.
std::optional<Breach> find_breach(const TraceHead& head, const job::Sync& sync, std::uint64_t seed,
                                  const std::vector<Event>& events);

}  // namespace dtrain::sync
