#include "role/owner.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

#include "job/resolve.hpp"
#include "math/teams.hpp"
#include "plan/packing.hpp"
#include "sync/gossip.hpp"
#include "sync/policy.hpp"

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

}  // namespace

Owner::Owner(const plan::Plan& plan, int slice, int threads, MakeArena make)
    : Owner(plan, plan.slices[static_cast<std::size_t>(slice)], sync::update_of(plan.job.sync), plan.server_arenas(),
            threads, std::move(make)) {
  if (plan::packs_changes(plan)) start_publishing(slice_, slice);
  if (plan.sparse == plan::Sparse::rows) rows_ = std::make_unique<RowStepper>(plan, slice_, threads);
}

Owner Owner::of_worker(const plan::Plan& plan, int threads, MakeArena make) {
  plan::Slice whole{0, plan.layout.total, {{0, plan.layout.total, 0, 0}}};
  return Owner(plan, std::move(whole), sync::OptimizerStep{}, plan.moments(), threads, std::move(make));
}

/// All parts of all workers, as they lie.
plan::Slice Owner::all_parts(const plan::Plan& plan) {
  plan::Slice whole{0, plan.layout.total, {}};
  for (const plan::Slice& slice : plan.slices)
    whole.pieces.insert(whole.pieces.end(), slice.pieces.begin(), slice.pieces.end());
  std::sort(whole.pieces.begin(), whole.pieces.end(),
            [](const plan::Piece& a, const plan::Piece& b) { return a.offset < b.offset; });
  return whole;
}

Owner::Owner(const plan::Plan& plan, Parts parts, int threads, MakeArena make)
    : Owner(plan, all_parts(plan), sync::update_of(plan.job.sync), plan.server_arenas(), threads, std::move(make),
            true) {
  if (plan::packs_changes(plan)) start_publishing(plan.slices[static_cast<std::size_t>(parts.of)], parts.of);
}

void Owner::start_publishing(plan::Slice published, int owner) {
  published_ = std::move(published);
  publisher_ = std::make_unique<Publisher>(plan_, published_, owner, threads_);
  if (plan::keeps_model_apart(plan_))
    stepped_ = moments_ - 1;
  else
    votes_ = Arena(slice_.end - slice_.begin);
}

Owner::Owner(const plan::Plan& plan, plan::Slice slice, sync::Update update, int moments, int threads, MakeArena make,
             bool by_pieces)
    : plan_(plan),
      slice_(std::move(slice)),
      update_(update),
      threads_(threads),
      make_(std::move(make)),
      moments_(moments),
      keeps_previous_(plan.undo_possible() || sync::traits(plan.job.sync).weights),
      checks_finite_(plan.job.train.on_nonfinite == job::OnNonfinite::stop),
      by_pieces_(by_pieces) {
  const std::vector<Index> at = borders(plan, slice_);
  std::size_t piece = 0;
  for (std::size_t i = 0; i + 1 < at.size(); ++i) {
    while (at[i] >= slice_.pieces[piece].offset + slice_.pieces[piece].count) ++piece;
    if (slice_.pieces[piece].by_rows) continue;
    segments_.push_back({at[i], at[i + 1], piece, decays(plan.layout, at[i]), layer_of(plan.layout, at[i])});
  }
  if (plan.job.sync.compensation == job::Compensation::delay) held_.resize(static_cast<std::size_t>(plan.places()));
  current_ = previous_ = &free_version();
  for (int layer = 0; layer <= static_cast<int>(plan.layout.layers.size()); ++layer)
    layer_segments_.push_back(static_cast<std::size_t>(
        std::count_if(segments_.begin(), segments_.end(), [layer](const Segment& s) { return s.layer < layer; })));
}

Arena& Owner::stored(Version& version, std::size_t arena) const {
  // Where the model and what is published are two, they change places.
  const std::size_t last = apart() ? version.moments.size() : 0;
  if (arena == 0) return last > 0 ? version.moments[last - 1] : version.weights;
  return last > 0 && arena == last ? version.weights : version.moments[arena - 1];
}

void Owner::hold(int rank) {
  if (!held_.empty()) held_[static_cast<std::size_t>(rank)] = current_;
}

const Version* Owner::held(int rank) const { return held_.empty() ? nullptr : held_[static_cast<std::size_t>(rank)]; }

Age Owner::age(int rank, std::uint64_t staleness) const {
  const job::Compensation how = plan_.job.sync.compensation;
  if (how == job::Compensation::none || !job::applies_each_push(plan_.job.sync)) return {};
  if (how == job::Compensation::delay) return {1, held(rank)};
  return {1 / std::max(1.0, static_cast<double>(staleness)), nullptr};
}

