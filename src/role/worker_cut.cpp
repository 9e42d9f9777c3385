/// Consistent cuts where each rank goes on by itself: a worker's mark, and what it saves of its own with it.

#include "role/worker_role.hpp"

namespace dtrain::role {

/// The cut that is to be marked now, if there is one: between two pushes, and between the changes that two steps make
/// to what is its own. In a replica, whose workers must mark at the same step, the leader says at which.
std::uint64_t Worker::cut_to_mark() const {
  if (committed_ || traits_.gated) return 0;
  if (!replica_ || (replica_->leads() && !entered_)) return cut_wanted_;
  if (replica_->leads()) return 0;
  return finished() ? cut_wanted_ : replica_->marked(clock_);
}

/// Whatever it waits for otherwise; only for its own state, which comes with the answer to its first pull. Whoever
/// joins with nothing kept back has none to wait for: it may be parked until others push, who are held until it has
/// marked.
void Worker::mark_if_due() {
  const std::uint64_t ordinal = cut_to_mark();
  if (ordinal <= marked_cut_) return;
  const bool state_comes = plan_.workers_keep() && (own_ || !joins_);
  if (state_comes && clock_ == first_clock_ && !have_all(clock_)) return;
  marked_cut_ = ordinal;
  if (replica_ && replica_->leads()) replica_->mark(clock_, ordinal);
  for (std::size_t m = 0; m < servers_.size(); ++m) {
    wire::Header header;
    header.type = wire::Type::mark;
    header.slice = static_cast<std::uint32_t>(m);
    header.clock = clock_;
    header.rows = ordinal;
    servers_[m].socket.send(link_.self(), header, std::string_view());
  }
  if (own_)
    save_own(own_->current(), since_exchange_, ordinal, clock_);
  else if (plan_.workers_keep())
    save_kept(ordinal);
}

/// To the coordinator: where this rank is when it saves what is its own, which follows piece by piece.
void Worker::tell_own_cut(std::uint64_t ordinal, std::vector<sync::Clock> clocks, std::vector<double> memory) {
  Cut cut;
  cut.ordinal = ordinal;
  cut.save = cut.own = true;
  cut.last = ordinal == Cut::last_ordinal;
  cut.clocks = std::move(clocks);
  cut.memory = std::move(memory);
  link_.send(wire::Type::cut, pack(cut));
}

/// Of a piece that is about to be sent, by way of the server that has the piece of the weights.
wire::Header Worker::own_piece(std::uint64_t ordinal, std::size_t arena, const plan::Piece& piece) {
  wire::Header header;
  header.type = wire::Type::snapshot;
  header.slice = static_cast<std::uint32_t>(arena);
  header.clock = ordinal;
  header.offset = static_cast<std::uint64_t>(piece.offset);
  header.count = static_cast<std::uint64_t>(piece.count);
  header.rows = static_cast<std::uint64_t>(rank_) + 1;
  state_sent_ += sizeof(float) * header.count;
  return header;
}

}  // namespace dtrain::role
