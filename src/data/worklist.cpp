#include "data/worklist.hpp"

#include <algorithm>
#include <numeric>

#include "base/error.hpp"
#include "job/places.hpp"

namespace dtrain::data {
namespace {

std::vector<int> first_ranks(std::int64_t n) {
  std::vector<int> ranks(static_cast<std::size_t>(n));
  std::iota(ranks.begin(), ranks.end(), 0);
  return ranks;
}

}  // namespace

Worklist::Worklist(const job::Job& job, const Facts& facts)
    : shard_(job.data.sharing == job::Sharing::shard),
      ranks_(static_cast<int>(job::places(job.topology))),
      parts_(shard_ ? ranks_ : static_cast<int>(job.topology.data_ranks())),
      division_(job, facts, first_ranks(parts_)),
      active_(static_cast<std::size_t>(ranks_), true),
      in_time_(active_),
      again_(shard_ ? active_.size() : 1),
      fresh_(again_.size(), 0),
      now_(active_.size()) {
  steps_ = division_.total_steps();
  std::fill(active_.begin() + job.topology.data_ranks(), active_.end(), false);
  deal();
}

bool Worklist::over(std::size_t queue) const {
  return again_[queue].empty() && fresh_[queue] == steps_ * (shard_ ? 1 : parts_);
}

/// The next portion of a queue: what was dropped first, then what nobody has tried. It may be one without rows.
std::optional<Worklist::Portion> Worklist::take(std::size_t queue) {
  if (!again_[queue].empty()) {
    const Portion portion = again_[queue].front();
    again_[queue].pop_front();
    return portion;
  }
  const Index parts = shard_ ? 1 : parts_, at = fresh_[queue]++;
  const Portion portion{at / parts, shard_ ? static_cast<int>(queue) : static_cast<int>(at % parts), 0};
  return division_.count(portion.step, portion.part) > 0 ? std::optional(portion) : std::nullopt;
}

std::optional<Worklist::Portion> Worklist::next_for(int rank) {
  if (!over(queue_of(rank))) return take(queue_of(rank));
  for (std::size_t other = 0; shard_ && other < active_.size(); ++other)
    if (!active_[other] && !over(other)) return take(other);
  return std::nullopt;
}

/// Ranks that were in time come first: they are the likely ones to have a dropped portion done.
void Worklist::deal() {
  for (const bool quick : {true, false})
    for (int rank = 0; rank < ranks_; ++rank) {
      const auto r = static_cast<std::size_t>(rank);
      if (in_time_[r] != quick) continue;
      now_[r] = active_[r] ? next_for(rank) : std::nullopt;
    }
}

void Worklist::settle(const std::vector<int>& folded) {
  for (int rank = 0; rank < ranks_; ++rank) {
    const auto r = static_cast<std::size_t>(rank);
    in_time_[r] = std::binary_search(folded.begin(), folded.end(), rank);
    if (!now_[r] || in_time_[r]) continue;
    Portion portion = *now_[r];
    if (portion.drops == most_drops)
      rows_given_up_ += division_.count(portion.step, portion.part);
    else
      ++portion.drops, again_[queue_of(portion.part)].push_back(portion);
  }
  deal();
}

void Worklist::lose(int rank) { active_.at(static_cast<std::size_t>(rank)) = false; }

void Worklist::set_active(const std::vector<int>& active) {
  std::fill(active_.begin(), active_.end(), false);
  for (const int rank : active) active_.at(static_cast<std::size_t>(rank)) = true;
}

bool Worklist::finished() const {
  for (std::size_t queue = 0; queue < again_.size(); ++queue)
    if (!over(queue)) return false;
  return std::none_of(now_.begin(), now_.end(), [](const auto& portion) { return portion.has_value(); });
}

std::vector<std::int64_t> Worklist::state() const {
  std::vector<std::int64_t> out{ranks_, static_cast<std::int64_t>(again_.size()), rows_given_up_};
  const auto put = [&out](const Portion& p) { out.insert(out.end(), {p.step, p.part, p.drops}); };
  for (std::size_t r = 0; r < now_.size(); ++r) {
    out.insert(out.end(), {active_[r], in_time_[r], now_[r].has_value()});
    put(now_[r].value_or(Portion{}));
  }
  for (std::size_t q = 0; q < again_.size(); ++q) {
    out.insert(out.end(), {fresh_[q], static_cast<std::int64_t>(again_[q].size())});
    for (const Portion& portion : again_[q]) put(portion);
  }
  return out;
}

void Worklist::restore(const std::vector<std::int64_t>& state) {
  std::size_t at = 0;
  const auto next = [&](std::int64_t most) {
    if (at >= state.size() || state[at] < 0 || state[at] > most)
      fail(Kind::checkpoint, "the list of rows still to be learned is damaged at number {}", at + 1);
    return state[at++];
  };
  const auto portion = [&] {
    return Portion{next(steps_ - 1), static_cast<int>(next(ranks_ - 1)), static_cast<int>(next(most_drops))};
  };
  if (next(ranks_) != ranks_ || next(ranks_) != std::ssize(again_))
    fail(Kind::checkpoint, "the list of rows still to be learned is of another number of workers");
  rows_given_up_ = next(INT64_MAX);
  for (std::size_t r = 0; r < now_.size(); ++r) {
    active_[r] = next(1) == 1;
    in_time_[r] = next(1) == 1;
    const bool some = next(1) == 1;
    const Portion read = portion();
    now_[r] = some ? std::optional(read) : std::nullopt;
  }
  for (std::size_t q = 0; q < again_.size(); ++q) {
    fresh_[q] = next(steps_ * ranks_);
    again_[q].clear();
    for (std::int64_t n = next(INT64_MAX); n > 0; --n) again_[q].push_back(portion());
  }
  if (at != state.size()) fail(Kind::checkpoint, "the list of rows still to be learned goes on beyond its end");
}

}  // namespace dtrain::data
