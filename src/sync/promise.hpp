#pragma once
/// One server's part of a trace, judged event by event against what a policy promises.
///
/// Knows ALGORITHMS.md and none of the policies' code. Feed every event of one server to see(), in order; rest() says
/// what a trace that ended here would lack. Pure; one thread.

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sync/trace.hpp"

namespace dtrain::sync {

/// An update, as servers are compared by it.
struct Fold {
  Clock clock = 0;  ///< of the pushes in it
  std::vector<Rank> ranks;
  std::size_t event = 0;  ///< index of its last application
};

class Witness {
 public:
  virtual ~Witness() = default;

  /// `index` counts the events of the whole trace. After a breach nothing more may be asked.
  std::optional<Breach> see(std::size_t index, const Event& event);
  /// `end`: how many events the whole trace has.
  std::optional<Breach> rest(std::size_t end);
  /// All updates that were not taken back.
  const std::vector<Fold>& folds() const { return folds_; }

 protected:
  using Why = std::string;  ///< "": the promise is kept

  virtual bool is_active(Rank rank) const = 0;
  /// Whether a push of that clock may be what the rank must send next; and whether it is for certain.
  virtual bool may_owe(Rank rank, Clock clock) const = 0;
  virtual bool owes(Rank rank, Clock clock) const { return may_owe(rank, clock); }
  /// Whether the rank is in its own good time between its release into that step and its push.
  virtual bool is_at(Rank rank, Clock clock) const = 0;
  virtual void push(const Event& event) = 0;
  /// One push into the update that is being made.
  virtual Why apply(const Event& event) = 0;
  /// The update holds these pushes, and no more.
  virtual Why close(const Fold& fold) = 0;
  virtual Why release(const Event& event) = 0;
  virtual void lose(Rank rank) = 0;
  virtual void join(const Event& event) = 0;
  /// The last step counts as not taken, and that rank's part in it is forgotten. `updated`: it made an update.
  virtual Why undo(Rank lost, bool& updated) = 0;
  /// What is saved has all of the rank's pushes below the clock, and no other.
  virtual Why cut(const Event& event);
  virtual Why missing() const = 0;

 private:
  std::optional<Breach> close_update();
  Why judge(const Event& event);
  Why judge_push(const Event& event);
  Why judge_release(const Event& event);
  Why judge_apply(std::size_t index, const Event& event);
  Why judge_undo(const Event& event);

  std::optional<std::uint64_t> version_;  ///< absent before the first event
  Fold open_;                             ///< the update that is being made, if it has ranks
  std::optional<Rank> just_lost_;
  std::vector<Fold> folds_;
  std::set<Rank> asking_;  ///< pulled, and have not been answered
};

/// The step that no rank does any more; a head without a number of steps has no end.
Clock end_of(const TraceHead& head);

/// For the policy of a resolved job.
std::unique_ptr<Witness> make_witness(const TraceHead& head, const job::Sync& sync, std::uint64_t seed);

/// The two families: those whose ranks have steps or blocks in common, and those whose ranks go on alone.
std::unique_ptr<Witness> make_gated_witness(const TraceHead& head, const job::Sync& sync, std::uint64_t seed);
std::unique_ptr<Witness> make_free_witness(const TraceHead& head, const job::Sync& sync);

}  // namespace dtrain::sync
