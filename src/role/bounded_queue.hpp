#pragma once
/// A queue between two stages of a pipeline, each a thread: whoever is ahead of the other waits.

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

namespace dtrain::role {

template <class T>
class BoundedQueue {
 public:
  /// `room`: how many items may wait, at least 1.
  explicit BoundedQueue(std::size_t room) : room_(room) {}

  /// Waits for room. False, and the item is dropped, once the queue is closed.
  bool push(T item) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return closed_ || items_.size() < room_; });
    if (closed_) return false;
    items_.push_back(std::move(item));
    changed_.notify_all();
    return true;
  }
  /// Waits for an item; nullopt once the queue is closed.
  std::optional<T> pop() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return closed_ || !items_.empty(); });
    return take();
  }
  /// The same without waiting.
  std::optional<T> try_pop() {
    const std::lock_guard lock(mutex_);
    return take();
  }
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

 private:
  std::optional<T> take() {
    if (closed_ || items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    changed_.notify_all();
    return item;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> items_;
  std::size_t room_;
  bool closed_ = false;
};

}  // namespace dtrain::role
