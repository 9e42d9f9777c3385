/// What an update does to one segment: the fold of what was contributed, and the rule that the policy names.

#include <algorithm>
#include <array>

#include "math/signs.hpp"
#include "role/owner.hpp"
#include "sync/update.hpp"

namespace dtrain::role {
namespace {

template <class Span>
auto part(Span whole, Index begin, Index count) {
  return whole.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(count));
}

}  // namespace

std::span<const float> Owner::folded(const Segment& segment, std::span<const Contribution> contributions,
                                     std::span<float> scratch, std::size_t arena) const {
  const std::size_t piece = arena * slice_.pieces.size() + segment.piece;
  const Index offset = segment.begin - slice_.pieces[segment.piece].offset;
  const auto count = static_cast<std::size_t>(segment.end - segment.begin);
  if (contributions.size() == 1 && contributions[0].factor == 1)
    return {contributions[0].pieces[piece] + offset, count};
  std::array<Share, 64> few;
  std::vector<Share> many;
  if (contributions.size() > few.size()) many.resize(contributions.size());
  const std::span<Share> shares =
      many.empty() ? std::span<Share>(few.data(), contributions.size()) : std::span<Share>(many);
  for (std::size_t i = 0; i < contributions.size(); ++i)
    shares[i] = {contributions[i].pieces[piece] + offset, contributions[i].factor};
  fold(shares, scratch.first(count));
  return scratch.first(count);
}

std::vector<double> Owner::squares(std::span<const Contribution> contributions) const {
  alignas(64) std::array<float, block_weights> block;
  alignas(64) std::array<float, block_weights> scratch;
  std::vector<double> sums;
  if (rows_) sums = rows_->squares(contributions);
  std::size_t filled = 0;
  for (const Segment& segment : segments_) {
    const std::span<const float> gradient = folded(segment, contributions, scratch);
    std::copy(gradient.begin(), gradient.end(), block.begin() + static_cast<std::ptrdiff_t>(filled));
    filled += gradient.size();
    if (segment.end % block_weights != 0 && segment.end != slice_.end) continue;
    sums.push_back(sum_of_squares(std::span<const float>(block).first(filled)));
    filled = 0;
  }
  if (sums.empty()) sums.push_back(0);  // nothing was touched here
  return sums;
}

/// This segment of the version that the update starts from: of its weights, or of a moment.
std::span<const float> Owner::before(const Segment& segment, int moment) const {
  const Arena& arena = moment < 0 ? current_->weights : current_->moments[static_cast<std::size_t>(moment)];
  return part(arena.span(), segment.begin - slice_.begin, segment.end - segment.begin);
}

std::span<float> Owner::after(const Segment& segment, int moment) {
  Arena& arena = moment < 0 ? next_->weights : next_->moments[static_cast<std::size_t>(moment)];
  return part(arena.span(), segment.begin - slice_.begin, segment.end - segment.begin);
}

bool Owner::step_segment(const Segment& segment, std::span<const Contribution> contributions) {
  alignas(64) std::array<float, block_weights> scratch;
  const std::span<const float> fold = folded(segment, contributions, scratch);
  if (checks_finite_ && !all_finite(fold)) return false;
  std::visit([&](const auto& rule) { apply(rule, segment, fold); }, update_);
  return true;
}

void Owner::apply(const sync::OptimizerStep&, const Segment& segment, std::span<const float> fold) {
  alignas(64) std::array<float, block_weights> scratch;
  const std::span<const float> gradient = age_.pulled ? compensated(segment, fold, scratch) : fold;
  std::array<std::span<const float>, optim::max_state> state;
  std::array<std::span<float>, optim::max_state> next;
  for (int k = 0; k < plan_.moments(); ++k) {
    state[static_cast<std::size_t>(k)] = before(segment, k);
    next[static_cast<std::size_t>(k)] = after(segment, k);
  }
  optim::apply(plan_.job.train.optimizer, input_, gradient, segment.decays, before(segment, stepped_), state.data(),
               after(segment, stepped_), next.data());
}

/// The gradient as it might be where the weights are now (Zheng et al. 2017).
std::span<const float> Owner::compensated(const Segment& segment, std::span<const float> gradient,
                                          std::span<float> scratch) {
  const auto lambda = static_cast<float>(plan_.job.sync.lambda);
  const std::span<float> out = scratch.first(gradient.size());
  const std::span<const float> pulled =
      part(age_.pulled->weights.span(), segment.begin - slice_.begin, segment.end - segment.begin);
  if (plan_.job.sync.adaptive_lambda)
    sync::compensate_delay(lambda, gradient, before(segment), pulled, before(segment, plan_.moments()),
                           after(segment, plan_.moments()), out);
  else
    sync::compensate_delay(lambda, gradient, before(segment), pulled, out);
  return out;
}

void Owner::apply(const sync::Vote&, const Segment& segment, std::span<const float> sums) {
  alignas(64) std::array<float, block_weights> scratch;
  const std::span<float> votes = votes_.size() > 0
                                     ? part(votes_.span(), segment.begin - slice_.begin, segment.end - segment.begin)
                                     : std::span<float>(scratch).first(sums.size());
  signs_of(sums, {input_.step, plan_.origin() + segment.begin}, votes);
  follow_change(plan_, segment.begin, current_->applied_rows, votes, before(segment), after(segment));
}

void Owner::apply(const sync::Average&, const Segment& segment, std::span<const float> average) {
  std::copy(average.begin(), average.end(), after(segment).begin());
}

void Owner::apply(const sync::Elastic& rule, const Segment& segment, std::span<const float> pushed) {
  sync::pull_centre(rule, pushed, before(segment), after(segment));
}

void Owner::apply(const sync::Block& rule, const Segment& segment, std::span<const float> average) {
  const int change = moments_ - 2, model = moments_ - 1;
  sync::step_block(rule, average, before(segment), before(segment, change), before(segment, model), after(segment),
                   after(segment, change), after(segment, model));
}

/// Where workers send their optimizers' moments along, those are averaged too.
void Owner::average_moments(const Segment& segment, std::span<const Contribution> contributions) {
  const std::size_t arenas = contributions.front().pieces.size() / slice_.pieces.size();
  for (std::size_t a = 1; a < arenas; ++a) average_moment(segment, contributions, a);
}

void Owner::average_moment(const Segment& segment, std::span<const Contribution> contributions, std::size_t arena) {
  const std::span<float> out = after(segment, static_cast<int>(arena) - 1);
  const std::span<const float> average = folded(segment, contributions, out, arena);
  if (average.data() != out.data()) std::copy(average.begin(), average.end(), out.begin());
}

}  // namespace dtrain::role
