#include "collective/exchange.hpp"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

namespace dtrain::collective {

using What = Move::What;

Exchange::Exchange(Algorithm algorithm, int rank, int ranks, const std::vector<Index>& borders, Port& port)
    : rank_(rank),
      in_rank_order_(algorithm == Algorithm::direct),
      moves_(moves(algorithm, rank, ranks, borders)),
      port_(port),
      waiting_(static_cast<std::size_t>(ranks)) {}

void Exchange::begin(float* own, std::optional<float> factor, std::uint32_t flags) {
  own_ = own;
  factor_ = factor;
  flags_ |= flags;
  begun_ = true;
  advance();
}

void Exchange::receive(int from, Parcel parcel) {
  waiting_.at(static_cast<std::size_t>(from)).push_back(std::move(parcel));
  advance();
}

void Exchange::finished() {
  held_ = false;
  sums_.clear();
  ++next_;
  advance();
}

void Exchange::reset() {
  next_ = 0;
  begun_ = false;
  flags_ = 0;
  sums_.clear();
}

int Exchange::waits_for() const {
  if (!begun_ || held_ || done()) return -1;
  return moves_[next_].peer;
}

void Exchange::advance() {
  if (!begun_ || held_) return;
  for (; next_ < moves_.size(); ++next_) {
    const Move& move = moves_[next_];
    switch (move.what) {
      case What::send_sum: port_.send_sum(move.peer, move.range, sum_of(move.range), flags_); break;
      case What::send_result: port_.send_result(move.peer, move.range, flags_); break;
      case What::fold:
      case What::take_result:
        if (!take(move)) return;
        break;
      case What::finish:
        if (!finish(move)) return;
        break;
    }
  }
}

bool Exchange::take(const Move& move) {
  std::deque<Parcel>& from = waiting_[static_cast<std::size_t>(move.peer)];
  if (from.empty()) return false;
  Parcel parcel = std::move(from.front());
  from.pop_front();
  if (parcel.values != nullptr && parcel.range != move.range)
    throw std::invalid_argument(fmt::format("rank {} sent elements {} to {} where {} to {} were due", move.peer,
                                            parcel.range.begin, parcel.range.end, move.range.begin, move.range.end));
  flags_ |= parcel.flags;
  if (move.what == What::take_result)
    port_.take_result(move.range, parcel);
  else if (parcel.values != nullptr)
    sums_.push_back({move.peer, move.range, std::move(parcel)});
  return true;
}

bool Exchange::finish(const Move& move) {
  gather_shares(move.range);
  held_ = !port_.finish(move.range, shares_);
  if (!held_) sums_.clear();
  return !held_;
}

/// All that has come of a range, and our own: first, or in its place among the ranks.
void Exchange::gather_shares(const Range& range) {
  shares_.clear();
  bool own = !factor_.has_value();
  const auto add_own = [&] { shares_.push_back({own_ + range.begin, *factor_}), own = true; };
  if (!own && !in_rank_order_) add_own();
  for (const Arrived& sum : sums_) {
    if (sum.range.begin > range.begin || sum.range.end < range.end) continue;
    if (!own && sum.from > rank_) add_own();
    shares_.push_back({sum.parcel.values + (range.begin - sum.range.begin), sum.parcel.factor});
  }
  if (!own) add_own();
}

/// What is alone goes as it is, with its factor: no pass over memory.
Share Exchange::sum_of(const Range& range) {
  gather_shares(range);
  if (shares_.empty()) return {nullptr, 1};
  float* const place = own_ + range.begin;
  if (shares_.size() == 1 && shares_.front().data == place) return shares_.front();
  if (shares_.size() == 1) {
    std::copy_n(shares_.front().data, range.count(), place);
    const float factor = shares_.front().factor;
    forget(range);
    return {place, factor};
  }
  fold(shares_, {place, static_cast<std::size_t>(range.count())});
  forget(range);
  return {place, 1};
}

/// Sums of just this range are in what was made of it.
void Exchange::forget(const Range& range) {
  std::erase_if(sums_, [&](const Arrived& sum) { return sum.range == range; });
}

}  // namespace dtrain::collective
