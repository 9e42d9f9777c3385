#pragma once
/// Virtual time, and what moves in it: messages over links, and timers.
///
/// Nodes are numbered: workers first, then servers. Messages between two nodes arrive in the order in which they were
/// sent. Deterministic: the same calls give the same order of happenings. One thread.

#include <cstdint>
#include <deque>
#include <vector>

#include "sim/queue.hpp"
#include "sync/policy.hpp"

namespace dtrain::sim {

using sync::Clock;
using sync::Rank;

struct Message {
  enum class Kind : std::uint8_t {
    pull,      ///< worker to server: it wants weights to begin with
    push,      ///< worker to server
    weights,   ///< server to worker: a release
    refresh,   ///< server to worker: newer weights on its way
    whole,     ///< server to the first server: a push is here
    decision,  ///< first server to another: what it must do
  };
  Kind kind{};
  std::uint32_t life = 0;   ///< of the worker, or (from a server, decisions and weights) of its membership
  std::uint32_t epoch = 0;  ///< weights: of the server
  int server = 0;
  Rank rank = 0;
  Clock clock = 0, due = 0;
  std::uint32_t decision = 0;
};

struct Timer {
  enum class Kind : std::uint8_t { finish, lose, settle_loss, come, settle_join };
  Kind kind{};
  Rank rank = 0;
  std::uint32_t data = 0;
};

/// One of the two.
struct Happening {
  bool is_message = false;
  Message message;
  Timer timer;
};

class Transport {
 public:
  Transport(int nodes, double latency, double bandwidth);

  double now() const { return now_; }
  void send(int from, int to, double bytes, const Message& message);
  void set_timer(double at, const Timer& timer);

  /// Goes on to the next happening; false if nothing is under way any more.
  bool next(Happening& out);

 private:
  static constexpr std::uint32_t arrives = 6, delivered = 7;  ///< Event::what beside timers, in its lowest three bits
  struct Freighter {
    Message message;
    int to = 0;
    double seconds = 0;  ///< on a link
  };
  bool take_in(std::uint32_t slot);

  double latency_, bandwidth_, now_ = 0;
  Queue queue_;
  std::vector<double> out_free_, in_free_;
  std::vector<Freighter> under_way_;
  std::vector<std::uint32_t> free_slots_;
  std::vector<Message> at_once_;  ///< without latency and transfer time; a queue from first_ on
  std::size_t first_ = 0;
};

}  // namespace dtrain::sim
