/// What comes from servers and goes to them.

#include <algorithm>
#include <bit>
#include <cstring>

#include "role/role.hpp"
#include "role/worker_role.hpp"

namespace dtrain::role {

/// Where workers step by themselves: until the release that a block begins with says where it ends. A worker's own
/// state comes before that.
bool Worker::await_gate() {
  if (!own_ || since_ != clock_) return true;
  while (!released() || newest_epoch_ > link_.self().epoch) {
    const Lap lap(wait_seconds_);
    poll(100, Phase::waiting);
    drain();
    if (interrupted()) return false;
  }
  return true;
}

bool Worker::have_layers(int first, int last) const {
  if (newest_epoch_ > link_.self().epoch) return false;  // weights of a membership that we have not been told of
  if (since_ != clock_) return true;
  for (std::size_t m = 0; m < servers_.size(); ++m) {
    if (!has_rows_ && servers_[m].released == clock_ + 1) continue;
    const std::vector<plan::Piece>& pieces = plan_.slices[m].pieces;
    for (std::size_t p = 0; p < servers_[m].arrived.size(); ++p) {
      const plan::Piece& piece = pieces[p % pieces.size()];
      if (piece.first_layer <= last && piece.last_layer >= first && servers_[m].arrived[p] != clock_ + 1) return false;
    }
  }
  return true;
}

/// Whether every server has released this rank into step `label` or a later one, with weights or without.
bool Worker::have_all(sync::Clock label) const {
  if (newest_epoch_ > link_.self().epoch) return false;
  return std::all_of(servers_.begin(), servers_.end(), [label](const Inflow& inflow) {
    return inflow.released > label ||
           std::all_of(inflow.arrived.begin(), inflow.arrived.end(), [label](sync::Clock at) { return at > label; });
  });
}

/// What is on its way for certain, even to a run that is to stop.
void Worker::await_all(sync::Clock label) {
  const Lap lap(wait_seconds_);
  while (!have_all(label)) {
    poll(100, Phase::waiting);
    drain();
  }
}

bool Worker::await_layers(int first, int last) {
  while (!have_layers(first, last)) {
    {
      const Lap lap(communicate_seconds_);
      drain();
    }
    if (interrupted() || overtaken()) return false;
    if (have_layers(first, last)) break;
    const Lap lap(wait_seconds_);
    poll(100, Phase::waiting);
  }
  return true;
}

/// Waits until something comes, and says what for.
void Worker::poll(int timeout_ms, Phase phase) {
  wire::Poller poller;
  link_.watch(poller);
  for (Inflow& inflow : servers_) poller.add(inflow.socket);
  learner_.feed().watch(poller);
  if (doors_) doors_->watch(poller);
  if (replica_ && plan_.job.faults.inject.slows_links()) replica_->watch(poller);
  poller.wait(timeout_ms);
  link_.beat(clock_, phase);
}

void Worker::drain() {
  connections_.check();
  learner_.feed().receive();
  if (doors_) drain_doors();
  while (const auto message = link_.receive()) obey(*message);
  for (std::size_t m = 0; m < servers_.size(); ++m)
    while (const auto message = servers_[m].socket.receive(link_.self().nonce)) take(m, *message);
}

void Worker::take(std::size_t server, const wire::Message& message) {
  const wire::Header& header = message.header;
  switch (header.type) {
    case wire::Type::weights: return take_weights(server, message);
    case wire::Type::leave: servers_[server].over = true; return;
    case wire::Type::decided:
      if (auto decision = unpack_decision(message.text())) rounds_.push_back({header.epoch, std::move(*decision)});
      return;
    case wire::Type::load: {
      if (packer_) return load_kept(message);
      const std::size_t arena = header.slice;
      if (!own_ || arena >= own_->arenas() ||
          header.offset + header.count > static_cast<std::uint64_t>(plan_.layout.total))
        return;
      std::memcpy(own_->stored(arena).data() + header.offset, message.data(), message.size());
      state_received_ += message.size();
      return;
    }
    default: return;
  }
}

/// Where the weights of a release go, or the moments that come along.
Arena& Worker::arena_for(sync::Clock label, std::size_t arena) {
  if (!own_) return weights_;
  if (centre_.size() > 0 && label != first_clock_) return centre_;
  return arena == 0 ? own_->current().weights : own_->current().moments[arena - 1];
}

void Worker::take_weights(std::size_t server, const wire::Message& message) {
  const wire::Header& header = message.header;
  Inflow& inflow = servers_[server];
  if (header.epoch < inflow.least_epoch) return;
  newest_epoch_ = std::max(newest_epoch_, header.epoch);
  if (!gate_ || header.clock >= gate_->clock) gate_ = {rank_, header.clock, header.due};
  if (server == 0 && header.note > 0) note_ = header.note;
  if (header.count == 0) {  // a release into a step without rows of ours
    inflow.released = header.clock + 1;
    inflow.released_epoch = header.epoch;
    return;
  }
  const std::vector<plan::Piece>& pieces = plan_.slices[server].pieces;
  if (header.piece >= inflow.arrived.size()) return;
  const plan::Piece& piece = pieces[header.piece % pieces.size()];
  if (header.offset != static_cast<std::uint64_t>(piece.offset) ||
      header.count != static_cast<std::uint64_t>(piece.count))
    return;
  // Fresh weights for a step that has begun with others.
  if (computing_ && header.clock == clock_ && inflow.arrived[header.piece] == clock_ + 1) return;
  const bool own_instead = own_state_ && header.clock == first_clock_;
  if (piece.by_rows) {
    if (!take_rows(message, piece)) return;
  } else if (header.codec != 0)
    take_change(server, message, piece);
  else if (!own_instead)
    std::memcpy(arena_for(header.clock, header.piece / pieces.size()).data() + piece.offset, message.data(),
                message.size());
  inflow.arrived[header.piece] = header.clock + 1;
  inflow.epochs[header.piece] = header.epoch;
}

/// The gradient, or weights, may be written again only when ZeroMQ has let go of them.
void Worker::wait_until_sent(wire::InFlight& sending) {
  const Lap lap(wait_seconds_);
  while (!sending.idle() && !interrupted()) {
    drain();
    if (sending.idle()) return;
    poll(1, Phase::waiting);
  }
}

void Worker::push_gradient(int layer) {
  if (packer_ && layer == static_cast<int>(plan_.layout.layers.size()) - 1) begin_packing();
  for (std::size_t m = 0; m < servers_.size(); ++m) {
    const std::vector<plan::Piece>& pieces = plan_.slices[m].pieces;
    for (std::size_t p = 0; p < pieces.size(); ++p)
      if (pieces[p].first_layer == layer) send_push(m, 0, p, gradient_, sending_);
  }
}

void Worker::send_push(std::size_t server, std::size_t arena, std::size_t piece, const Arena& values,
                       wire::InFlight& sending) {
  const std::vector<plan::Piece>& pieces = plan_.slices[server].pieces;
  const plan::Piece& at = pieces[piece];
  wire::Header header;
  header.type = wire::Type::push;
  header.slice = static_cast<std::uint32_t>(server);
  header.clock = clock_;
  header.piece = static_cast<std::uint32_t>(arena * pieces.size() + piece);
  header.pieces = static_cast<std::uint32_t>(servers_[server].arrived.size());
  header.offset = static_cast<std::uint64_t>(at.offset);
  header.count = static_cast<std::uint64_t>(at.count);
  header.rows = own_ ? since_exchange_.rows : batch_rows_.size();
  if (own_ && since_exchange_.rows > 0)
    header.note = std::bit_cast<std::uint64_t>(since_exchange_.loss / static_cast<double>(since_exchange_.rows));
  const auto numbers = values.span().subspan(static_cast<std::size_t>(at.offset), static_cast<std::size_t>(at.count));
  if (packer_) return send_packed(server, header, numbers);
  if (at.by_rows) return send_rows(server, header, at);
  servers_[server].socket.send_floats(link_.self(), header, numbers, sending);
}

/// A message without payload, about this clock: a push without rows, a mark, a leave.
void Worker::tell_servers(wire::Type type) {
  for (std::size_t m = 0; m < servers_.size(); ++m) {
    wire::Header header;
    header.type = type;
    header.slice = static_cast<std::uint32_t>(m);
    header.clock = clock_;
    servers_[m].socket.send(link_.self(), header, std::string_view());
  }
}

}  // namespace dtrain::role
