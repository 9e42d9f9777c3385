#pragma once
/// Several servers, one decision: which pushes a step folds, where no server could take it back
/// (sync::Traits::decided).
///
/// Server 0 decides, on pushes that have arrived whole at every server, and tells the others, which apply just that.
/// One thread, the server's.

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "role/link.hpp"
#include "sync/policy.hpp"

namespace dtrain::role {

/// Payload of `decided`. To workers, who get it before the weights that it leads to: only what is folded.
struct Decision {
  sync::Clock clock = 0;  ///< of the step or, of a block, its last
  bool save = false;      ///< a checkpoint was asked for
  std::vector<sync::Rank> fold;
  std::vector<sync::Release> release;
  std::vector<sync::Rank> empty;  ///< who had nothing for it
};
std::string pack(const Decision& decision);
std::optional<Decision> unpack_decision(std::string_view payload);

class Council {
 public:
  /// `others`: sockets to all other servers, in the order of their ranks.
  Council(Link& link, int rank, int servers, std::size_t workers, std::deque<wire::Socket>& others)
      : link_(link), rank_(rank), servers_(servers), others_(others), arrivals_(workers) {}

  bool decides() const { return rank_ == 0; }

  /// All of a push is here: the other servers' tell server 0. At server 0, the push once it is whole everywhere.
  std::optional<sync::Push> arrived(const sync::Push& push);
  /// Another server says so; nullopt too if the message is none.
  std::optional<sync::Push> take(const wire::Message& message);
  /// Server 0: what it has decided.
  void announce(const Decision& decision);
  void forget(sync::Rank rank) { arrivals_.at(static_cast<std::size_t>(rank)) = {}; }

 private:
  struct Arrival {
    sync::Clock clock = 0;
    std::vector<bool> at;  ///< per server
  };
  std::optional<sync::Push> note(const sync::Push& push, std::size_t server);
  Link& link_;
  int rank_, servers_;
  std::deque<wire::Socket>& others_;
  std::vector<Arrival> arrivals_;  ///< per rank
};

}  // namespace dtrain::role
