#include "role/packer.hpp"

#include <algorithm>
#include <cassert>

namespace dtrain::role {

Packer::Packer(const codec::Options& options, std::uint64_t seed, std::uint32_t sender, std::vector<plan::Piece> pieces,
               int arenas, Index origin)
    : pieces_(std::move(pieces)), arenas_(static_cast<std::size_t>(arenas)) {
  for (const plan::Piece& piece : pieces_) {
    const auto count = static_cast<std::size_t>(piece.count);
    Part& part = parts_.emplace_back();
    part.encoder =
        codec::make_encoder(options, {seed, sender, static_cast<std::uint64_t>(origin + piece.offset), count});
    part.bytes.resize(codec::most_bytes(options, count));
    part.before.assign(arenas_, std::vector<float>(count));
    assert(part.encoder->state().size() == arenas_);
  }
}

void Packer::begin(std::uint64_t step, double rate, double warmed) {
  turn_ = {step, codec::rescaling(rate_, rate), warmed};
  rate_before_ = rate_;
  rate_ = rate;
  for (Part& part : parts_) part.packed = false;
}

std::optional<std::span<const std::byte>> Packer::pack(std::size_t piece, std::span<const float> values) {
  Part& part = parts_[piece];
  assert(!part.packed);
  for (std::size_t a = 0; a < arenas_; ++a) {
    const std::span<const float> kept = state(a, piece);
    std::copy(kept.begin(), kept.end(), part.before[a].begin());
  }
  part.packed = true;
  const auto bytes = part.encoder->encode(values, turn_, part.bytes);
  if (!bytes) return std::nullopt;
  part.filled = *bytes;
  return std::span<const std::byte>(part.bytes).first(*bytes);
}

std::optional<std::span<const std::byte>> Packer::packed(std::size_t piece) const {
  const Part& part = parts_[piece];
  if (!part.packed) return std::nullopt;
  return std::span<const std::byte>(part.bytes).first(part.filled);
}

void Packer::take_back(std::uint64_t step) {
  if (turn_.step != step) return;
  bool any = false;
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    if (!parts_[p].packed) continue;
    for (std::size_t a = 0; a < arenas_; ++a)
      std::copy(parts_[p].before[a].begin(), parts_[p].before[a].end(), state(a, p).begin());
    parts_[p].packed = false;
    any = true;
  }
  if (any) rate_ = rate_before_;
}

std::span<float> Packer::state(std::size_t arena, std::size_t piece) {
  return parts_[piece].encoder->state()[arena].values;
}

std::optional<std::size_t> Packer::find(std::uint64_t offset, std::uint64_t count) const {
  for (std::size_t p = 0; p < pieces_.size(); ++p)
    if (static_cast<std::uint64_t>(pieces_[p].offset) == offset &&
        static_cast<std::uint64_t>(pieces_[p].count) == count)
      return p;
  return std::nullopt;
}

Unpacker::Unpacker(const codec::Options& options, std::uint16_t codec, std::span<const plan::Piece> pieces)
    : codec_(codec) {
  std::size_t most = 0;
  for (const plan::Piece& piece : pieces) {
    decoders_.push_back(codec::make_decoder(options, static_cast<std::size_t>(piece.count)));
    counts_.push_back(static_cast<std::size_t>(piece.count));
    most = std::max(most, counts_.back());
  }
  scratch_.resize(most);
}

bool Unpacker::unpack(std::size_t piece, std::span<const std::byte> bytes, std::span<float> out) {
  return !decoders_[piece]->decode(bytes, out).has_value();
}

std::optional<std::span<const float>> Unpacker::unpack(std::size_t piece, std::span<const std::byte> bytes) {
  const std::span<float> out = std::span(scratch_).first(counts_[piece]);
  return unpack(piece, bytes, out) ? std::optional<std::span<const float>>(out) : std::nullopt;
}

}  // namespace dtrain::role
