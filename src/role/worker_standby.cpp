/// When a server is lost whose standby takes its place (faults.replicas: 1; role/server_standby.cpp has the whole).
///
/// What came from the lost server stays. A worker asks the standby for what it was released into, and pushes again what
/// the server has not answered: that is still there, since it is written again only when all servers have answered. A
/// gradient is, from the first layer's backward pass of the next step on, which comes after a forward pass through all
/// layers, for which weights of that step must be here from every server. Weights that a worker steps by itself are
/// when the next block's come, piece by piece of the server whose answer these are.

#include <algorithm>
#include <memory>

#include "role/role.hpp"
#include "role/worker_role.hpp"

namespace dtrain::role {

void Worker::take_over(const TakeOver& told) {
  link_.set_epoch(told.epoch);
  const auto m = static_cast<std::size_t>(told.rank);
  Inflow& inflow = servers_.at(m);
  reconnect(inflow, told);
  if (!pulled_) return;
  tell_server(m, wire::Type::pull, clock_);
  push_again(m);
  if (!leaving_) return;
  tell_server(m, wire::Type::leave, clock_);
  save_last_again(m);
}

/// Whoever died while reading a gradient never says that it has read it: the next one is written elsewhere.
void Worker::reconnect(Inflow& inflow, const TakeOver& told) {
  count_traffic(inflow.socket, tally_);
  connections_.forget(told.name);
  inflow.socket.abandon();
  wire::Socket socket = connect_data(link_, plan_, {told.name, told.endpoint, told.key}, identity_, connections_);
  std::destroy_at(&inflow.socket);
  std::construct_at(&inflow.socket, std::move(socket));
  const std::size_t own_pieces =
      own_ ? own_->arenas() * plan_.slices[static_cast<std::size_t>(told.rank)].pieces.size() : 0;
  if (inflow.loaded < own_pieces) inflow.loaded = 0;
  renew_gradient_ = !own_ && !packer_;
}

bool Worker::has_answered(const Inflow& inflow, sync::Clock clock) const {
  return inflow.released > clock + 1 ||
         std::all_of(inflow.arrived.begin(), inflow.arrived.end(), [clock](sync::Clock at) { return at > clock + 1; });
}

/// As far as it was pushed. The standby passes over what it has already.
void Worker::push_again(std::size_t server) {
  if (!pushed_ || has_answered(servers_[server], pushed_->clock)) return;
  if (marked_ == pushed_->clock) tell_server(server, wire::Type::mark, *marked_);
  if (pushed_->rows == 0) return tell_server(server, wire::Type::push, pushed_->clock);
  const std::vector<plan::Piece>& pieces = plan_.slices[server].pieces;
  for (std::size_t i = 0; i < servers_[server].arrived.size(); ++i)
    if (pushed_->version != nullptr || pieces[i % pieces.size()].first_layer >= pushed_->first_layer)
      send_push(server, i / pieces.size(), i % pieces.size());
}

/// What went by way of the lost server to the last checkpoint.
void Worker::save_last_again(std::size_t server) {
  if (last_saved_ != nullptr) send_own(server, *last_saved_, Cut::last_ordinal);
  if (kept_saved_) send_kept(server, Cut::last_ordinal);
}

void Worker::renew_gradient() {
  renew_gradient_ = false;
  gradients_.emplace_back().values = link_.memory().arena(plan_.layout.total);
}

}  // namespace dtrain::role
