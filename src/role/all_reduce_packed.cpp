/// Where gradients are packed: every part goes straight to its owner, who sends back what became of it, the change of
/// the weights packed too. One's own part is packed like the others', so that all parts learn alike.

#include <cstring>

#include "base/error.hpp"
#include "plan/packing.hpp"
#include "role/all_reduce_role.hpp"
#include "role/role.hpp"

namespace dtrain::role {
namespace {

/// Floats that a message had packed.
collective::Parcel parcel(const wire::Header& header, const float* values, std::shared_ptr<void> keeper) {
  float factor = 1;
  const auto bits = static_cast<std::uint32_t>(header.note);
  if (header.type == wire::Type::partial) std::memcpy(&factor, &bits, sizeof factor);
  const auto begin = static_cast<Index>(header.offset);
  return {{begin, begin + static_cast<Index>(header.count)},
          values,
          factor,
          static_cast<std::uint32_t>(header.due),
          std::move(keeper)};
}

}  // namespace

void AllReduce::make_packers() {
  if (!plan::packs_gradients(plan_)) return;
  const std::vector<plan::Piece>& parts = owner_->slice().pieces;
  const std::uint16_t codec = plan::codec_number(plan_.job);
  packer_.emplace(plan::codec_options(plan_.job), plan_.job.seed, static_cast<std::uint32_t>(rank_), parts,
                  plan::kept_arenas(plan_), plan_.origin());
  gradients_.emplace(plan::codec_options(plan_.job), codec, parts);
  if (plan::packs_changes(plan_)) changes_.emplace(plan::change_options(plan_.job), codec, parts);
}

void AllReduce::begin_packing() {
  const Index applied = owner_->current().applied_rows;
  packer_->begin(clock_, plan::learning_rate(plan_, applied), plan::warmed(plan_, applied));
}

/// Our own parts of a bucket, as the others would see them.
void AllReduce::pack_own(const Lane& lane) {
  const plan::Piece& bucket = lane.bucket().piece;
  for (const plan::Piece& piece : plan_.slices[static_cast<std::size_t>(rank_)].pieces) {
    if (piece.offset < bucket.offset || piece.offset >= bucket.offset + bucket.count) continue;
    const std::size_t index =
        *packer_->find(static_cast<std::uint64_t>(piece.offset), static_cast<std::uint64_t>(piece.count));
    const std::span<float> values =
        gradient_.span().subspan(static_cast<std::size_t>(piece.offset), static_cast<std::size_t>(piece.count));
    if (!gradients_->unpack(index, packed(index, values), values))
      fail(Kind::internal, "what was packed from weight {} on cannot be unpacked", piece.offset);
  }
}

std::span<const std::byte> AllReduce::packed(std::size_t piece, std::span<const float> values) {
  const auto bytes = packer_->pack(piece, values);
  if (!bytes)
    fail(Kind::diverged,
         "the gradient of step {} is not finite beyond weight {} on worker {}, and {} cannot carry that; a lower "
         "train.optimizer.learning_rate or train.clip_norm may help",
         clock_ + 1, packer_->pieces()[piece].offset, rank_, plan::codec_key(plan_.job));
  return *bytes;
}

void AllReduce::send_packed(int to, wire::Header header, std::span<const float> values) {
  header.codec = plan::codec_number(plan_.job);
  others_[static_cast<std::size_t>(to)]->send(link_.self(), header,
                                              packed(packer_->find(header.offset, header.count).value(), values));
}

/// A gradient into memory of its own; a change into the new weights, at once: whoever sends it has our part of the
/// step.
collective::Parcel AllReduce::unpack(const wire::Message& message) {
  const wire::Header& header = message.header;
  const auto piece = packer_ ? packer_->find(header.offset, header.count) : std::nullopt;
  const bool change = header.type == wire::Type::result;
  bool sound = piece && (!change || changes_) && header.codec == plan::codec_number(plan_.job);
  if (sound && change) {
    const std::span<float> place = part_of(owner_->next().weights, header);
    sound = changes_->unpack(*piece, message.bytes(), place);
    follow_change(plan_, static_cast<Index>(header.offset), owner_->current().applied_rows, place,
                  part_of(owner_->current().weights, header), place);
    if (sound) return parcel(header, place.data(), nullptr);
  } else if (sound) {
    const auto values = std::make_shared<std::vector<float>>(header.count);
    if (gradients_->unpack(*piece, message.bytes(), *values)) return parcel(header, values->data(), values);
  }
  fail(Kind::internal, "what worker {} sent of weights {} to {} in step {} cannot be unpacked", header.sender_rank,
       header.offset, header.offset + header.count, header.clock + 1);
}

/// What is kept back of our gradients, to the coordinator.
void AllReduce::send_kept(std::uint64_t ordinal, bool last) {
  Cut cut;
  cut.own = true;
  cut.ordinal = ordinal;
  cut.save = true, cut.last = last;
  cut.clocks = {policy_->released(rank_).clock, 0};
  cut.memory = {packer_->rate()};
  link_.send(wire::Type::cut, pack(cut));
  for (std::size_t p = 0; p < packer_->pieces().size(); ++p)
    for (std::size_t a = 0; a < packer_->arenas(); ++a)
      send_state(packer_->state(a, p), packer_->pieces()[p], a, ordinal, true, kept_in_flight_);
  // The next step changes it.
  await([this] { return kept_in_flight_.idle(); }, Phase::waiting);
}

}  // namespace dtrain::role
