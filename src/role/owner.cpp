#include "role/owner.hpp"

#include <algorithm>
#include <array>
#include <atomic>

#include "math/teams.hpp"

namespace dtrain::role {
namespace {

int layer_of(const model::Layout& layout, Index at) {
  const auto found = std::upper_bound(layout.layers.begin(), layout.layers.end(), at,
                                      [](Index weight, const model::Range& range) { return weight < range.end; });
  return static_cast<int>(found - layout.layers.begin());
}

bool decays(const model::Layout& layout, Index at) {
  return std::any_of(layout.decayed.begin(), layout.decayed.end(),
                     [at](const model::Range& r) { return r.begin <= at && at < r.end; });
}

/// All places where a segment must end: blocks, pieces, and where weight decay starts or stops.
std::vector<Index> borders(const plan::Plan& plan, const plan::Slice& slice) {
  std::vector<Index> at{slice.end};
  for (Index b = slice.begin; b < slice.end; b += block_weights) at.push_back(b);
  for (const plan::Piece& piece : slice.pieces) at.push_back(piece.offset);
  for (const model::Range& range : plan.layout.layers)
    if (range.begin > slice.begin && range.begin < slice.end) at.push_back(range.begin);
  for (const model::Range& range : plan.layout.decayed)
    for (const Index b : {range.begin, range.end})
      if (b > slice.begin && b < slice.end) at.push_back(b);
  std::sort(at.begin(), at.end());
  at.erase(std::unique(at.begin(), at.end()), at.end());
  return at;
}

template <class Span>
auto part(Span whole, Index begin, Index count) {
  return whole.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(count));
}

}  // namespace

Owner::Owner(const plan::Plan& plan, int slice, int threads)
    : plan_(plan),
      slice_(plan.slices[static_cast<std::size_t>(slice)]),
      threads_(threads),
      moments_(plan.moments()),
      keeps_previous_(plan.undo_possible()),
      checks_finite_(plan.job.train.on_nonfinite == job::OnNonfinite::stop) {
  const std::vector<Index> at = borders(plan, slice_);
  std::size_t piece = 0;
  for (std::size_t i = 0; i + 1 < at.size(); ++i) {
    while (at[i] >= slice_.pieces[piece].offset + slice_.pieces[piece].count) ++piece;
    segments_.push_back({at[i], at[i + 1], piece, decays(plan.layout, at[i]), layer_of(plan.layout, at[i])});
  }
  current_ = &free_version();
  for (int layer = 0; layer <= static_cast<int>(plan.layout.layers.size()); ++layer)
    layer_segments_.push_back(static_cast<std::size_t>(
        std::count_if(segments_.begin(), segments_.end(), [layer](const Segment& s) { return s.layer < layer; })));
}

Version& Owner::free_version() {
  for (Version& version : versions_)
    if (&version != current_ && (!keeps_previous_ || &version != previous_) && version.in_flight.idle()) return version;
  Version& version = versions_.emplace_back();
  version.weights = Arena(slice_.end - slice_.begin);
  for (int k = 0; k < moments_; ++k) version.moments.emplace_back(slice_.end - slice_.begin);
  return version;
}

std::span<const float> Owner::gradient_of(const Segment& segment, std::span<const Contribution> contributions,
                                          std::span<float> scratch) const {
  const Index offset = segment.begin - slice_.pieces[segment.piece].offset;
  const auto count = static_cast<std::size_t>(segment.end - segment.begin);
  if (contributions.size() == 1 && contributions[0].factor == 1)
    return {contributions[0].pieces[segment.piece] + offset, count};
  std::array<Share, 64> few;
  std::vector<Share> many;
  if (contributions.size() > few.size()) many.resize(contributions.size());
  const std::span<Share> shares =
      many.empty() ? std::span<Share>(few.data(), contributions.size()) : std::span<Share>(many);
  for (std::size_t i = 0; i < contributions.size(); ++i)
    shares[i] = {contributions[i].pieces[segment.piece] + offset, contributions[i].factor};
  fold(shares, scratch.first(count));
  return scratch.first(count);
}