float Owner::rate_share(std::uint64_t rows) const {
  if (plan_.job.sync.rate == job::Rate::full || !job::applies_each_push(plan_.job.sync)) return 1;
  return static_cast<float>(static_cast<double>(rows) / static_cast<double>(plan_.job.train.batch));
}

bool Owner::in_use(const Version& version) const {
  return &version == current_ || (keeps_previous_ && &version == previous_) || !version.in_flight.idle() ||
         std::count(held_.begin(), held_.end(), &version) > 0 ||
         std::count(answers_.begin(), answers_.end(), &version) > 0;
}

Version& Owner::free_version() {
  for (Version& version : versions_)
    if (!in_use(version)) return version;
  Version& version = versions_.emplace_back();
  const Index count = slice_.end - slice_.begin;
  const int travel = plan_.job.faults.replicas > 0 ? 1 + moments_ : plan_.exchanged_arenas();
  const auto arena = [&](int index) { return make_ && index < travel ? make_(count) : Arena(count); };
  version.weights = arena(0);
  for (int k = 0; k < moments_; ++k) version.moments.push_back(arena(k + 1));
  return version;
}

std::optional<Index> Owner::step(std::span<const Contribution> contributions, float factor, Index applied_rows_after,
                                 const Age& age) {
  if (contributions.empty()) {
    current_->applied_rows = applied_rows_after;
    current_->changes.clear();
    return std::nullopt;
  }
  open(factor, applied_rows_after, age);
  if (rows_)
    if (const auto bad = rows_->step(*next_, contributions, input_)) return bad;
  step_segments(contributions, 0, segments_.size());
  return close();
}

std::optional<Index> Owner::step_clipped(std::span<const Contribution> contributions, Index applied_rows_after,
                                         const std::function<double(double)>& whole) {
  double total = 0;
  for (const double sum : squares(contributions)) total += sum;
  if (whole) total = whole(total);
  return step(contributions, optim::clip_factor(plan_.job.train.clip_norm, total), applied_rows_after);
}

/// Where only some rows are stepped, the version itself or, while it is read, a copy.
Version& Owner::next_version() {
  if (!rows_) return free_version();
  if (current_->in_flight.idle()) return *current_;
  Version& copy = free_version();
  const auto fill = [](const Arena& from, Arena& to) { std::copy(from.span().begin(), from.span().end(), to.data()); };
  fill(current_->weights, copy.weights);
  for (std::size_t k = 0; k < copy.moments.size(); ++k) fill(current_->moments[k], copy.moments[k]);
  copy.updates = current_->updates;
  copy.applied_rows = current_->applied_rows;
  current_ = previous_ = &copy;
  return copy;
}

void Owner::catch_up() {
  if (rows_) rows_->catch_up(*current_);
}

void Owner::open(float factor, Index applied_rows_after, const Age& age) {
  next_ = &next_version();
  const std::uint64_t updates = current_->updates + 1;
  input_ = {plan::learning_rate(plan_, current_->applied_rows) * age.rate_factor, updates, factor};
  next_->updates = updates;
  next_->applied_rows = applied_rows_after;
  age_ = age;
  not_finite_ = slice_.end;
  if (by_pieces_ && publisher_) next_->changes.assign(slice_.pieces.size(), {});
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
      if (step_segment(segments_[s], contributions)) {
        if (!by_pieces_) average_moments(segments_[s], contributions);
        continue;
      }
      Index seen = not_finite_.load();
      while (segments_[s].begin < seen && !not_finite_.compare_exchange_weak(seen, segments_[s].begin)) {
      }
    }
  });
}

std::size_t Owner::piece_at(Index offset) const {
  const auto found = std::lower_bound(slice_.pieces.begin(), slice_.pieces.end(), offset,
                                      [](const plan::Piece& piece, Index at) { return piece.offset < at; });
  return static_cast<std::size_t>(found - slice_.pieces.begin());
}

std::span<const Contribution> Owner::contributions_of(std::size_t place, std::span<const Share> shares) {
  if (one_piece_.size() < shares.size()) one_piece_.resize(shares.size());
  for (std::size_t i = 0; i < shares.size(); ++i) {
    Contribution& one = one_piece_[i];
    one.pieces.resize(slice_.pieces.size() * static_cast<std::size_t>(plan_.exchanged_arenas()));
    one.pieces[place] = shares[i].data;
    one.factor = shares[i].factor;
  }
  return std::span<const Contribution>(one_piece_).first(shares.size());
}

std::span<const Owner::Segment> Owner::segments_of(std::size_t piece) const {
  const auto range = std::equal_range(segments_.begin(), segments_.end(), Segment{0, 0, piece, false, 0},
                                      [](const Segment& a, const Segment& b) { return a.piece < b.piece; });
  return {range.first, range.second};
}

