/// What comes from servers and goes to them.

#include <algorithm>
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

/// Where workers step by themselves, what answers the push that a step began with may come before its layers are done.
bool Worker::have_layers(int first, int last) const {
  if (newest_epoch_ > link_.self().epoch) return false;  // weights of a membership that we have not been told of
  if (since_ != clock_) return true;
  const auto here = [this](sync::Clock arrived) { return own_ ? arrived > clock_ : arrived == clock_ + 1; };
  for (std::size_t m = 0; m < servers_.size(); ++m) {
    if (!has_rows_ && servers_[m].released == clock_ + 1) continue;
    const std::vector<plan::Piece>& pieces = plan_.slices[m].pieces;
    for (std::size_t p = 0; p < servers_[m].arrived.size(); ++p) {
      const plan::Piece& piece = pieces[p % pieces.size()];
      if (piece.first_layer <= last && piece.last_layer >= first && !here(servers_[m].arrived[p])) return false;
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
  if (replica_ && link_.keeps_data()) replica_->watch(poller);
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
  mark_if_due();
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
      const std::size_t most = own_ ? own_->arenas() * plan_.slices[server].pieces.size() : 0;
      if (!own_ || arena >= own_->arenas() || servers_[server].loaded == most ||
          header.offset + header.count > static_cast<std::uint64_t>(plan_.layout.total))
        return;
      ++servers_[server].loaded;
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
  if (traits_.folds_some && !worklist_ && header.clock >= clock_) {
    Applied& applied = applied_before_[header.clock];
    if (header.epoch >= applied.epoch) applied = {static_cast<Index>(header.rows), header.epoch};
  }
  if (!gate_ || header.clock >= gate_->clock) gate_ = {rank_, header.clock, header.due};
  if (server == 0 && header.note > 0 && header.note != last_note_) note_ = last_note_ = header.note;
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
  // A block that has begun goes on with what it has; a standby tells again what its server may have told.
  if (own_ && inflow.arrived[header.piece] > header.clock) return;
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

/// The gradient may be written again only when ZeroMQ and its readers have let go of it; a server that was lost never
/// does.
void Worker::wait_until_sent() {
  const Lap lap(wait_seconds_);
  for (;;) {
    if (renew_gradient_) renew_gradient();
    if (gradients_.back().in_flight.idle() || interrupted()) return;
    drain();
    if (!renew_gradient_ && !gradients_.back().in_flight.idle()) poll(1, Phase::waiting);
  }
}

void Worker::push_gradient(int layer) {
  committed_ = !traits_.gated;
  if (layer == static_cast<int>(plan_.layout.layers.size()) - 1) {
    if (packer_) begin_packing();
    pushed_ = Pushed{.clock = clock_, .rows = batch_rows_.size(), .gradient = &gradients_.back()};
  }
  pushed_->first_layer = layer;
  for (std::size_t m = 0; m < servers_.size(); ++m) {
    const std::vector<plan::Piece>& pieces = plan_.slices[m].pieces;
    for (std::size_t p = 0; p < pieces.size(); ++p)
      if (pieces[p].first_layer == layer) send_push(m, 0, p);
  }
}

/// Of the newest push.
void Worker::send_push(std::size_t server, std::size_t arena, std::size_t piece) {
  const std::vector<plan::Piece>& pieces = plan_.slices[server].pieces;
  const plan::Piece& at = pieces[piece];
  wire::Header header;
  header.type = wire::Type::push;
  header.slice = static_cast<std::uint32_t>(server);
  header.clock = pushed_->clock;
  header.piece = static_cast<std::uint32_t>(arena * pieces.size() + piece);
  header.pieces = static_cast<std::uint32_t>(servers_[server].arrived.size());
  header.offset = static_cast<std::uint64_t>(at.offset);
  header.count = static_cast<std::uint64_t>(at.count);
  header.rows = pushed_->rows;
  header.note = pushed_->note;
  Version* const version = pushed_->version;
  const Arena& values = version == nullptr ? pushed_->gradient->values
                        : arena == 0       ? version->weights
                                           : version->moments[arena - 1];
  const auto numbers = values.span().subspan(static_cast<std::size_t>(at.offset), static_cast<std::size_t>(at.count));
  if (packer_) return send_packed(server, header, numbers);
  if (at.by_rows) return send_rows(server, header, at);
  servers_[server].socket.send_floats(link_.self(), header, numbers,
                                      version != nullptr ? version->in_flight : pushed_->gradient->in_flight);
}

/// A message without payload, about this clock: a push without rows, a mark, a leave.
void Worker::tell_servers(wire::Type type) {
  for (std::size_t m = 0; m < servers_.size(); ++m) tell_server(m, type, clock_);
}

void Worker::tell_server(std::size_t server, wire::Type type, sync::Clock clock) {
  wire::Header header;
  header.type = type;
  header.slice = static_cast<std::uint32_t>(server);
  header.clock = clock;
  if (type == wire::Type::leave && joins_) header.rows = 1;
  servers_[server].socket.send(link_.self(), header, std::string_view());
}

}  // namespace dtrain::role
