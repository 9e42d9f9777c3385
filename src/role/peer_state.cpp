/// What is loaded and saved.

#include <cstring>

#include "role/peer_role.hpp"
#include "role/role.hpp"

namespace dtrain::role {

void Peer::await_load(const Start& start) {
  const auto total = static_cast<std::uint64_t>(plan_.layout.total);
  to_load_ = total * owner_.arenas();
  if (own_ && !start.own_updates.empty()) to_load_ += total * own_->arenas();
  const Lap lap(wait_seconds_);
  while (loaded_ < to_load_) {
    poll(100, Phase::waiting);
    drain();
  }
  if (own_ && start.own_updates.empty())
    std::copy_n(owner_.current().weights.data(), plan_.layout.total, own_->current().weights.data());
}

/// Everybody is sent everything: the weights are needed whole, and who owns which moments is not the sender's to know.
void Peer::take_load(const wire::Message& message) {
  const wire::Header& header = message.header;
  const auto total = static_cast<std::uint64_t>(plan_.layout.total);
  const bool own = header.rows == static_cast<std::uint64_t>(rank_) + 1;
  if ((header.rows > 0 && !(own && own_)) || header.offset + header.count > total) return;
  Owner& owner = own ? *own_ : owner_;
  if (header.slice >= owner.arenas()) return;
  std::memcpy(owner.stored(header.slice).data() + header.offset, message.data(), message.size());
  loaded_ += header.count;
  aside_received_ += message.size();
}

void Peer::save_if_due(Index before, Index after, std::uint32_t flags) {
  if (after >= plan_.total_rows || stopped_) return;
  const Wanted wanted{
      .evaluate = plan_.facts.test_rows > 0 && plan::due(plan_, plan_.job.train.evaluate, before, after),
      .save = (flags & save_flag) != 0 || plan::due(plan_, plan_.job.checkpoint.every, before, after)};
  const std::uint64_t kind = (wanted.save ? 2u : 0u) + (wanted.evaluate ? 1u : 0u);
  if (kind > 0) send_snapshot(wanted, rounds_done_ * 4 + kind);
}

/// Between two steps, after all ranks have the same version: what each owns, and what is its own.
void Peer::send_snapshot(const Wanted& wanted, std::uint64_t ordinal) {
  Version& version = owner_.current();
  Cut cut;
  cut.ordinal = ordinal;
  cut.evaluate = wanted.evaluate, cut.save = wanted.save, cut.last = wanted.last;
  cut.updates = version.updates;
  cut.applied_rows = version.applied_rows;
  for (int rank = 0; rank < plan_.workers; ++rank) cut.clocks.push_back(policy_->released(rank).clock);
  cut.memory = policy_->memory();
  link_.send(wire::Type::cut, pack(cut));
  for (std::size_t a = 0; a < (wanted.save ? owner_.arenas() : 1); ++a)
    for (const plan::Piece& piece : plan_.slices[static_cast<std::size_t>(rank_)].pieces)
      send_arena(owner_.stored(a), piece, a, ordinal, false, version.in_flight);
  if (own_ && wanted.save) send_own(ordinal, wanted.last);
}

void Peer::send_own(std::uint64_t ordinal, bool last) {
  Version& version = own_->current();
  Cut cut;
  cut.own = true;
  cut.ordinal = ordinal;
  cut.save = true, cut.last = last;
  cut.clocks = {policy_->released(rank_).clock, version.updates};
  cut.memory = {0, 0};
  link_.send(wire::Type::cut, pack(cut));
  for (std::size_t a = 0; a < own_->arenas(); ++a)
    for (const plan::Slice& slice : plan_.slices)
      for (const plan::Piece& piece : slice.pieces)
        send_arena(own_->stored(a), piece, a, ordinal, true, version.in_flight);
}

void Peer::send_arena(const Arena& arena, const plan::Piece& piece, std::size_t index, std::uint64_t ordinal, bool own,
                      wire::InFlight& in_flight) {
  wire::Header header;
  header.type = wire::Type::snapshot;
  header.slice = static_cast<std::uint32_t>(index);
  header.clock = ordinal;
  header.offset = static_cast<std::uint64_t>(piece.offset);
  header.count = static_cast<std::uint64_t>(piece.count);
  header.rows = own ? static_cast<std::uint64_t>(rank_) + 1 : 0;
  aside_sent_ += 4 * header.count;
  doors_[coordinator_.door].send_floats(
      link_.self(), header,
      arena.span().subspan(static_cast<std::size_t>(piece.offset), static_cast<std::size_t>(piece.count)), in_flight,
      coordinator_.peer);
}

}  // namespace dtrain::role
