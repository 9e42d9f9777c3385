/// asp, ssp, easgd, and adaptive by staleness: each push is an update by itself, and each rank goes on by itself, at
/// most so many steps ahead of the slowest.

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "sync/promise.hpp"

namespace dtrain::sync {
namespace {

constexpr Clock unbounded = std::numeric_limits<Clock>::max();

/// No rank may be let further ahead than `most`; none that is `least` ahead or less may be left waiting.
struct Lead {
  Clock most = unbounded, least = unbounded;
};

Lead lead_of(const job::Sync& sync) {
  const auto bound = [](std::int64_t steps) { return static_cast<Clock>(std::max<std::int64_t>(steps, 0)); };
  if (sync.policy == job::PolicyName::ssp) return {bound(sync.staleness), bound(sync.staleness)};
  if (sync.policy == job::PolicyName::adaptive) return {bound(sync.high), bound(sync.low)};
  return {};
}

class FreeWitness final : public Witness {
 public:
  FreeWitness(const TraceHead& head, const job::Sync& sync)
      : total_(end_of(head)),
        lead_(lead_of(sync)),
        period_(sync.policy == job::PolicyName::easgd ? static_cast<Clock>(sync.period) : 1) {
    parts_.resize(head.clocks.size());
    for (std::size_t r = 0; r < parts_.size(); ++r) parts_[r].clock = head.clocks[r];
    for (const Rank rank : head.absent) at(rank).is = Part::Is::lost;
  }

 private:
  struct Part {
    enum class Is { working, waiting, joining, lost } is = Is::working;
    Clock clock = 0;                 ///< steps done, as far as they were pushed
    std::uint64_t rows = 0;          ///< of its last push
    std::optional<Clock> unapplied;  ///< step of its last push, until that is in an update
  };
  Part& at(Rank rank) { return parts_[static_cast<std::size_t>(rank)]; }
  const Part& at(Rank rank) const { return parts_[static_cast<std::size_t>(rank)]; }

  bool is_active(Rank rank) const override { return at(rank).is != Part::Is::lost; }

  bool may_owe(Rank rank, Clock clock) const override {
    const Part& part = at(rank);
    return part.is == Part::Is::working && part.clock < total_ && clock == due(part.clock);
  }

  /// The step in which a rank at this one pushes next.
  Clock due(Clock clock) const { return std::min(clock / period_ * period_ + period_, total_) - 1; }

  bool is_at(Rank rank, Clock clock) const override {
    return at(rank).is == Part::Is::working && clock == at(rank).clock;
  }

  void push(const Event& event) override {
    Part& part = at(event.rank);
    part.is = Part::Is::waiting;
    part.clock = event.clock + 1;
    part.rows = event.rows;
    part.unapplied.reset();
    if (event.rows > 0) part.unapplied = event.clock;
  }

  Why apply(const Event& event) override {
    Part& part = at(event.rank);
    if (part.unapplied != event.clock)
      return fmt::format("rank {}'s push of step {} is applied, but {}", event.rank, event.clock,
                         part.clock != event.clock + 1 ? "its last push was another"
                         : part.rows == 0              ? "it has no rows"
                                                       : "it is in an update already");
    part.unapplied.reset();
    return {};
  }

  Why close(const Fold& fold) override {
    if (fold.ranks.size() == 1) return {};
    return fmt::format("one update holds the pushes of ranks {}: under this policy each is one by itself",
                       fmt::join(fold.ranks, " "));
  }

  Why release(const Event& event) override {
    Part& part = at(event.rank);
    if (part.is == Part::Is::working)
      return fmt::format("rank {} is released into step {}, though it has not pushed since it was released last",
                         event.rank, event.clock);
    const Clock next = part.clock;
    if (event.clock != next)
      return fmt::format("rank {} is released into step {}, but step {} is its next", event.rank, event.clock, next);
    if (part.unapplied)
      return fmt::format("rank {} is released into step {} before its own push of step {} was applied", event.rank,
                         event.clock, *part.unapplied);
    if (!may_start(next, lead_.most))
      return fmt::format(
          "rank {} is released into step {}, {} ahead of rank {}, which has done {}; at most {} are "
          "allowed",
          event.rank, next, next - seen(slowest()), slowest(), seen(slowest()), lead_.most);
    part.is = Part::Is::working;
    part.clock = next;
    return {};
  }

  void lose(Rank rank) override { at(rank).is = Part::Is::lost; }
  void join(const Event& event) override {
    Part& part = at(event.rank);
    part.clock = std::max({part.clock, event.clock, entry(event.rank)});
    part.is = Part::Is::joining;
    part.unapplied.reset();
  }
  Why undo(Rank /*lost*/, bool& /*updated*/) override {
    return "an update is taken back, which this policy never does";
  }

  Why cut(const Event& event) override {
    const Part& part = at(event.rank);
    if (part.is == Part::Is::lost) return {};
    if (part.unapplied)
      return fmt::format("the cut has rank {} at step {}, but its push of step {} is not applied yet", event.rank,
                         event.clock, *part.unapplied);
    const Clock last = part.clock < total_ ? due(part.clock) : part.clock;
    if (part.clock <= event.clock && event.clock <= last) return {};
    return fmt::format("the cut has rank {} at step {}, but what was applied of it ends before step {}", event.rank,
                       event.clock, part.clock);
  }

  Why missing() const override {
    for (Rank rank = 0; rank < static_cast<Rank>(parts_.size()); ++rank) {
      const Part& part = at(rank);
      if (part.is == Part::Is::lost || part.is == Part::Is::working) continue;
      if (part.unapplied)
        return fmt::format("rank {}'s push of step {} was taken and never applied", rank, *part.unapplied);
      const Clock next = part.clock;
      if (may_start(next, lead_.least))
        return fmt::format("rank {} waits for step {}, which nothing forbids, and is never released", rank, next);
    }
    return {};
  }

  /// One that joins does not begin behind all others, as they are then, nor when all are done. Its release may come
  /// later, behind updates that wait for sums of squares.
  Clock entry(Rank joining) const {
    Clock least = total_;
    bool others = false;
    for (Rank rank = 0; rank < static_cast<Rank>(parts_.size()); ++rank) {
      const Part& part = at(rank);
      if (rank == joining || part.is == Part::Is::lost || part.is == Part::Is::joining) continue;
      others = true;
      least = std::min(least, part.clock);
    }
    return others ? least : 0;
  }

  bool may_start(Clock clock, Clock lead) const {
    if (clock >= total_ || lead == unbounded) return true;
    const Rank last = slowest();
    return last < 0 || clock <= seen(last) || clock - seen(last) <= lead;
  }

  /// Steps of a rank that everybody sees the updates of.
  Clock seen(Rank rank) const { return at(rank).unapplied.value_or(at(rank).clock); }

  /// The rank that has done least among those that take part and are not at their end; -1 if there is none.
  Rank slowest() const {
    Rank last = -1;
    for (Rank rank = 0; rank < static_cast<Rank>(parts_.size()); ++rank) {
      const Part& part = at(rank);
      if (part.is == Part::Is::lost || part.is == Part::Is::joining || part.clock >= total_) continue;
      if (last < 0 || seen(rank) < seen(last)) last = rank;
    }
    return last;
  }

  Clock total_;
  Lead lead_;
  Clock period_;
  std::vector<Part> parts_;
};

}  // namespace

std::unique_ptr<Witness> make_free_witness(const TraceHead& head, const job::Sync& sync) {
  return std::make_unique<FreeWitness>(head, sync);
}

}  // namespace dtrain::sync
