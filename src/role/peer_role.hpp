#pragma once
/// A worker among equals: computes gradients on its rows, and owns a part of the weights. Every rank has its own copy
/// of the policy, and feeds it what all ranks push: what they have is the plan's to say, so all decide alike. In four
/// files: peer.cpp (its life, step after step), peer_exchange.cpp (what comes from others and goes to them),
/// peer_own.cpp (where workers step by themselves), peer_state.cpp (what is loaded and saved).
///
/// One thread. Included by these files only.

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "collective/exchange.hpp"
#include "data/division.hpp"
#include "job/distribution.hpp"
#include "role/connections.hpp"
#include "role/data_doors.hpp"
#include "role/learner.hpp"
#include "role/link.hpp"
#include "role/owner.hpp"
#include "sync/ledger.hpp"
#include "sync/policy.hpp"

namespace dtrain::role {

class Peer final : public model::LayerEvents {
 public:
  Peer(Link& link, const Welcome& welcome);

  const std::vector<std::string>& endpoints() const { return doors_.endpoints(); }
  void start(const Start& start);
  void train();
  void leave();

  bool before_forward(int layer) override;
  bool after_backward(int layer) override;

 private:
  /// What all ranks agree on with an exchange.
  enum Flag : std::uint32_t { stop_flag = 1, save_flag = 2 };
  struct Wanted {
    bool evaluate = false, save = false, last = false;
  };

  /// The exchange of one bucket of one arena, and how it meets sockets and owner.
  class Lane final : public collective::Port {
   public:
    Lane(Peer& peer, std::size_t index, const plan::Bucket& bucket, std::size_t arena);
    void send_sum(int to, const collective::Range& range, const Share& sum, std::uint32_t flags) override;
    bool finish(const collective::Range& range, std::span<const Share> shares) override;
    void send_result(int to, const collective::Range& range, std::uint32_t flags) override;
    void take_result(const collective::Range& range, const collective::Parcel& result) override;
    /// Once all sums of squares are known.
    void finish_held();

    const plan::Bucket& bucket() const { return bucket_; }
    collective::Exchange& exchange() { return exchange_; }
    std::size_t arena() const { return arena_; }

   private:
    wire::Header header(wire::Type type, const collective::Range& range, std::uint32_t flags) const;
    Peer& peer_;
    std::size_t index_;
    const plan::Bucket& bucket_;
    std::size_t arena_;
    collective::Exchange exchange_;
    std::optional<collective::Range> held_;
    std::span<const Share> held_shares_;
  };

  // peer.cpp
  bool finished() const;
  void connect(const Start& start);
  void gradient_step();
  bool train_on_rows(Arena& gradient);
  void note_loss(double loss_sum, std::uint64_t rows);
  void obey(const wire::Message& message);
  void pad_step();
  void send_tally();
  void flush_trace();

  // peer_exchange.cpp
  void begin_round(const std::vector<std::uint64_t>& rows, Index rows_after);
  void begin_lane(Lane& lane);
  void begin_rest();
  void await_exchange();
  void end_round();
  void poll(int timeout_ms, Phase phase);
  void drain();
  void take(wire::Message message, std::size_t door);
  void take_squares(const wire::Message& message);
  void settle_squares();
  void check_finite() const;
  bool clips() const { return plan_.job.train.clip_norm > 0 && !traits_.weights; }
  Arena& contributed(std::size_t arena);
  Arena& published(Version& version, std::size_t arena) const;
  void wait_until_sent(wire::InFlight& sending);

  // peer_own.cpp
  void own_step();
  void adopt_published();

  // peer_state.cpp
  void take_load(const wire::Message& message);
  void await_load(const Start& start);
  void save_if_due(Index before, Index after, std::uint32_t flags);
  void send_snapshot(const Wanted& wanted, std::uint64_t ordinal);
  void send_own(std::uint64_t ordinal, bool last);
  void send_arena(const Arena& arena, const plan::Piece& piece, std::size_t index, std::uint64_t ordinal, bool own,
                  wire::InFlight& in_flight);

  Link& link_;
  plan::Plan plan_;
  int rank_;
  sync::Traits traits_;
  Learner learner_;
  data::Division division_;
  Owner owner_;                 ///< of the policy's update
  std::unique_ptr<Owner> own_;  ///< of its own weights, where workers step by themselves
  Arena gradient_;
  std::vector<Contribution> own_gradient_;
  wire::InFlight sending_;  ///< of the gradient; outlived by it, and outlives the sockets
  DataDoors doors_;
  std::vector<std::unique_ptr<wire::Socket>> others_;  ///< per rank; nullptr: it gets nothing from us
  Connections connections_;
  std::unique_ptr<sync::Policy> policy_;
  std::unique_ptr<sync::Rhythm> rhythm_;
  sync::Actions actions_;
  sync::Ledger ledger_;
  std::vector<sync::Event> trace_;
  Clock::time_point traced_at_;
  std::deque<Lane> lanes_;
  std::vector<std::deque<std::vector<double>>> squares_;  ///< per rank, of the round in flight and the next
  std::vector<double> own_squares_;
  std::size_t held_ = 0;  ///< lanes that wait for squares
  std::optional<job::Distribution> inject_;
  Clock::time_point began_;  ///< computing the step
  sync::Clock clock_ = 0;
  sync::Turn turn_;
  // Of the round in flight:
  std::vector<sync::Rank> folded_;
  std::vector<sync::Release> releases_;
  std::optional<float> factor_;  ///< of our contribution
  Index rows_after_ = 0;
  std::uint32_t flags_ = 0;
  bool squares_told_ = false;
  std::vector<std::uint64_t> since_rows_;  ///< per rank: since the last exchange
  std::uint64_t rounds_done_ = 0;
  struct Route {
    std::size_t door = 0;
    std::string peer;
  } coordinator_;
  std::uint64_t loaded_ = 0, to_load_ = 0;  ///< floats
  bool stop_wanted_ = false, save_wanted_ = false, stopped_ = false, dismissed_ = false;
  double wait_seconds_ = 0, communicate_seconds_ = 0, compute_seconds_ = 0;
  std::uint64_t aside_sent_ = 0,
                aside_received_ = 0;  ///< bytes of state and of sums of squares, which no exchange is made of
  Tally tally_;
};

}  // namespace dtrain::role
