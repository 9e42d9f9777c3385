/// Where gradients are packed: what is packed when, what is kept back, and the changes that come back.

#include <algorithm>
#include <cstring>

#include "base/error.hpp"
#include "plan/packing.hpp"
#include "role/role.hpp"
#include "role/worker_role.hpp"

namespace dtrain::role {

void Worker::make_packers() {
  if (!plan::packs_gradients(plan_)) return;
  std::vector<plan::Piece> pieces;
  for (const plan::Slice& slice : plan_.slices) pieces.insert(pieces.end(), slice.pieces.begin(), slice.pieces.end());
  packer_.emplace(plan::codec_options(plan_.job), plan_.job.seed, static_cast<std::uint32_t>(rank_), std::move(pieces),
                  plan::kept_arenas(plan_), plan_.origin());
  if (!plan::packs_changes(plan_)) return;
  for (const plan::Slice& slice : plan_.slices)
    unpackers_.emplace_back(plan::change_options(plan_.job), plan::codec_number(plan_.job), slice.pieces);
}

/// The first layer of this step is about to be packed: what is kept back is as the steps before have left it.
void Worker::begin_packing() {
  save_kept_if_asked();
  const Index applied = traits_.folds_some ? applied_rows_ : plan_.rows_of_steps(static_cast<Index>(clock_));
  packer_->begin(clock_, plan::learning_rate(plan_, applied), plan::warmed(plan_, applied));
}

void Worker::send_packed(std::size_t server, wire::Header header, std::span<const float> values) {
  const std::size_t piece = packer_->find(header.offset, header.count).value();
  auto bytes = packer_->packed(piece);  // of a push that is sent again
  if (!bytes) bytes = packer_->pack(piece, values);
  if (!bytes)
    fail(Kind::diverged,
         "the gradient of step {} is not finite beyond weight {} on worker {}, and {} cannot carry that; a lower "
         "train.optimizer.learning_rate or train.clip_norm may help",
         clock_ + 1, header.offset, rank_, plan::codec_key(plan_.job));
  header.codec = plan::codec_number(plan_.job);
  servers_[server].socket.send(link_.self(), header, *bytes);
}

/// A change leads from the weights of the release before to those of this one.
void Worker::take_change(std::size_t server, const wire::Message& message, const plan::Piece& piece) {
  const wire::Header& header = message.header;
  const bool follows = !unpackers_.empty() && header.clock > 0 && header.codec == unpackers_[server].codec() &&
                       servers_[server].arrived[header.piece] == header.clock;
  const auto change = follows ? unpackers_[server].unpack(header.piece, message.bytes()) : std::nullopt;
  if (!change)
    fail(Kind::internal, "server {} sent a change of weights {}.. into step {} that does not follow on what is here",
         server, piece.offset, header.clock + 1);
  const std::span<float> place = weights_.span().subspan(static_cast<std::size_t>(piece.offset), change->size());
  follow_change(plan_, piece.offset, plan_.rows_of_steps(static_cast<Index>(header.clock) - 1), *change, place, place);
}

void Worker::load_kept(const wire::Message& message) {
  const wire::Header& header = message.header;
  const auto piece = packer_->find(header.offset, header.count);
  if (!piece || header.slice >= packer_->arenas() || clock_ != first_clock_ || pushed_) return;
  std::memcpy(packer_->state(header.slice, *piece).data(), message.data(), message.size());
  state_received_ += message.size();
}

void Worker::save_kept_if_asked() {
  if (note_ == 0 || own_ || !plan_.workers_keep()) return;
  save_kept(note_ - 1);
  note_ = 0;
}

/// To the coordinator, by way of the servers.
void Worker::save_kept(std::uint64_t ordinal) {
  tell_own_cut(ordinal, {clock_, 0}, {packer_->rate()});
  kept_saved_ = ordinal == Cut::last_ordinal;
  for (std::size_t m = 0; m < servers_.size(); ++m) send_kept(m, ordinal);
}

void Worker::send_kept(std::size_t server, std::uint64_t ordinal) {
  for (const plan::Piece& piece : plan_.slices[server].pieces)
    for (std::size_t a = 0; a < packer_->arenas(); ++a) {
      const wire::Header header = own_piece(ordinal, a, piece);
      const std::size_t at = packer_->find(header.offset, header.count).value();
      servers_[server].socket.send(link_.self(), header, std::as_bytes(packer_->state(a, at)));
    }
}

/// The last state. A push that no step of the run has folded is made again by one that is resumed.
void Worker::leave_packed() {
  if (!plan_.workers_keep()) return;
  await_over();
  while (!rounds_.empty()) {
    settle_rounds();
    if (!rounds_.empty()) poll(100, Phase::leaving), drain();
  }
  const bool answered = gate_ && gate_->clock >= clock_;
  if (worklist_)
    packer_->take_back(clock_);
  else if (traits_.gated && clock_ != first_clock_ && !answered)
    packer_->take_back(clock_ - 1);
  save_kept(Cut::last_ordinal);
}

}  // namespace dtrain::role
