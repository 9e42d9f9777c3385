/// Consistent cuts where each rank goes on by itself: what is saved when all have marked.

#include <algorithm>

#include "role/server_role.hpp"

namespace dtrain::role {

void Server::take_cut_mark(const wire::Message& message) {
  const wire::Header& header = message.header;
  const bool member = header.sender_role == wire::Role::worker && header.sender_rank < members_.size();
  if (!member || header.rows == 0 || !cut_gate_.mark(static_cast<int>(header.sender_rank), header.rows, header.clock))
    return refuse(header);
  for (const int rank : cut_gate_.freed()) arrived(rank);
}

/// When all marks are in and what was pushed below them is applied, and known to a standby: a push may still wait for
/// sums of squares, or until everybody knows of a change of membership.
void Server::proceed_with_cut() {
  if (!cut_gate_.complete() || frozen_ || unkept_ || !pending_.empty() || !waiting_pushes_.empty() ||
      loaded_ < to_load_)
    return;
  const CutGate::Cut cut = cut_gate_.take();
  ledger_.cut(cut.clocks, cut.ordinal);
  send_snapshot({.save = true}, cut.ordinal, resumable(cut.clocks));
  for (const int rank : cut.held) arrived(rank);
}

/// A lost rank's next push, as far as this server can know.
void Server::leave_cuts(int rank) {
  const Member& member = members_.at(static_cast<std::size_t>(rank));
  const bool unapplied = std::any_of(pending_.begin(), pending_.end(), [rank](const Update& update) {
    return !update.ranks.empty() && update.ranks.front() == rank;
  });
  cut_gate_.leave(rank, member.offered && !unapplied ? member.gate.due + 1 : member.gate.clock);
}

}  // namespace dtrain::role
