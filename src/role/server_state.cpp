/// What a server is loaded with, what it saves, and what passes through it on the way to and from a worker: its own
/// weights and moments, where workers step by themselves.

#include <cstring>

#include "role/role.hpp"
#include "role/server_role.hpp"

namespace dtrain::role {

void Server::take_load(wire::Message message, std::size_t door) {
  const wire::Header& header = message.header;
  if (header.sender_role == wire::Role::coordinator && header.rows > 0) return take_own_load(std::move(message));
  const plan::Slice& slice = owner_.slice();
  const auto begin = static_cast<std::uint64_t>(slice.begin), end = static_cast<std::uint64_t>(slice.end);
  const bool fits = header.slice < owner_.arenas() && header.offset >= begin && header.offset + header.count <= end;
  if (header.sender_role != wire::Role::coordinator || !fits || loaded_ == to_load_) return refuse(message.header);
  coordinator_ = {door, message.peer};
  if (!adopted_)
    std::memcpy(owner_.stored(header.slice).data() + (header.offset - begin), message.data(), message.size());
  if (++loaded_ == to_load_) proceed();
}

/// Kept until the worker pulls, and so tells us where it is.
void Server::take_own_load(wire::Message message) {
  const std::uint64_t rank = message.header.rows - 1;
  if (rank >= members_.size() || !plan_.workers_keep()) return refuse(message.header);
  members_[rank].own_state.push_back(std::move(message));
  if (members_[rank].pulled) hand_own_state(static_cast<int>(rank));
}

void Server::hand_own_state(int rank) {
  Member& member = members_[static_cast<std::size_t>(rank)];
  for (wire::Message& piece : member.own_state)
    doors_[member.route.door].forward(link_.self(), std::move(piece), member.route.peer);
  member.own_state.clear();
}

/// A piece of a worker's own state, on its way to the coordinator.
void Server::take_snapshot(wire::Message message) {
  const wire::Header& header = message.header;
  const bool worker = header.sender_role == wire::Role::worker && header.sender_rank < members_.size() &&
                      header.rows == std::uint64_t{header.sender_rank} + 1;
  if (!worker || !plan_.workers_keep() || coordinator_.peer.empty()) return refuse(header);
  doors_[coordinator_.door].forward(link_.self(), std::move(message), coordinator_.peer);
}

/// Snapshots of one state get the same number on every server: of a gated policy the update says which; of another, of
/// evaluations, how many there were. (Of its cuts the coordinator says it.)
std::uint64_t Server::ordinal_of(const Due& due) {
  const std::size_t kind = (due.save ? 2u : 0u) + (due.evaluate ? 1u : 0u);
  const std::uint64_t count = traits_.gated ? updates_done_ + 1 : ++evaluations_;
  return count * 8 + kind;
}

void Server::send_snapshot(const Due& due, std::uint64_t ordinal, std::vector<sync::Clock> clocks) {
  owner_.catch_up();
  const Version& version = owner_.current();
  Cut cut;
  cut.ordinal = ordinal;
  cut.evaluate = due.evaluate, cut.save = due.save, cut.last = due.last;
  cut.updates = version.updates;
  cut.applied_rows = version.applied_rows;
  cut.clocks = std::move(clocks);
  cut.members = members_to_save(due.last);
  cut.memory = policy_->memory();
  if (worklist_) cut.worklist = worklist_->state();
  link_.send(wire::Type::cut, pack(cut));
  for (std::size_t a = 0; a < (due.save ? owner_.arenas() : 1); ++a) send_arena(a, ordinal);
}

void Server::send_arena(std::size_t arena, std::uint64_t ordinal) {
  const plan::Slice& slice = owner_.slice();
  const std::span<const float> all = std::as_const(owner_.stored(arena)).span();
  for (std::size_t p = 0; p < slice.pieces.size(); ++p) {
    const plan::Piece& piece = slice.pieces[p];
    wire::Header header;
    header.type = wire::Type::snapshot;
    header.slice = static_cast<std::uint32_t>(arena);
    header.clock = ordinal;
    header.piece = static_cast<std::uint32_t>(p);
    header.pieces = static_cast<std::uint32_t>(slice.pieces.size());
    header.offset = static_cast<std::uint64_t>(piece.offset);
    header.count = static_cast<std::uint64_t>(piece.count);
    doors_[coordinator_.door].send_floats(
        link_.self(), header,
        all.subspan(static_cast<std::size_t>(piece.offset - slice.begin), static_cast<std::size_t>(piece.count)),
        owner_.current().in_flight, coordinator_.peer);
  }
}

}  // namespace dtrain::role
