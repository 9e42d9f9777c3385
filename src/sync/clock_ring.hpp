#pragma once
/// How many ranks are at each clock, from the least to the greatest; and a place at each for a list of those who wait.
///
/// A ring as wide as the clocks are apart: the least moves on in amortised O(1), and nothing is allocated unless they
/// have never been so far apart.

#include <cassert>
#include <utility>
#include <vector>

#include "sync/policy.hpp"

namespace dtrain::sync {

class ClockRing {
 public:
  static constexpr Rank nobody = -1;

  bool empty() const { return ranks_ == 0; }
  Clock least() const { return least_; }
  Clock greatest() const { return greatest_; }
  /// The first of the ranks that wait for `clock`, which is between least and greatest.
  Rank& waiting(Clock clock) { return at(clock).waiting; }

  void add(Clock clock) {
    const Clock least = empty() || clock < least_ ? clock : least_;
    const Clock greatest = empty() || clock > greatest_ ? clock : greatest_;
    if (greatest - least >= places_.size()) widen(greatest - least + 1);
    least_ = least;
    greatest_ = greatest;
    ++at(clock).count;
    ++ranks_;
  }

  void remove(Clock clock) {
    assert(at(clock).count > 0);
    --at(clock).count;
    if (--ranks_ == 0) return;
    while (at(least_).count == 0) ++least_;
    while (at(greatest_).count == 0) --greatest_;
  }

 private:
  struct Place {
    std::uint32_t count = 0;
    Rank waiting = nobody;
  };
  Place& at(Clock clock) { return places_[clock & (places_.size() - 1)]; }

  void widen(Clock width) {
    std::size_t size = places_.size();
    while (size < width) size *= 2;
    std::vector<Place> wider(size);
    if (!empty())
      for (Clock clock = least_; clock <= greatest_; ++clock) wider[clock & (size - 1)] = at(clock);
    places_ = std::move(wider);
  }

  std::vector<Place> places_ = std::vector<Place>(16);  ///< a power of two
  Clock least_ = 0, greatest_ = 0;
  std::size_t ranks_ = 0;
};

}  // namespace dtrain::sync
