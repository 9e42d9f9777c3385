#pragma once
/// A worker that exchanges by all-reduce, and owns a part of the weights. Every rank has its own copy of the policy,
/// and feeds it what all ranks push: what they have is the plan's to say, so all decide alike. In five files:
/// all_reduce.cpp (its life, step after step), all_reduce_exchange.cpp (what comes from others and goes to them),
/// all_reduce_packed.cpp (where that is packed), all_reduce_own.cpp (where workers step by themselves),
/// all_reduce_state.cpp (what is loaded and saved).
///
/// One thread. Included by these files only.

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "collective/exchange.hpp"
#include "role/packer.hpp"
#include "role/peer_role.hpp"
#include "sync/ledger.hpp"

namespace dtrain::role {

class AllReduce final : public Peer {
 public:
  AllReduce(Link& link, const Welcome& welcome, plan::Plan plan);

  void start(const Start& start) override;
  void train() override;
  void leave() override;
  bool after_backward(int layer) override;

 private:
  /// What all ranks agree on with an exchange.
  enum Flag : std::uint32_t { stop_flag = 1, save_flag = 2 };

  /// The exchange of one bucket of one arena, and how it meets sockets and owner.
  class Lane final : public collective::Port {
   public:
    Lane(AllReduce& peer, std::size_t index, const plan::Bucket& bucket, std::size_t arena);
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
    AllReduce& peer_;
    std::size_t index_;
    const plan::Bucket& bucket_;
    std::size_t arena_;
    collective::Exchange exchange_;
    std::optional<collective::Range> held_;
    std::span<const Share> held_shares_;
  };

  // all_reduce.cpp
  bool finished() const;
  void meet_elsewhere(const Start& start);
  bool sends_to(int rank) const;
  void gradient_step();
  void flush_trace();

  // all_reduce_exchange.cpp
  bool take(wire::Message& message) override;
  void watch_senders(wire::Poller& poller) override {
    for (wire::Socket& other : elsewhere_) poller.add(other);
  }
  void begin_round(const std::vector<std::uint64_t>& rows, Index rows_after);
  void fold_pushes(const std::vector<std::uint64_t>& rows);
  void begin_lane(Lane& lane);
  void exchange_rest();
  bool all_done();
  void end_round();
  void take_squares(const wire::Message& message);
  void settle_squares();
  void tell_squares();
  void check_finite() const;
  bool clips() const { return plan_.job.train.clip_norm > 0 && !traits_.weights; }
  Arena& contributed(std::size_t arena);
  Arena& published(Version& version, std::size_t arena) const;

  // all_reduce_packed.cpp
  void make_packers();
  void begin_packing();
  void pack_own(const Lane& lane);
  std::span<const std::byte> packed(std::size_t piece, std::span<const float> values);
  void send_packed(int to, wire::Header header, std::span<const float> values);
  collective::Parcel unpack(const wire::Message& message);
  void send_kept(std::uint64_t ordinal, bool last);

  // all_reduce_own.cpp
  void own_step();
  void adopt_published();

  // all_reduce_state.cpp
  std::span<float> place_of(const wire::Header& header, bool own) override;
  void save_if_due(Index before, Index after, std::uint32_t flags);
  void send_snapshot(const Wanted& wanted, std::uint64_t ordinal);

  std::unique_ptr<sync::Policy> policy_;
  std::unique_ptr<sync::Rhythm> rhythm_;
  sync::Actions actions_;
  sync::Ledger ledger_;
  std::vector<sync::Event> trace_;
  Clock::time_point traced_at_;
  std::deque<Lane> lanes_;
  std::optional<Packer> packer_;        ///< where gradients are packed
  wire::InFlight kept_in_flight_;       ///< of what the packer keeps, on its way to be saved
  std::optional<Unpacker> gradients_;   ///< the others'
  std::optional<Unpacker> changes_;     ///< of the others' parts of the weights, where those are packed
  std::deque<wire::Socket> elsewhere_;  ///< owners of other parts of a split network, where the gradient is clipped
  std::size_t number_;                  ///< ours among those who have a part of the gradient
  std::vector<std::deque<std::vector<double>>> squares_;  ///< by that number, of the round in flight and the next
  std::vector<double> own_squares_;
  std::size_t held_ = 0;  ///< parts that wait for squares
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
  bool stopped_ = false;
};

}  // namespace dtrain::role
