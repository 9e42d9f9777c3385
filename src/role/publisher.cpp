#include "role/publisher.hpp"

#include <algorithm>
#include <cassert>

#include "math/clones.hpp"
#include "math/teams.hpp"
#include "plan/packing.hpp"
#include "role/packer.hpp"

namespace dtrain::role {
namespace {

DTRAIN_CLONES void subtract_floats(const float* left, const float* right, float* out, std::size_t count) {
#pragma GCC ivdep
  for (std::size_t k = 0; k < count; ++k) out[k] = left[k] - right[k];
}

}  // namespace

Publisher::Publisher(const plan::Plan& plan, const plan::Slice& slice, int owner, int threads)
    : slice_(slice), threads_(threads) {
  const codec::Options options = plan::change_options(plan.job);
  const auto sender = static_cast<std::uint32_t>(plan.workers + owner);
  for (const plan::Piece& piece : slice_.pieces) {
    const auto count = static_cast<std::size_t>(piece.count);
    Part& part = parts_.emplace_back();
    part.encoder =
        codec::make_encoder(options, {plan.job.seed, sender, static_cast<std::uint64_t>(piece.offset), count});
    part.decoder = codec::make_decoder(options, count);
    part.decoded.resize(count);
    part.most_bytes = codec::most_bytes(options, count);
  }
}

std::optional<Index> Publisher::publish(const Arenas& arenas, const codec::Turn& turn,
                                        std::vector<std::vector<std::byte>>& changes) {
  changes.resize(parts_.size());
  const auto count = static_cast<Index>(parts_.size());
  const int teams = static_cast<int>(std::min<Index>(threads_, count));
  in_teams(teams, [&](int team) {
    const auto end = static_cast<std::size_t>(cut(count, teams, team + 1, 1));
    for (auto p = static_cast<std::size_t>(cut(count, teams, team, 1)); p < end; ++p)
      publish_piece(p, arenas, turn, changes[p]);
  });
  for (std::size_t p = 0; p < parts_.size(); ++p)
    if (parts_[p].failed) return slice_.pieces[p].offset;
  return std::nullopt;
}

std::optional<Index> Publisher::publish(std::size_t piece, const Arenas& arenas, const codec::Turn& turn,
                                        std::vector<std::byte>& change) {
  publish_piece(piece, arenas, turn, change);
  return parts_[piece].failed ? std::optional(slice_.pieces[piece].offset) : std::nullopt;
}

void Publisher::publish_piece(std::size_t piece, const Arenas& arenas, const codec::Turn& turn,
                              std::vector<std::byte>& change) {
  Part& part = parts_[piece];
  const auto begin = static_cast<std::size_t>(slice_.pieces[piece].offset - slice_.begin), count = part.decoded.size();
  const auto before = arenas.before.subspan(begin, count);
  const auto after = arenas.after.subspan(begin, count);
  subtract_floats(arenas.model.data() + begin, before.data(), after.data(), count);
  change.resize(part.most_bytes);
  const auto bytes = part.encoder->encode(after, turn, change);
  // topk would keep what it has not sent, which the difference does already.
  for (const codec::State& kept : part.encoder->state()) std::fill(kept.values.begin(), kept.values.end(), 0.0f);
  part.failed = !bytes;
  if (!bytes) return;
  change.resize(*bytes);
  [[maybe_unused]] const auto refusal = part.decoder->decode(change, part.decoded);
  assert(!refusal);
  add_change(before, part.decoded, after);
}

}  // namespace dtrain::role
