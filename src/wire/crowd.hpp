#pragma once
/// Keeps the connections at a listening tcp socket few, so that strangers cannot use up a process's descriptors.
///
/// ZeroMQ accepts whoever comes. From the events of the socket's Monitor this knows which connections stand, and shuts
/// those that are too many, and those that stay without having been let in. Used by the thread of the socket.

#include <cstdint>
#include <map>

#include "base/time.hpp"
#include "wire/socket.hpp"

namespace dtrain::wire {

class Crowd {
 public:
  /// Connections beside those that are expected; and how long one may stand before it is let in, 0: for ever.
  static constexpr std::size_t most_strangers = 256;
  explicit Crowd(Seconds patience = Seconds(0)) : patience_(patience) {}

  /// So many connections are as they should be.
  void expect(std::size_t connections) { most_ = most_strangers + connections; }
  /// Each event of the socket's Monitor, as soon as it may be.
  void note(const Monitor::Event& event);
  /// The connection is of somebody who may stay.
  void let_in(int descriptor);
  /// Shuts those whose time is over; now and then.
  void sweep();

  /// Connections that were shut here.
  std::uint64_t turned_away() const { return turned_away_; }
  /// Connections that ended before their handshake: no ZeroMQ, another key, not admitted.
  std::uint64_t failed() const { return failed_; }
  std::size_t size() const { return standing_.size(); }

 private:
  struct Connection {
    Clock::time_point since;
    bool let_in = false;
  };
  void shut(int descriptor);

  Seconds patience_;
  std::size_t most_ = most_strangers;
  std::map<int, Connection> standing_;  ///< by descriptor
  std::uint64_t turned_away_ = 0, failed_ = 0;
};

}  // namespace dtrain::wire
