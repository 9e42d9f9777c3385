#pragma once
/// When the coordinator asks for checkpoints of a run whose ranks go on by themselves, and under which ordinal
/// (role/cut_gate.hpp). Pure.

#include <cstdint>
#include <optional>
#include <utility>

#include "plan/plan.hpp"

namespace dtrain::role {

class CutCalls {
 public:
  explicit CutCalls(const plan::Plan& plan) : plan_(plan) {}

  /// The run begins, or goes on, with so many rows applied.
  void begin(Index applied) { applied_ = applied, to_save_ = 0; }

  /// By what workers have told, so many rows are applied now; `time`: a checkpoint by the clock is due. The ordinal of
  /// the cut to ask for, if one is due. While one is under way the next is passed over, so that it never waits.
  std::optional<std::uint64_t> call(Index applied, bool time) {
    const Index before = std::exchange(applied_, applied);
    if (applied >= plan_.total_rows) return std::nullopt;  // the end is a cut by itself
    if (!time && !plan::due(plan_, plan_.job.checkpoint.every, before, applied)) return std::nullopt;
    if (under_way()) return ++passed_over_, std::nullopt;
    to_save_ = plan_.servers;
    return ordinal_of(++calls_);
  }
  /// A server tells of what it has saved.
  void saved(std::uint64_t ordinal) {
    if (under_way() && ordinal == ordinal_of(calls_)) --to_save_;
  }
  /// A server was lost: what it had marks of is nowhere else.
  void abandon() { to_save_ = 0; }
  /// Not yet saved by every server.
  bool under_way() const { return to_save_ > 0; }
  /// Of the newest.
  std::uint64_t ordinal() const { return ordinal_of(calls_); }
  int passed_over() const { return passed_over_; }

 private:
  /// No evaluation has it.
  static std::uint64_t ordinal_of(std::uint64_t call) { return call * 8 + 2; }
  const plan::Plan& plan_;
  Index applied_ = 0;
  std::uint64_t calls_ = 0;
  int to_save_ = 0;  ///< servers
  int passed_over_ = 0;
};

}  // namespace dtrain::role
