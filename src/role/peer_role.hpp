#pragma once
/// What workers without servers have in common, however they exchange: rows and a network, an own copy of the weights,
/// a door for the others and connections to them, and what is loaded and saved.
///
/// One thread. Included by the files of its kinds only: all_reduce*.cpp and gossip.cpp.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/division.hpp"
#include "job/distribution.hpp"
#include "role/connections.hpp"
#include "role/data_doors.hpp"
#include "role/learner.hpp"
#include "role/link.hpp"
#include "role/owner.hpp"
#include "role/replica.hpp"
#include "sync/policy.hpp"

namespace dtrain::role {

/// A piece of an arena of all weights.
std::span<const float> part(const Arena& arena, const plan::Piece& piece);

class Peer : public model::LayerEvents {
 public:
  Peer(Link& link, const Welcome& welcome, plan::Plan plan);

  const std::vector<std::string>& endpoints() const { return doors_.endpoints(); }
  std::vector<std::string> row_endpoints() const { return learner_.feed().endpoints(); }
  virtual void start(const Start& start) = 0;
  virtual void train() = 0;
  virtual void leave() = 0;

  bool before_forward(int layer) override;

 protected:
  struct Wanted {
    bool evaluate = false, save = false, last = false;
  };

  /// A message of another worker; false: not what is due here.
  virtual bool take(wire::Message& message) = 0;
  /// Further sockets that only send.
  virtual void watch_senders(wire::Poller&) {}
  /// Where weights that are loaded go: of an arena of the common state, or of our own. Empty: nowhere.
  virtual std::span<float> place_of(const wire::Header& header, bool own) = 0;

  void connect(const Start& start, const std::function<bool(int)>& needed);
  void await_load(std::uint64_t floats);
  /// Forward and backward on this step's rows.
  void train_on_rows(std::span<const float> weights);
  /// Its own optimizer's step with the gradient of this step, unless that was taken layer by layer.
  void finish_own_step(Index after, bool by_layers);
  void pad_step();
  /// Tells the coordinator, if that is ours to do.
  void record(const StepRecord& record);
  bool await_replica();
  bool ends_backward(int layer) const { return layer == static_cast<int>(plan_.layout.layers.size()) - 1; }
  Wanted wanted_between(Index before, Index after) const;

  void poll(int timeout_ms, Phase phase);
  void drain();
  void wait_until_sent(wire::InFlight& sending);
  void await(const std::function<bool()>& done, Phase phase);
  void await_rows(std::span<const std::uint32_t> rows);

  static std::span<float> part_of(Arena& arena, const wire::Header& header);
  void send_own(std::uint64_t ordinal, bool last, sync::Clock clock);
  void send_state(std::span<const float> values, const plan::Piece& piece, std::size_t index, std::uint64_t ordinal,
                  bool own, wire::InFlight& in_flight);
  void await_goodbye();
  void send_tally();

  Link& link_;
  plan::Plan plan_;
  int rank_;
  std::string identity_;  ///< of its sockets to others
  sync::Traits traits_;
  std::unique_ptr<Replica> replica_;  ///< where the network is split
  Learner learner_;
  data::Division division_;
  std::unique_ptr<Owner> owner_;  ///< of what all have in common
  std::unique_ptr<Owner> own_;    ///< of its own weights, where workers step by themselves
  Arena gradient_;
  std::vector<Contribution> own_gradient_;
  wire::InFlight sending_;  ///< of the gradient; outlived by it, and outlives the sockets
  DataDoors doors_;
  std::vector<std::unique_ptr<wire::Socket>> others_;  ///< per rank; nullptr: it gets nothing from us
  Connections connections_;
  std::optional<job::Distribution> inject_;
  Clock::time_point began_;  ///< computing the step
  sync::Clock clock_ = 0;
  bool stop_wanted_ = false;  ///< by the coordinator
  bool save_wanted_ = false, dismissed_ = false;
  Clock::time_point connected_;
  double wait_seconds_ = 0, communicate_seconds_ = 0, compute_seconds_ = 0, fetch_seconds_ = 0;
  std::uint64_t aside_sent_ = 0, aside_received_ = 0;  ///< payload of what no exchange is made of: state, squares
  Tally tally_;

 private:
  void obey(const wire::Message& message);
  void note_loss(double loss_sum, std::uint64_t rows);
  void take_load(const wire::Message& message, std::size_t door);
  struct Route {
    std::size_t door = 0;
    std::string peer;
  } coordinator_;
  std::uint64_t loaded_ = 0;  ///< floats
};

}  // namespace dtrain::role
