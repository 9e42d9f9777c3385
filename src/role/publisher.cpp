#include "role/publisher.hpp"

#include <algorithm>
#include <cassert>

#include "math/clones.hpp"
#include "math/teams.hpp"
#include "plan/packing.hpp"
#include "sync/policy.hpp"
#include "sync/vote.hpp"

namespace dtrain::role {
namespace {

DTRAIN_CLONES void subtract_floats(const float* left, const float* right, float* out, std::size_t count) {
#pragma GCC ivdep
  for (std::size_t k = 0; k < count; ++k) out[k] = left[k] - right[k];
}

/// With one rounding.
DTRAIN_CLONES void add_floats(const float* values, const float* change, float* out, std::size_t count) {
#pragma GCC ivdep
  for (std::size_t k = 0; k < count; ++k) out[k] = values[k] + change[k];
}

void add_change(std::span<const float> values, std::span<const float> change, std::span<float> out) {
  assert(values.size() == change.size() && values.size() == out.size());
  add_floats(values.data(), change.data(), out.data(), out.size());
}

}  // namespace

Publisher::Publisher(const plan::Plan& plan, const plan::Slice& slice, int owner, int threads)
    : slice_(slice), threads_(threads), votes_(sync::traits(plan.job.sync).votes) {
  const codec::Options options = plan::change_options(plan.job);
  const auto sender = static_cast<std::uint32_t>(plan.workers + owner);
  for (const plan::Piece& piece : slice_.pieces) {
    const auto count = static_cast<std::size_t>(piece.count);
    Part& part = parts_.emplace_back();
    part.encoder = codec::make_encoder(
        options, {plan.job.seed, sender, static_cast<std::uint64_t>(plan.origin() + piece.offset), count});
    part.most_bytes = codec::most_bytes(options, count);
    if (votes_) continue;
    part.decoder = codec::make_decoder(options, count);
    part.decoded.resize(count);
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
  const plan::Piece& at = slice_.pieces[piece];
  const auto begin = static_cast<std::size_t>(at.offset - slice_.begin), count = static_cast<std::size_t>(at.count);
  if (votes_) {
    part.failed = !encode(part, arenas.model.subspan(begin, count), turn, change);
    return;
  }
  const auto before = arenas.before.subspan(begin, count);
  const auto after = arenas.after.subspan(begin, count);
  subtract_floats(arenas.model.data() + begin, before.data(), after.data(), count);
  part.failed = !encode(part, after, turn, change);
  // topk would keep what it has not sent, which the difference does already.
  for (const codec::State& kept : part.encoder->state()) std::fill(kept.values.begin(), kept.values.end(), 0.0f);
  if (part.failed) return;
  [[maybe_unused]] const auto refusal = part.decoder->decode(change, part.decoded);
  assert(!refusal);
  add_change(before, part.decoded, after);
}

bool Publisher::encode(Part& part, std::span<const float> values, const codec::Turn& turn,
                       std::vector<std::byte>& change) {
  change.resize(part.most_bytes);
  const auto bytes = part.encoder->encode(values, turn, change);
  if (bytes) change.resize(*bytes);
  return bytes.has_value();
}

void follow_change(const plan::Plan& plan, Index first, Index applied_rows, std::span<const float> change,
                   std::span<const float> before, std::span<float> after) {
  if (!sync::traits(plan.job.sync).votes) return add_change(before, change, after);
  const auto rate = static_cast<float>(plan::learning_rate(plan, applied_rows));
  const auto decay = static_cast<float>(plan.job.train.optimizer.weight_decay);
  const Index end = first + static_cast<Index>(change.size());
  Index at = first;
  const auto step_to = [&](Index to, float decay_here) {
    const auto from = static_cast<std::size_t>(at - first), count = static_cast<std::size_t>(to - at);
    sync::step_vote(change.subspan(from, count), rate, decay_here, before.subspan(from, count),
                    after.subspan(from, count));
    at = to;
  };
  for (const model::Range& range : plan.layout.decayed) {  // ascending
    step_to(std::clamp(range.begin, at, end), 0);
    step_to(std::clamp(range.end, at, end), decay);
  }
  step_to(end, 0);
}

}  // namespace dtrain::role
