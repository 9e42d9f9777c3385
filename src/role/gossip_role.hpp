#pragma once
/// A worker that exchanges in pairs (AD-PSGD): with an even rank it offers its weights to a partner in every step, with
/// an odd one it answers, whatever else it does; both take the mean. What an odd rank computes at is a copy, so that
/// its weights may change meanwhile.
///
/// One thread. Included by gossip.cpp and peer.cpp only.

#include <vector>

#include "role/inbox.hpp"
#include "role/peer_role.hpp"

namespace dtrain::role {

class Gossip final : public Peer {
 public:
  Gossip(Link& link, const Welcome& welcome, plan::Plan plan);

  void start(const Start& start) override;
  void train() override;
  void leave() override;
  bool after_backward(int layer) override;

 private:
  bool take(wire::Message& message) override;
  std::span<float> place_of(const wire::Header& header, bool own) override;
  bool finished() const;
  void step();
  void learn();
  void send_weights(int to, wire::Type type, sync::Clock clock);
  void tell_leaving();
  void answer(int rank);
  void send_snapshot(const Wanted& wanted, std::uint64_t ordinal);
  const std::vector<plan::Piece>& pieces() const { return plan_.slices.front().pieces; }

  std::unique_ptr<sync::Rhythm> rhythm_;
  std::vector<int> everyone_;
  std::vector<Inbox> inboxes_;  ///< per rank: its offer, or its answer
  Arena seen_;                  ///< what an odd rank computes at
  Arena common_;                ///< loaded, where its own state is loaded too
  bool has_own_state_ = false;
  bool may_answer_ = false;  ///< its weights are loaded
  int asking_ = 0;           ///< even ranks that have not left
};

}  // namespace dtrain::role
