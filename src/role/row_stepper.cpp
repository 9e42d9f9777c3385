#include "role/row_stepper.hpp"

#include <algorithm>
#include <array>

#include "math/fold.hpp"
#include "math/teams.hpp"
#include "role/owner.hpp"

namespace dtrain::role {
namespace {

// Elements of rows that pay for one more team.
constexpr double row_grain = 16384;
constexpr std::size_t runs_ahead = 8;
// Steps that rows may be behind at most: what is kept of them stays small.
constexpr std::size_t most_steps_behind = 1 << 16;

std::span<float> part(Arena& arena, Index begin, Index end) {
  return arena.span().subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
}

/// Calls work(k, team) for k in [0, count).
template <class Work>
void for_each(std::size_t count, Index cols, int threads, Work&& work) {
  const auto all = static_cast<Index>(count);
  const int teams = useful_teams(static_cast<double>(all * cols), row_grain, threads);
  in_teams(teams, [&](int team) {
    for (Index k = cut(all, teams, team, 1); k < cut(all, teams, team + 1, 1); ++k)
      work(static_cast<std::size_t>(k), static_cast<std::size_t>(team));
  });
}

}  // namespace

RowStepper::RowStepper(const plan::Plan& plan, const plan::Slice& slice, int threads)
    : plan_(plan),
      slice_(slice),
      threads_(threads),
      cols_(plan.layout.tensors.front().cols),
      catch_up_(plan.job.train.optimizer, true),
      catches_up_(plan.job.train.sparse == job::SparseUpdates::exact && catch_up_.needed()),
      zeros_(static_cast<std::size_t>(cols_)) {
  for (const plan::Piece& piece : slice.pieces) {
    if (!piece.by_rows) continue;
    if (matrix_.count == 0) matrix_.offset = piece.offset;
    matrix_.count += piece.count;
  }
  first_row_ = static_cast<std::uint32_t>(matrix_.offset / cols_);
  const Index end_row = (matrix_.offset + matrix_.count + cols_ - 1) / cols_;
  if (catches_up_) done_.resize(static_cast<std::size_t>(end_row - first_row_));
}

/// What the slice has of a row; a slice may begin or end within one.
RowStepper::Run RowStepper::run_of(std::uint32_t row) const {
  return {row, std::max(matrix_.offset, Index{row} * cols_),
          std::min(matrix_.offset + matrix_.count, (Index{row} + 1) * cols_)};
}

void RowStepper::catch_up_run(Version& version, const Run& run) {
  if (!catches_up_ || done(run.row) == catch_up_.steps()) return;
  const Index begin = run.begin - slice_.begin, end = run.end - slice_.begin;
  std::array<std::span<float>, optim::max_state> state;
  for (std::size_t k = 0; k < static_cast<std::size_t>(plan_.moments()); ++k)
    state[k] = part(version.moments[k], begin, end);
  catch_up_.apply(done(run.row), part(version.weights, begin, end), state.data());
  done(run.row) = static_cast<std::uint32_t>(catch_up_.steps());
}

void RowStepper::catch_up(Version& version, std::span<const std::uint32_t> rows) {
  if (!catches_up_ || catch_up_.steps() == 0) return;
  const RowsWithin range = rows_within(rows, cols_, matrix_.offset, matrix_.offset + matrix_.count);
  for_each(range.count, cols_, threads_,
           [&](std::size_t k, std::size_t) { catch_up_run(version, run_of(rows[range.first + k])); });
}

void RowStepper::catch_up(Version& version) {
  if (!catches_up_ || catch_up_.steps() == 0) return;
  for_each(done_.size(), cols_, threads_, [&](std::size_t k, std::size_t) {
    catch_up_run(version, run_of(first_row_ + static_cast<std::uint32_t>(k)));
  });
  catch_up_.forget();
  std::fill(done_.begin(), done_.end(), 0u);
}

/// All rows that contributions have in a piece, each once, and where each contribution has them.
void RowStepper::gather_runs(std::span<const Contribution> contributions, std::size_t piece) {
  const plan::Piece& at = slice_.pieces[piece];
  rows_.clear();
  for (const Contribution& contribution : contributions) {
    const RowsWithin range = rows_within(contribution.rows, cols_, at.offset, at.offset + at.count);
    const auto own = contribution.rows.subspan(range.first, range.count);
    merged_.clear();
    std::set_union(rows_.begin(), rows_.end(), own.begin(), own.end(), std::back_inserter(merged_));
    std::swap(rows_, merged_);
  }
  runs_.clear();
  for (const std::uint32_t row : rows_)
    runs_.push_back(
        {row, std::max(at.offset, Index{row} * cols_), std::min(at.offset + at.count, (Index{row} + 1) * cols_)});
  sources_.assign(runs_.size() * contributions.size(), nullptr);
  for (std::size_t i = 0; i < contributions.size(); ++i) add_rows(contributions[i], i, contributions.size(), piece);
}

/// A contribution has its rows one behind the other.
void RowStepper::add_rows(const Contribution& contribution, std::size_t which, std::size_t many, std::size_t piece) {
  const plan::Piece& at = slice_.pieces[piece];
  const RowsWithin range = rows_within(contribution.rows, cols_, at.offset, at.offset + at.count);
  const float* next = contribution.pieces[piece];
  std::size_t run = 0;
  for (std::size_t k = 0; k < range.count; ++k) {
    while (runs_[run].row != contribution.rows[range.first + k]) ++run;
    sources_[run * many + which] = next;
    next += runs_[run].end - runs_[run].begin;
  }
}

std::span<const float> RowStepper::folded(std::size_t run, std::span<const Contribution> contributions,
                                          std::span<float> scratch) const {
  const auto count = static_cast<std::size_t>(runs_[run].end - runs_[run].begin);
  const std::span<const float* const> sources(sources_.data() + run * contributions.size(), contributions.size());
  if (contributions.size() == 1 && contributions[0].factor == 1) return {sources[0], count};
  std::array<Share, 64> few;
  std::vector<Share> many;
  if (contributions.size() > few.size()) many.resize(contributions.size());
  const std::span<Share> shares =
      many.empty() ? std::span<Share>(few.data(), contributions.size()) : std::span<Share>(many);
  for (std::size_t i = 0; i < sources.size(); ++i)
    shares[i] = {sources[i] != nullptr ? sources[i] : zeros_.data(), contributions[i].factor};
  fold(shares, scratch.first(count));
  return scratch.first(count);
}

void RowStepper::step_run(Version& version, std::size_t run, std::span<const Contribution> contributions,
                          const optim::Coefficients& coefficients, std::span<float> scratch) {
  const std::span<const float> gradient = folded(run, contributions, scratch);
  catch_up_run(version, run_of(runs_[run].row));
  const Index begin = runs_[run].begin - slice_.begin, end = runs_[run].end - slice_.begin;
  const std::span<float> weights = part(version.weights, begin, end);
  std::array<std::span<float>, optim::max_state> state;
  std::array<std::span<const float>, optim::max_state> before;
  for (std::size_t k = 0; k < static_cast<std::size_t>(plan_.moments()); ++k)
    before[k] = state[k] = part(version.moments[k], begin, end);
  optim::apply(plan_.job.train.optimizer.type, coefficients, gradient, weights, before.data(), weights, state.data());
  if (catches_up_) ++done(runs_[run].row);
}

/// Rows lie anywhere in memory: they are asked for ahead of need.
void RowStepper::fetch(const Version& version, const Run& run) const {
  __builtin_prefetch(version.weights.data() + (run.begin - slice_.begin), 1);
  for (const Arena& moment : version.moments) __builtin_prefetch(moment.data() + (run.begin - slice_.begin), 1);
}

std::optional<Index> RowStepper::not_finite(std::span<const Contribution> contributions) const {
  if (plan_.job.train.on_nonfinite != job::OnNonfinite::stop) return std::nullopt;
  for (std::size_t p = 0; p < slice_.pieces.size(); ++p)
    for (const Contribution& contribution : contributions) {
      const plan::Piece& at = slice_.pieces[p];
      if (!at.by_rows) continue;
      const Index floats = rows_within(contribution.rows, cols_, at.offset, at.offset + at.count).floats();
      if (!all_finite({contribution.pieces[p], static_cast<std::size_t>(floats)})) return at.offset;
    }
  return std::nullopt;
}

std::optional<Index> RowStepper::step(Version& version, std::span<const Contribution> contributions,
                                      const optim::StepInput& input) {
  if (const auto bad = not_finite(contributions)) return bad;
  const optim::Coefficients coefficients = optim::coefficients(plan_.job.train.optimizer, input, true);
  if (catch_up_.steps() >= most_steps_behind) catch_up(version);
  std::vector<float> scratch(static_cast<std::size_t>(cols_ * std::max(1, threads_)));
  for (std::size_t p = 0; p < slice_.pieces.size(); ++p) {
    if (!slice_.pieces[p].by_rows) continue;
    gather_runs(contributions, p);
    for_each(runs_.size(), cols_, threads_, [&](std::size_t run, std::size_t team) {
      const auto cols = static_cast<std::size_t>(cols_);
      if (run + runs_ahead < runs_.size()) fetch(version, runs_[run + runs_ahead]);
      step_run(version, run, contributions, coefficients, std::span(scratch).subspan(team * cols, cols));
    });
  }
  if (catches_up_) catch_up_.note(input);
  return std::nullopt;
}

std::vector<double> RowStepper::squares(std::span<const Contribution> contributions) {
  std::vector<double> sums;
  std::vector<float> scratch(static_cast<std::size_t>(cols_));
  Index block = -1;
  for (std::size_t p = 0; p < slice_.pieces.size(); ++p) {
    if (!slice_.pieces[p].by_rows) continue;
    gather_runs(contributions, p);
    for (std::size_t run = 0; run < runs_.size(); ++run) {
      const std::span<const float> gradient = folded(run, contributions, scratch);
      for (Index at = runs_[run].begin; at < runs_[run].end;) {
        const Index end = std::min(runs_[run].end, (at / block_weights + 1) * block_weights);
        if (at / block_weights != block) sums.push_back(0);
        block = at / block_weights;
        sums.back() += sum_of_squares(
            gradient.subspan(static_cast<std::size_t>(at - runs_[run].begin), static_cast<std::size_t>(end - at)));
        at = end;
      }
    }
  }
  return sums;
}

}  // namespace dtrain::role
