#pragma once
/// The ranks by how far they are behind: first the least clock, and of equal ones the latest expected push.
///
/// A binary heap in which every rank knows its place: O(log N) a change, O(1) for the first, and no allocation.

#include <utility>
#include <vector>

#include "sync/policy.hpp"

namespace dtrain::sync {

class Laggards {
 public:
  explicit Laggards(std::size_t ranks) : place_(ranks, nowhere) { heap_.reserve(ranks); }

  bool empty() const { return heap_.empty(); }
  Rank first() const { return heap_.front().rank; }

  /// The rank is at `clock`, and is expected to push at `expected`.
  void put(Rank rank, Clock clock, double expected) {
    std::size_t at = place(rank);
    if (at == nowhere) at = heap_.size(), heap_.push_back({});
    heap_[at] = {rank, clock, expected};
    place(rank) = at;
    settle(at);
  }

  void erase(Rank rank) {
    const std::size_t at = place(rank);
    if (at == nowhere) return;
    place(rank) = nowhere;
    const Entry last = heap_.back();
    heap_.pop_back();
    if (at == heap_.size()) return;
    heap_[at] = last;
    place(last.rank) = at;
    settle(at);
  }

 private:
  struct Entry {
    Rank rank = 0;
    Clock clock = 0;
    double expected = 0;
  };
  static constexpr std::size_t nowhere = static_cast<std::size_t>(-1);
  static bool before(const Entry& a, const Entry& b) {
    return a.clock != b.clock ? a.clock < b.clock : a.expected > b.expected;
  }
  std::size_t& place(Rank rank) { return place_[static_cast<std::size_t>(rank)]; }

  void settle(std::size_t at) {
    for (; at > 0 && before(heap_[at], heap_[(at - 1) / 2]); at = (at - 1) / 2) exchange(at, (at - 1) / 2);
    for (std::size_t child = 2 * at + 1; child < heap_.size(); child = 2 * at + 1) {
      if (child + 1 < heap_.size() && before(heap_[child + 1], heap_[child])) ++child;
      if (!before(heap_[child], heap_[at])) return;
      exchange(at, child);
      at = child;
    }
  }
  void exchange(std::size_t a, std::size_t b) {
    std::swap(heap_[a], heap_[b]);
    place(heap_[a].rank) = a;
    place(heap_[b].rank) = b;
  }

  std::vector<Entry> heap_;
  std::vector<std::size_t> place_;  ///< per rank
};

}  // namespace dtrain::sync
