/// What is loaded and saved.

#include "role/all_reduce_role.hpp"
#include "role/role.hpp"

namespace dtrain::role {

std::span<float> AllReduce::place_of(const wire::Header& header, bool own) {
  Owner* const owner = own ? own_.get() : owner_.get();
  if (owner != nullptr && header.slice < owner->arenas()) return part_of(owner->stored(header.slice), header);
  const auto piece = own && packer_ ? packer_->find(header.offset, header.count) : std::nullopt;
  if (!piece || header.slice >= packer_->arenas()) return {};
  return packer_->state(header.slice, *piece);
}

void AllReduce::save_if_due(Index before, Index after, std::uint32_t flags) {
  if (stopped_) return;
  Wanted wanted = wanted_between(before, after);
  wanted.save = wanted.save || ((flags & save_flag) != 0 && after < plan_.total_rows);
  const std::uint64_t kind = (wanted.save ? 2u : 0u) + (wanted.evaluate ? 1u : 0u);
  if (kind > 0) send_snapshot(wanted, rounds_done_ * 4 + kind);
}

/// Between two steps, after all ranks have the same version: what each owns, and what is its own.
void AllReduce::send_snapshot(const Wanted& wanted, std::uint64_t ordinal) {
  Version& version = owner_->current();
  Cut cut;
  cut.ordinal = ordinal;
  cut.evaluate = wanted.evaluate, cut.save = wanted.save, cut.last = wanted.last;
  cut.updates = version.updates;
  cut.applied_rows = version.applied_rows;
  for (int rank = 0; rank < plan_.workers; ++rank) cut.clocks.push_back(policy_->released(rank).clock);
  cut.memory = policy_->memory();
  link_.send(wire::Type::cut, pack(cut));
  for (std::size_t a = 0; a < (wanted.save ? owner_->arenas() : 1); ++a)
    for (const plan::Piece& piece : plan_.slices[static_cast<std::size_t>(rank_)].pieces)
      send_state(part(owner_->stored(a), piece), piece, a, ordinal, false, version.in_flight);
  if (!wanted.save || !plan_.workers_keep()) return;
  own_ ? send_own(ordinal, wanted.last, policy_->released(rank_).clock) : send_kept(ordinal, wanted.last);
}

}  // namespace dtrain::role
