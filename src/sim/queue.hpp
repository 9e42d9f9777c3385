#pragma once
/// What happens next in virtual time: a four-ary heap of small events, in the order (time, order of insertion).
///
/// No allocation once it has grown. One thread.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace dtrain::sim {

struct Event {
  double time = 0;
  std::uint64_t order = 0;  ///< set by push(): events of one time happen in the order in which they were planned
  std::uint32_t what = 0;
  std::uint32_t data = 0;
};

class Queue {
 public:
  bool empty() const { return heap_.size() == (vacant_ ? 1u : 0u); }

  void push(Event event) {
    event.order = next_order_++;
    if (vacant_) {
      vacant_ = false;
      sink(event);
    } else {
      heap_.push_back(event);
      rise(heap_.size() - 1, event);
    }
  }

  /// Not on an empty queue. The root's place stays vacant, since most events plan just one other.
  Event pop() {
    if (vacant_) close();
    vacant_ = true;
    return heap_.front();
  }

 private:
  static bool earlier(const Event& a, const Event& b) {
    return a.time < b.time || (a.time == b.time && a.order < b.order);
  }

  void close() {
    vacant_ = false;
    const Event last = heap_.back();
    heap_.pop_back();
    if (!heap_.empty()) sink(last);
  }

  void rise(std::size_t at, const Event& event) {
    while (at > 0) {
      const std::size_t parent = (at - 1) / 4;
      if (!earlier(event, heap_[parent])) break;
      heap_[at] = heap_[parent];
      at = parent;
    }
    heap_[at] = event;
  }

  /// From the root, whose place is free.
  void sink(const Event& event) {
    std::size_t at = 0;
    for (;;) {
      const std::size_t first = 4 * at + 1;
      if (first >= heap_.size()) break;
      std::size_t best = first;
      for (std::size_t child = first + 1; child < first + 4 && child < heap_.size(); ++child)
        if (earlier(heap_[child], heap_[best])) best = child;
      if (!earlier(heap_[best], event)) break;
      heap_[at] = heap_[best];
      at = best;
    }
    heap_[at] = event;
  }

  std::vector<Event> heap_;
  std::uint64_t next_order_ = 0;
  bool vacant_ = false;  ///< heap_.front() was popped and not yet replaced
};

}  // namespace dtrain::sim
