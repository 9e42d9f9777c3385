#pragma once
/// Clipping by the global norm over several servers: each sends the sums of squares of its blocks to all others and
/// adds up all sums in block order, so that every server has the same bits (ALGORITHMS.md, section 0).
///
/// Owned and used by a server's thread.

#include <compare>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "role/link.hpp"

namespace dtrain::role {

/// Which update a sum belongs to, alike on every server.
struct UpdateKey {
  std::uint32_t epoch = 0;   ///< of the newest loss, where a step that is folded again has new sums; otherwise 0:
                             ///< servers may see an update on different sides of a loss
  std::uint64_t pusher = 0;  ///< whose push it is, plus 1; 0: everybody's
  std::uint64_t clock = 0;
  auto operator<=>(const UpdateKey&) const = default;
};

class Squares {
 public:
  /// `by_epoch`: a step may be folded again after a loss.
  Squares(Link& link, bool by_epoch) : link_(link), by_epoch_(by_epoch) {}

  /// Before any of what follows. `number` of `servers`, among all that have a part of the gradient; `others`: sockets
  /// to them all, which outlive this.
  void begin(int number, int servers, std::vector<wire::Socket*> others) {
    number_ = number, servers_ = servers, others_ = std::move(others);
  }

  /// Tells the others this server's sums, in block order.
  void announce(const UpdateKey& key, std::vector<double> own);
  /// Another server's sums; false if they are none.
  bool take(const wire::Message& message);
  /// The sum over all servers once it is complete.
  std::optional<double> total(const UpdateKey& key) const;
  void forget(const UpdateKey& key) { sums_.erase(key); }

 private:
  std::vector<std::vector<double>>& sums_of(const UpdateKey& key);
  Link& link_;
  int number_ = 0, servers_ = 1;
  std::vector<wire::Socket*> others_;
  bool by_epoch_;
  std::map<UpdateKey, std::vector<std::vector<double>>> sums_;  ///< per server, empty until it has told
};

}  // namespace dtrain::role