void Owner::step_piece(Index offset, std::size_t arena, std::span<const Share> shares) {
  const std::size_t piece = piece_at(offset);
  const std::span<const Segment> segments = segments_of(piece);
  if (shares.empty()) return keep_piece(slice_.pieces[piece], arena);
  const auto contributions = contributions_of(arena * slice_.pieces.size() + piece, shares);
  if (arena > 0) {
    for (const Segment& segment : segments) average_moment(segment, contributions, arena);
    return;
  }
  const auto first = static_cast<std::size_t>(segments.data() - segments_.data());
  step_segments(contributions, first, first + segments.size());
  if (publisher_) publish_piece(piece);
}

/// One of our own parts.
void Owner::publish_piece(std::size_t piece) {
  const Index offset = slice_.pieces[piece].offset;
  const auto own = std::lower_bound(published_.pieces.begin(), published_.pieces.end(), offset,
                                    [](const plan::Piece& p, Index at) { return p.offset < at; });
  const auto index = static_cast<std::size_t>(own - published_.pieces.begin());
  if (publisher_->publish(index, changing(), change_turn(), next_->changes[piece])) not_finite_ = offset;
}

/// Nobody had anything for it.
void Owner::keep_piece(const plan::Piece& piece, std::size_t arena) {
  const auto copy = [&](const Arena& from, Arena& to) {
    std::copy_n(from.data() + piece.offset - slice_.begin, piece.count, to.data() + piece.offset - slice_.begin);
  };
  if (arena == 0) copy(current_->weights, next_->weights);
  for (std::size_t k = 0; k < next_->moments.size(); ++k)
    if (arena == 0 || arena == k + 1) copy(current_->moments[k], next_->moments[k]);
}

void Owner::add_squares(Index offset, std::span<const Share> shares, std::vector<double>& sums) {
  alignas(64) std::array<float, block_weights> scratch;
  const std::size_t piece = piece_at(offset);
  if (shares.empty()) return;
  const auto contributions = contributions_of(piece, shares);
  for (const Segment& segment : segments_of(piece))
    sums.push_back(sum_of_squares(folded(segment, contributions, scratch)));
}

std::optional<Index> Owner::not_finite() const {
  const Index first = not_finite_.load();
  return first == slice_.end ? std::nullopt : std::optional(first);
}

std::optional<Index> Owner::close() {
  if (const auto bad = not_finite()) return bad;
  if (const auto bad = by_pieces_ ? std::nullopt : publish()) return bad;
  previous_ = current_;
  current_ = next_;
  return std::nullopt;
}

std::optional<Index> Owner::publish() {
  if (!publisher_) return std::nullopt;
  return publisher_->publish(changing(), change_turn(), next_->changes);
}

Publisher::Arenas Owner::changing() const {
  if (votes_.size() > 0) return {votes_.span(), {}, {}};
  return {std::as_const(next_->moments.back()).span(), std::as_const(current_->weights).span(), next_->weights.span()};
}

codec::Turn Owner::change_turn() const { return {next_->updates, 1, plan::warmed(plan_, current_->applied_rows)}; }

void Owner::average_with(std::span<const plan::Piece> pieces, const std::vector<const float*>& theirs) {
  Version& mean = free_version();
  for (std::size_t p = 0; p < pieces.size(); ++p) {
    const auto begin = static_cast<std::size_t>(pieces[p].offset - slice_.begin);
    const auto count = static_cast<std::size_t>(pieces[p].count);
    sync::average_pair(std::as_const(current_->weights).span().subspan(begin, count), {theirs[p], count},
                       mean.weights.span().subspan(begin, count));
  }
  std::swap(mean.moments, current_->moments);
  mean.updates = current_->updates;
  mean.applied_rows = current_->applied_rows;
  previous_ = current_ = &mean;
}

void Owner::adopt(Version& received, std::uint64_t updates, Index applied_rows) {
  received.updates = updates;
  received.applied_rows = applied_rows;
  received.changes.clear();
  previous_ = current_;
  current_ = &received;
}

void Owner::keep_answer(int rank, bool updated) {
  if (plan_.job.sync.policy != job::PolicyName::easgd) return;
  answers_.resize(static_cast<std::size_t>(plan_.workers));
  answers_[static_cast<std::size_t>(rank)] = updated ? previous_ : nullptr;
}

Version& Owner::take_answer(int rank) {
  Version* answer = answers_.empty() ? nullptr : std::exchange(answers_[static_cast<std::size_t>(rank)], nullptr);
  return answer != nullptr ? *answer : *current_;
}

void Owner::undo() { current_ = previous_; }

}  // namespace dtrain::role
