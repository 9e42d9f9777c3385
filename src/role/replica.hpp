#pragma once
/// The other workers of one's replica, each with a part of the same network: what they hand each other within a step.
///
/// Who is at stage 0 and rank 0 of its group leads: it alone hears of a wish to stop, so that all of a replica do the
/// same steps. Where workers exchange among themselves it tells the wish with all that belongs to a step (wish()), and
/// all stop at that step's exchange; where there are servers it tells between steps that none follows (halt()), and
/// before a step in which nothing else passes, that it is done (agree()).
///
/// One thread, that of the sockets. What waits calls back into the role's own loop, which may take() meanwhile. Throws
/// Error(Kind::internal) if another of the replica sends what is not due.

#include <array>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "model/neighbours.hpp"
#include "role/connections.hpp"
#include "role/link.hpp"
#include "role/role.hpp"
#include "sync/policy.hpp"

namespace dtrain::role {

class Replica final : public model::Neighbours<float> {
 public:
  /// `cell`: ours. `wait`: lets what comes be taken, as long as it takes something to come; false: the step is given
  /// up.
  Replica(Link& link, const model::Cell& cell, std::function<bool()> wait);

  void connect(const plan::Plan& plan, const Start& start, const std::string& identity, Connections& connections);

  bool leads() const { return cell_.first() && cell_.rank == 0; }
  /// Whether it is ours to tell of the loss.
  bool reports() const { return cell_.last() && cell_.rank == 0; }

  /// A step begins. `wish`: told to all with it; what the leader says holds.
  void begin(sync::Clock clock, bool wish);
  /// What the leader wished with this step or an earlier one: known to whoever has had anything of the step.
  bool wish() const { return wished_ && *wished_ <= clock_; }
  /// The leader's: no step from this one on is done.
  void halt(sync::Clock clock);
  bool halted(sync::Clock clock) const { return halted_ && *halted_ <= clock; }
  /// The leader's: all of the replica mark this cut before they push in step `clock` (role/cut_gate.hpp). Told at once,
  /// as the leader may wait for long before that step, and with all that belongs to the step, so that nobody can have
  /// anything of it and not know.
  void mark(sync::Clock clock, std::uint64_t ordinal);
  /// The cut that is to be marked in this step; 0: none.
  std::uint64_t marked(sync::Clock clock) const { return mark_.clock == clock ? mark_.ordinal : 0; }
  /// Before a step that others would not hear of: whether it is done. The leader tells, the others wait for that.
  bool agree();

  /// Of all cells, in their order: every cell gives one number in a step, and gets the sum.
  double sum(double own);

  /// A message of another worker; false if it is none of a replica's.
  bool take(wire::Message& message);
  void watch(wire::Poller& poller);
  /// What went to the others and came from them, which came by the worker's doors and is not what it exchanges.
  void count(Tally& tally) const;

  std::optional<ConstMatrix> take_inputs(int micro, Index rows, Index cols) override;
  void give_outputs(int micro, ConstMatrix outputs) override;
  std::optional<ConstMatrix> take_output_gradient(int micro, Index rows, Index cols) override;
  void give_input_gradient(int micro, ConstMatrix delta) override;
  void done(int micro) override;
  std::optional<std::span<const ConstMatrix>> exchange(ConstMatrix own, std::span<const Index> cols) override;

 private:
  /// A matrix on its way to somebody, until they have read it.
  struct Outgoing {
    Arena values;
    wire::InFlight in_flight;
  };
  /// One that came, where it lies or put together from its pieces.
  struct Incoming {
    std::shared_ptr<const float> values;
    int micro = 0;
  };
  using Queue = std::deque<wire::Message>;
  struct Other {
    std::unique_ptr<wire::Socket> socket;  ///< nullptr: nothing goes there
    std::array<Queue, 5> queues;           ///< by kind, in the order of sending
  };

  int own_cell() const { return cell_.stage * cell_.ranks + cell_.rank; }
  bool expects(const wire::Header& header) const;
  Other& at(int stage, int rank) { return others_[static_cast<std::size_t>(stage * cell_.ranks + rank)]; }
  Outgoing& copied(ConstMatrix values);
  void send(Other& to, wire::Type type, std::uint32_t number, ConstMatrix shape, Outgoing& values);
  std::optional<Incoming> receive(Other& from, wire::Type type, std::uint32_t number, Index rows, Index cols);
  bool await(const Queue& queue);
  void check(const wire::Header& header, std::uint32_t number, Index offset, Index count) const;

  Link& link_;
  model::Cell cell_;
  std::function<bool()> wait_;
  std::list<Outgoing> outgoing_;  ///< outlives the sockets
  std::vector<Other> others_;     ///< by cell
  sync::Clock clock_ = 0;
  std::optional<sync::Clock> wished_;  ///< the first step with which it was told
  std::optional<sync::Clock> halted_;
  struct Mark {
    sync::Clock clock = 0;
    std::uint64_t ordinal = 0;
  } mark_;                       ///< the newest
  std::uint64_t received_ = 0;   ///< bytes
  std::uint32_t exchanges_ = 0;  ///< of this step
  std::deque<Incoming> inputs_;  ///< of micro-batches that are not done
  Incoming delta_;
  std::vector<Incoming> blocks_;  ///< of the last exchange, and what is seen of them
  std::vector<ConstMatrix> views_;
};

/// For Owner::step_clipped(); nothing without a replica.
std::function<double(double)> over_cells(Replica* replica);

}  // namespace dtrain::role
