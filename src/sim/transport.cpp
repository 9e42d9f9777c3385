#include "sim/transport.hpp"

#include <algorithm>

namespace dtrain::sim {

Transport::Transport(int nodes, double latency, double bandwidth)
    : latency_(latency),
      bandwidth_(bandwidth),
      out_free_(static_cast<std::size_t>(nodes), 0),
      in_free_(static_cast<std::size_t>(nodes), 0) {}

void Transport::send(int from, int to, double bytes, const Message& message) {
  if (latency_ == 0 && bandwidth_ == 0) return at_once_.push_back(message);
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<std::uint32_t>(under_way_.size()));
    under_way_.emplace_back();
  }
  const std::uint32_t slot = free_slots_.back();
  free_slots_.pop_back();
  const double seconds = bandwidth_ > 0 ? bytes / bandwidth_ : 0;
  under_way_[slot] = {message, to, seconds};
  double& out_free = out_free_[static_cast<std::size_t>(from)];
  const double begin = std::max(now_, out_free);
  out_free = begin + seconds;
  queue_.push({begin + latency_, 0, arrives, slot});
}

void Transport::set_timer(double at, const Timer& timer) {
  queue_.push(
      {at, 0, static_cast<std::uint32_t>(timer.kind) | static_cast<std::uint32_t>(timer.rank) << 3, timer.data});
}

/// The first bit is here. True if the message is delivered at once.
bool Transport::take_in(std::uint32_t slot) {
  const Freighter& message = under_way_[slot];
  double& in_free = in_free_[static_cast<std::size_t>(message.to)];
  in_free = std::max(now_, in_free) + message.seconds;
  if (in_free == now_) return true;
  queue_.push({in_free, 0, delivered, slot});
  return false;
}

bool Transport::next(Happening& out) {
  if (first_ < at_once_.size()) {
    out.is_message = true;
    out.message = at_once_[first_++];
    if (first_ == at_once_.size()) at_once_.clear(), first_ = 0;
    return true;
  }
  while (!queue_.empty()) {
    const Event event = queue_.pop();
    now_ = event.time;
    const std::uint32_t kind = event.what & 7u;
    if (kind == arrives && !take_in(event.data)) continue;
    out.is_message = kind >= arrives;
    if (out.is_message) {
      out.message = under_way_[event.data].message;
      free_slots_.push_back(event.data);
    } else {
      out.timer = {static_cast<Timer::Kind>(kind), static_cast<Rank>(event.what >> 3), event.data};
    }
    return true;
  }
  return false;
}

}  // namespace dtrain::sim