std::vector<double> Owner::squares(std::span<const Contribution> contributions) const {
  alignas(64) std::array<float, block_weights> block;
  alignas(64) std::array<float, block_weights> scratch;
  std::vector<double> sums;
  std::size_t filled = 0;
  for (const Segment& segment : segments_) {
    const std::span<const float> gradient = gradient_of(segment, contributions, scratch);
    std::copy(gradient.begin(), gradient.end(), block.begin() + static_cast<std::ptrdiff_t>(filled));
    filled += gradient.size();
    if (filled < block.size() && segment.end != slice_.end) continue;
    sums.push_back(sum_of_squares(std::span<const float>(block).first(filled)));
    filled = 0;
  }
  return sums;
}

bool Owner::step_segment(const Segment& segment, std::span<const Contribution> contributions,
                         const optim::StepInput& input, const Version& from, Version& to) const {
  alignas(64) std::array<float, block_weights> scratch;
  const Index begin = segment.begin - slice_.begin, count = segment.end - segment.begin;
  const std::span<const float> gradient = gradient_of(segment, contributions, scratch);
  if (checks_finite_ && !all_finite(gradient)) return false;
  std::array<std::span<const float>, optim::max_state> state;
  std::array<std::span<float>, optim::max_state> next;
  for (int k = 0; k < moments_; ++k) {
    const auto slot = static_cast<std::size_t>(k);
    state[slot] = part(from.moments[slot].span(), begin, count);
    next[slot] = part(to.moments[slot].span(), begin, count);
  }
  optim::apply(plan_.job.train.optimizer, input, gradient, segment.decays, part(from.weights.span(), begin, count),
               state.data(), part(to.weights.span(), begin, count), next.data());
  return true;
}

std::optional<Index> Owner::step(std::span<const Contribution> contributions, float factor, Index applied_rows_after) {
  if (contributions.empty()) {
    current_->applied_rows = applied_rows_after;
    return std::nullopt;
  }
  open(factor, applied_rows_after);
  step_segments(contributions, 0, segments_.size());
  return close();
}

void Owner::open(float factor, Index applied_rows_after) {
  next_ = &free_version();
  next_->updates = current_->updates + 1;
  next_->applied_rows = applied_rows_after;
  input_ = {plan::learning_rate(plan_, current_->applied_rows), next_->updates, factor};
  not_finite_ = slice_.end;
}

void Owner::step_layer(std::span<const Contribution> contributions, int layer) {
  const auto l = static_cast<std::size_t>(layer);
  step_segments(contributions, layer_segments_[l], layer_segments_[l + 1]);
}

void Owner::step_segments(std::span<const Contribution> contributions, std::size_t first, std::size_t last) {
  // Waking a team costs more than some blocks of arithmetic.
  const auto count = static_cast<Index>(last - first);
  const int teams = count > 8 ? threads_ : 1;
  in_teams(teams, [&](int team) {
    const auto end = first + static_cast<std::size_t>(cut(count, teams, team + 1, 1));
    for (auto s = first + static_cast<std::size_t>(cut(count, teams, team, 1)); s < end; ++s) {
      if (step_segment(segments_[s], contributions, input_, *current_, *next_)) continue;
      Index seen = not_finite_.load();
      while (segments_[s].begin < seen && !not_finite_.compare_exchange_weak(seen, segments_[s].begin)) {
      }
    }
  });
}

std::optional<Index> Owner::close() {
  if (not_finite_.load() != slice_.end) return not_finite_.load();
  previous_ = current_;
  current_ = next_;
  return std::nullopt;
}

void Owner::undo() {
  current_ = previous_;
  previous_ = nullptr;
}

}  // namespace dtrain::role
