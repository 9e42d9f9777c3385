#pragma once
/// The other workers of one's replica, each with a part of the same network: what they hand each other within a step.
///
/// Who is at stage 0 and rank 0 of its group leads: it alone takes a wish to stop, before a step or with one, so that
/// all of a replica do the same steps. One thread, that of the sockets.

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
  bool wish() const { return wish_; }
  /// The leader's: no step from this one on is done.
  void halt(sync::Clock clock);
  bool halted(sync::Clock clock) const { return halted_ && *halted_ <= clock; }

  /// A message of another worker; false if it is none of a replica's.
  bool take(wire::Message& message);
  void watch(wire::Poller& poller);
  /// What went to the others and came from them, which came by the worker's doors and is not what it exchanges.
  void count(Tally& tally) const;

  std::optional<ConstMatrix> take_inputs(int micro, Index rows, Index cols) override;
  void give_outputs(int micro, ConstMatrix outputs) override;
  std::optional<ConstMatrix> take_delta(int micro, Index rows, Index cols) override;
  void give_delta(int micro, ConstMatrix delta) override;
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
    std::array<Queue, 3> queues;           ///< by kind, in the order of sending
  };

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
  bool wish_ = false;
  std::optional<sync::Clock> halted_;
  std::uint64_t received_ = 0;       ///< bytes
  std::uint32_t exchanges_ = 0;  ///< of this step
  std::deque<Incoming> inputs_;  ///< of micro-batches that are not done
  Incoming delta_;
  std::vector<Incoming> blocks_;  ///< of the last exchange, and what is seen of them
  std::vector<ConstMatrix> views_;
};

}  // namespace dtrain::role
